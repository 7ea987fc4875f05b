"""One JSON-RPC request of ours to an A2A agent, and what came back: a document, results one by one, or neither."""

from collections.abc import AsyncIterator
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.closing import closing
from middleware.dialects.a2a.cards import Line
from middleware.exchange import Body, Call, Reply, Stream
from policies import a2a, a2a_errors, jsonrpc
from policies.answers import is_json
from policies.json_exact import loads
from policies.loose import Value
from policies.refusal import Refusal

ACCEPTED: Final = {True: "text/event-stream, application/json", False: "application/json"}


class Told(Exception):
    """The agent answered with a JSON-RPC error."""

    def __init__(self, document: Any) -> None:
        super().__init__()
        self.document = document
        self.code = a2a_errors.code(document) or 0


def asked(call: Call, line: Line, method: str, params: Value, *, stream: bool, ident: str = "1") -> Call:
    """The call that asks this of the agent. Its version's header is ours to say, whatever the caller said."""
    headers = CIMultiDict(call.headers)
    headers["content-type"] = "application/json"
    headers["accept"] = ACCEPTED[stream]
    headers.popall(a2a.HEADER, None)
    if line.tongue.version:
        headers[a2a.HEADER] = line.tongue.version
    return call._replace(
        agent=line.agent,
        method="POST",
        target=line.target,
        headers=CIMultiDictProxy(headers),
        body=Body(jsonrpc.asked(method, params, ident)),
        wants_stream=stream,
    )


def result(raw: Any) -> Any:
    """The result in a document. Raises Told where it is an error."""
    if a2a_errors.code(raw) is not None:
        raise Told(raw)
    if not isinstance(raw, dict) or "result" not in raw:
        detail = "The agent's answer is neither a JSON-RPC result nor an error."
        raise Refusal(502, "agent_protocol_error", detail=detail)
    return raw["result"]


def readable(reply: Reply) -> bool:
    """Whether this is an answer in JSON-RPC at all. Whatever else it is, its status says what is wrong."""
    whole = isinstance(reply.body, Body)
    return reply.status == 200 and (not whole or is_json(reply.headers.get("Content-Type", "")))


async def results(reply: Reply) -> AsyncIterator[Any]:
    """The results of an answer, one where it came whole. Raises Told; Refusal where the connection breaks."""
    if isinstance(reply.body, Body):
        yield result(_document(reply.body.raw))
        return
    stream: Stream = reply.body
    async with closing(stream.events()) as events:
        async for event in events:
            yield result(_document(event.data))


def _document(raw: bytes | str) -> Any:
    try:
        return loads(raw)
    except ValueError:
        raise Refusal(502, "agent_protocol_error", detail="The agent's answer is no JSON.") from None
