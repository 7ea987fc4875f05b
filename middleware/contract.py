"""A chat has `input` or a list of `messages`, or it goes nowhere; with both it asks twice, and `input` wins."""

from collections.abc import Awaitable
from typing import Final, Literal

from middleware.exchange import Body, Call, Handler, Middleware, Reply
from middleware.observe import Recorder
from policies import hints
from policies.body import accepted, asks_twice, without
from policies.refusal import Refusal

Both = Literal["input", "refuse"]
PLAIN: Final = frozenset({"chat", "responses"})  # callers' tongues in which a body is plain chat


def contract(recorder: Recorder, both: Both = "input") -> Middleware:
    """Judges what came to `/api/chat`. On an agent's own paths a body without either key is its business.

    `both` is SIDECAR_BOTH_SHAPES. Notes `ambiguous_body` where a body asks twice: `input` where `messages` were
    taken out, `both` where it went on as it came (on an agent's own paths), `refused`.
    """

    def middleware(call: Call, forward: Handler) -> Awaitable[Reply]:
        if call.wants_stream is None or call.dialect not in PLAIN:
            return forward(call)
        chat = call.dialect == "chat"
        value = call.body.value if isinstance(call.body, Body) else None
        if chat and not accepted(value):
            raise Refusal(400, "invalid_body_shape", accepted=["input", "messages"])
        if asks_twice(value):
            became = "refused" if both == "refuse" else "input" if chat else "both"
            recorder.note(call, "ambiguous_body", became)
            if both == "refuse":
                detail, hint = hints.explain("ambiguous_body")
                raise Refusal(400, "ambiguous_body", detail=detail, hint=hint)
            call = once(call) if chat else call
        return forward(call)

    return middleware


def once(call: Call) -> Call:
    """The call without its `messages`; every other byte of the body as it came."""
    body = call.body
    if not isinstance(body, Body):
        return call
    rest = {key: part for key, part in body.value.items() if key != "messages"}
    return call._replace(body=Body(without(body.raw, "messages"), value=rest))
