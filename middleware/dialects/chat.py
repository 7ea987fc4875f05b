"""`/api/chat`: what a browser's chat page sends and reads. A caller's tongue only; no agent speaks it.

In: `{"input": …}` or `{"messages": […]}` (the recipe's contract). Out: Responses events or chat chunks, in LF
frames that start with `data: ` and a space, because the recipe's hook reads nothing else; or one JSON document.
An agent's own failure is judged here: what a caller can act on passes, the rest is told in our words.
"""

from middleware.closing import or_closed
from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json, last_frame
from middleware.exchange import Body, Call, Handler, Reply, Stream
from middleware.sse import readable_by_hook
from middleware.streams import Insisting, Reframed
from policies import answers
from policies.names import CONTENT_TYPE
from policies.refusal import Refusal

TERMINAL = (b"[DONE]",)


def chat(errors: str | None = None) -> Dialect:
    """`errors` is SIDECAR_ERRORS; with `passthrough` an agent's failure goes on with its status and body."""
    frame = last_frame(errors)

    async def inbound(call: Call, forward: Handler) -> Reply:
        reply = await forward(call)
        if call.wants_stream is None:
            return reply
        status, headers, body, _ = reply
        kind = headers.get(CONTENT_TYPE, "")
        if refusal := answers.refused(call.agent, status, kind):
            if errors == "passthrough" and status >= 400:
                return reply
            if isinstance(body, Body):  # its words may tell more of the cause
                text = body.raw[:4096].decode("utf-8", "replace")
                refusal = answers.refused(call.agent, status, kind, text) or refusal
            await reply.close(refusal.code)
            raise refusal
        return reply if isinstance(body, Body) else await or_closed(reply, legible(call, reply, body))

    async def legible(call: Call, reply: Reply, body: Stream) -> Reply:
        """The stream as the plainest of readers can read it."""
        first = await body.head()
        last = lambda refusal: frame(refusal, call.request_id)  # noqa: E731
        if not first or readable_by_hook(first):
            return reply._replace(body=Insisting(body, last))
        translated = reply.headers.copy()
        translated["x-sidecar-stream"] = "translated"
        return reply._replace(headers=type(reply.headers)(translated), body=Insisting(Reframed(body), last))

    async def outbound(call: Call, forward: Handler) -> Reply:
        raise Refusal(500, "not_configured", detail="No agent speaks `chat`; it is a caller's tongue.")

    return Dialect(inbound, outbound, OPENING, as_json(errors), frame, TERMINAL)
