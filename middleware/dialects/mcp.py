"""`mcp`: MCP servers. Relayed as they are, on both transports; what a prefix and many users would break is mended.

A session is bound to the caller who opened it; the address in an SSE stream's first event is told so that it leads
back through us; `Origin` ends here, where it was checked. Statuses, JSON-RPC errors, `Mcp-*` headers and the
decision between JSON and SSE are the server's and pass untouched. Nobody chats with an MCP server.
"""

from collections.abc import AsyncIterator
from typing import Final

from multidict import CIMultiDictProxy

from middleware.closing import closing
from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json, last_frame
from middleware.exchange import Body, Call, Handler, Middleware, Reply, Stream
from middleware.sessions import Key, Owner, Sessions
from middleware.sse import Reader, first_frame_end
from middleware.streams import HELD, Told
from policies import mcp as policy
from policies.answers import is_sse
from policies.refusal import Refusal


def mcp(relay: Middleware, errors: str | None = None) -> Dialect:
    async def no_chat(call: Call, forward: Handler) -> Reply:
        raise Refusal(
            400,
            "no_chat",
            detail=f"Agent {call.agent.name!r} is an MCP server.",
            hint=f"Connect an MCP client to /agents/{call.agent.name}/mcp.",
            sent="none",
        )

    return Dialect(no_chat, no_chat, OPENING, as_json(errors), last_frame(errors), (), relay)


def relay(sessions: Sessions) -> Middleware:
    """What a request to an MCP server goes through. Refusal 404 `no_such_session` where it names one that is not
    its caller's, which tells an MCP client to open another.
    """

    async def middleware(call: Call, forward: Handler) -> Reply:
        owner = policy.owner(call.caller)
        carried = call.headers.getall(policy.SESSION, [])
        for ident in (*carried, *policy.queried(call.target)):
            if not sessions.held(_key(call, ident), owner):
                raise _nobodys()
        addressed = _key(call, policy.plainly(call.target))
        if sessions.knows(addressed) and not sessions.held(addressed, owner):
            raise _nobodys()
        reply = await forward(_without_origin(call))
        if reply.status < 300:
            if opened := reply.headers.get(policy.SESSION):
                sessions.open(_key(call, opened), owner)
            if call.method == "DELETE":
                _forget(call, carried)
            elif call.method == "GET" and not carried and _is_stream(reply):
                return reply._replace(body=_addressed(call, reply, owner))
        elif reply.status == 404:
            _forget(call, carried)
        return reply

    def _addressed(call: Call, reply: Reply, owner: Owner) -> Told:
        assert not isinstance(reply.body, Body)
        return Told(_through_us(call, reply.body, owner), reply.body.watch.afresh())

    async def _through_us(call: Call, stream: Stream, owner: Owner) -> AsyncIterator[bytes]:
        """The stream, with the address in its first event told for this caller, who alone may use it."""
        held, bound = b"", _key(call, "")
        try:
            async with closing(stream.chunks()) as chunks:
                async for chunk in chunks:
                    held += chunk
                    end = first_frame_end(held)
                    if end is None and len(held) < HELD:
                        continue
                    first = Reader().feed(held[:end]) if end else []
                    if first and first[0].event == "endpoint":
                        target = policy.endpoint(first[0].data.strip(), call.agent.url, call.target)
                        bound = _key(call, next(iter(policy.queried(target)), policy.plainly(target)))
                        sessions.open(bound, owner)
                        held = _event(policy.relative(target, call.target), held[:end]) + held[end:]
                    break
                yield held
                async for chunk in chunks:
                    yield chunk
        finally:
            if bound[2]:
                sessions.forget(bound)

    def _forget(call: Call, idents: list[str]) -> None:
        for ident in idents:
            sessions.forget(_key(call, ident))

    return middleware


def _key(call: Call, ident: str) -> Key:
    return call.agent.name, call.agent.url, ident


def _nobodys() -> Refusal:
    return Refusal(
        404,
        "no_such_session",
        detail="The session was opened by another caller or through another process, or has been forgotten.",
        hint="Open another: MCP clients do so by themselves when they read 404.",
        sent="none",
    )


def _is_stream(reply: Reply) -> bool:
    return not isinstance(reply.body, Body) and is_sse(reply.headers.get("Content-Type", ""))


ORIGIN: Final = "Origin"


def _without_origin(call: Call) -> Call:
    """The door has judged it; the server would take ours for its own and find a stranger's."""
    if ORIGIN not in call.headers:
        return call
    headers = call.headers.copy()
    headers.popall(ORIGIN)
    return call._replace(headers=CIMultiDictProxy(headers))


def _event(address: str, frame: bytes) -> bytes:
    """The `endpoint` event, with line ends as they came."""
    end = b"\r\n" if b"\r\n" in frame else b"\n"
    return b"event: endpoint" + end + b"data: " + address.encode() + end + end
