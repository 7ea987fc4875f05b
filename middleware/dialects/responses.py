"""`responses`: mlflow's AgentServer (`/invocations`, `/responses`), and every agent that answers like it.

Request: `{"input": …}` or `{"messages": […]}` with `stream`; nothing but `stream` and, where the agent refuses
the shape, that one member is ever touched. Answer: Responses events or chat chunks ending in `[DONE]`, or JSON.
On both sides of the sidecar the bytes pass as they are; an agent's own errors pass with status and body.
"""

from collections.abc import Awaitable

from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json, last_frame
from middleware.exchange import Body, Call, Handler, Reply
from middleware.shape import shape
from policies import answers
from policies.body import with_stream
from policies.names import CONTENT_TYPE

TERMINAL = (b"[DONE]", b"response.completed", b"response.failed", b"response.incomplete", b"finish_reason")


def responses(errors: str | None = None) -> Dialect:
    shaped = shape()

    async def inbound(call: Call, forward: Handler) -> Reply:
        reply = await forward(call)
        if call.wants_stream is None:
            return reply
        if refusal := answers.login_page(call.agent, reply.status, reply.headers.get(CONTENT_TYPE, "")):
            await reply.close(refusal.code)
            raise refusal
        return reply

    def outbound(call: Call, forward: Handler) -> Awaitable[Reply]:
        wanted, body = call.wants_stream, call.body
        if wanted is None or not isinstance(body, Body):
            return forward(call)
        value = body.value
        if wanted or value.get("stream"):  # an absent `stream` already says no
            raw = with_stream(body.raw, value, wanted)
            if raw is not body.raw:
                call = call._replace(body=Body(raw, value=value | {"stream": wanted}))
        return shaped(call, forward)

    return Dialect(inbound, outbound, OPENING, as_json(errors), last_frame(errors), TERMINAL)
