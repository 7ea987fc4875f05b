"""The places of the chains where a tongue is looked up; with no coroutine of their own."""

from collections.abc import Awaitable, Mapping

from middleware.dialects.dialect import Dialect
from middleware.exchange import Call, Handler, Middleware, Reply


def inbound(dialects: Mapping[str, Dialect]) -> Middleware:
    """From the caller's tongue into plain chat, and back."""

    def middleware(call: Call, forward: Handler) -> Awaitable[Reply]:
        return dialects[call.dialect].inbound(call, forward)

    return middleware


def outbound(dialects: Mapping[str, Dialect]) -> Middleware:
    """From plain chat into the agent's tongue, and back."""

    def middleware(call: Call, forward: Handler) -> Awaitable[Reply]:
        return dialects[call.agent.kind].outbound(call, forward)

    return middleware


def relayed(dialects: Mapping[str, Dialect]) -> Middleware:
    """What a relay needs of the agent's tongue, where that asks for something."""
    relays = {kind: dialect.relay for kind, dialect in dialects.items() if dialect.relay is not None}

    def middleware(call: Call, forward: Handler) -> Awaitable[Reply]:
        relay = relays.get(call.agent.kind)
        return forward(call) if relay is None else relay(call, forward)

    return middleware
