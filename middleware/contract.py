"""A chat has `input` or a list of `messages`, or it goes nowhere."""

from middleware.exchange import Body, Call, Handler, Reply
from policies.body import accepted
from policies.refusal import Refusal


async def contract(call: Call, forward: Handler) -> Reply:
    """Judges what came to `/api/chat`. On an agent's own paths a body without either key is its business."""
    chat = call.dialect == "chat" and call.wants_stream is not None
    if chat and not (isinstance(call.body, Body) and accepted(call.body.value)):
        raise Refusal(400, "invalid_body_shape", accepted=["input", "messages"])
    return await forward(call)
