"""One request of ours to a builder, and its JSON; or the answer itself, where that is another than was asked for."""

from collections.abc import Mapping
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import EMPTY, Body, Call, Handler, Headers, Reply
from policies.answers import is_json
from policies.decoding import decoded
from policies.json_exact import dumps, loads
from policies.loose import word
from policies.refusal import Refusal

EMAIL: Final = "x-forwarded-email"  # by which a builder knows users; it outranks the bearer
ANOTHERS: Final = (
    "idempotency-key",
    "last-event-id",
)  # what a caller says of its one call is true of no other
LARGEST: Final = 1 << 20  # bytes of an answer to `invoke_agent`


class Answered(Exception):
    """The agent answered otherwise than was asked; `reply` is whole, and whoever catches this hands it on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def asked(
    call: Call,
    method: str,
    target: str,
    value: Mapping[str, Any] | None = None,
    *,
    stream: bool | None = False,
) -> Call:
    """The call that asks this. `stream` None: it is made again only where nothing of it was sent."""
    headers = CIMultiDict(named(call))
    headers["content-type"] = "application/json"
    headers["accept"] = "text/event-stream" if stream else "application/json"
    for name in ANOTHERS:
        headers.popall(name, None)
    body = EMPTY if value is None else Body(dumps(value))
    return call._replace(
        method=method, target=target, headers=CIMultiDictProxy(headers), body=body, wants_stream=stream
    )


def named(call: Call) -> Headers:
    """The call's headers, with its user's e-mail where the agent may know it."""
    if not (call.agent.trusted and call.caller.email):
        return call.headers
    headers = CIMultiDict(call.headers)
    headers[EMAIL] = call.caller.email
    return CIMultiDictProxy(headers)


async def document(reply: Reply) -> Any:
    """The JSON of a 200. Raises Answered where it is none."""
    body = await whole(reply)
    if reply.status != 200 or not is_json(reply.headers.get("Content-Type", "")):
        raise Answered(reply._replace(body=body))
    await reply.close("ok")
    try:
        return loads(decoded(body.raw, reply.headers.get("Content-Encoding", "")))
    except ValueError as error:
        detail = f"The agent's JSON cannot be read: {error}."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None


async def told(call: Call, forward: Handler) -> Any:
    """What the agent says to this, as JSON. Raises Answered."""
    return await document(await forward(call))


async def ident(call: Call, forward: Handler, name: str = "id") -> str:
    """The id of what this call has made. Raises Answered."""
    value = await told(call, forward)
    if found := word(value.get(name) if isinstance(value, dict) else None):
        return found
    raise Refusal(502, "agent_protocol_error", detail=f"The agent's answer has no `{name}`.")


async def whole(reply: Reply) -> Body:
    """All of an answer that came as a relay's does."""
    if isinstance(reply.body, Body):
        return reply.body
    parts, size = [], 0
    async for chunk in reply.body.chunks():
        if (size := size + len(chunk)) > LARGEST:
            await reply.close("agent_too_large")
            raise Refusal(
                502, "agent_too_large", detail=f"The agent's answer is larger than {LARGEST} bytes."
            )
        parts.append(chunk)
    return Body(b"".join(parts))
