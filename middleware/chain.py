"""Folds a list of middleware around a handler: the first is the outermost."""

from collections.abc import Iterable

from middleware.exchange import Handler, Middleware


def compose(layers: Iterable[Middleware], innermost: Handler) -> Handler:
    """The whole chain as one handler, built once at start."""
    handler = innermost
    for layer in reversed(list(layers)):
        handler = _around(layer, handler)
    return handler


def _around(layer: Middleware, forward: Handler) -> Handler:
    return lambda call: layer(call, forward)  # no coroutine of its own: a layer costs what it does
