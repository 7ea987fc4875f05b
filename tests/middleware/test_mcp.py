"""The first event of an MCP server's older stream, however it is framed and cut; all behind it as it came. B11."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.dialects.mcp import relay
from middleware.exchange import NO_HEADERS, Body, Call, Handler, Reply, headers
from middleware.sessions import Sessions
from middleware.streams import Told
from policies.agent import Agent, Caller
from policies.refusal import Refusal

AGENT = Agent("tools", "http://127.0.0.1:9000/p", kind="mcp")
SSE = headers(("Content-Type", "text/event-stream"))
REST = b': ping\r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\r\n\r\n'


def asking(method: str = "GET", target: str = "/sse", email: str = "ann@example.org", **more: str) -> Call:
    given = headers(*((name.replace("_", "-"), value) for name, value in more.items()))
    caller = Caller(believed=True, email=email)
    return Call(AGENT, caller, "responses", method, target, given, Body(b""), None, "r1")


def answering(*chunks: bytes) -> Handler:
    async def later() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def forward(call: Call) -> Reply:
        return Reply(200, SSE, Told(later()))

    return forward


async def told(sessions: Sessions, *chunks: bytes) -> bytes:
    reply = await relay(sessions)(asking(), answering(*chunks))
    assert not isinstance(reply.body, Body)
    return b"".join([chunk async for chunk in reply.body.chunks()])


def endpoint(end: str, before: str = "", data: str = "/p/messages/?session_id=s1") -> bytes:
    return f"{before}event: endpoint{end}data: {data}{end}{end}".encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", ": hello\n\n", ": ping\r\n\r\n"])
async def test_every_single_cut_tells_the_same(end: str, before: str) -> None:
    raw = endpoint(end, before) + REST
    for cut in range(1, len(raw)):
        answer = await told(Sessions(), raw[:cut], raw[cut:])
        first, _, rest = answer.partition(REST[:8])
        assert b"data: ./messages/?session_id=s1" in first
        assert b"/p/" not in first
        assert (REST[:8] + rest).endswith(REST)


@settings(max_examples=1000, deadline=None)
@given(st.data())
async def test_what_begins_otherwise_passes_as_it_came(data: st.DataObject) -> None:
    """A stream of the newer transport, or anybody's: not a byte of it changes, wherever it is cut."""
    raw = data.draw(
        st.sampled_from([REST, b"data: endpoint\n\n" + REST, b"event: x\ndata: /p/m\n\n", b"no event", b""])
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert await told(Sessions(), *(chunk for chunk in chunks if chunk)) == raw


async def test_a_session_of_a_stream_ends_with_it() -> None:
    sessions = Sessions()
    middleware = relay(sessions)
    reply = await middleware(asking(), answering(endpoint("\n"), REST))
    assert not isinstance(reply.body, Body)
    stream = reply.body.chunks()
    await anext(stream)
    posted = asking("POST", "/messages/?session_id=s1")
    assert (await middleware(posted, answering())).status == 200
    with pytest.raises(Refusal):
        await middleware(asking("POST", "/messages/?session_id=s1", "bob@example.org"), answering())
    async for _ in stream:
        pass
    with pytest.raises(Refusal) as refused:
        await middleware(posted, answering())
    assert (refused.value.status, refused.value.code) == (404, "no_such_session")


async def test_an_endpoint_that_names_no_session_is_its_callers_all_the_same() -> None:
    """Some servers put it into the path."""
    sessions = Sessions()
    middleware = relay(sessions)
    reply = await middleware(asking(), answering(endpoint("\n", data="/p/messages/s1"), REST))
    assert not isinstance(reply.body, Body)
    stream = reply.body.chunks()
    assert b"data: ./messages/s1\n" in await anext(stream)
    for spelled in ("/messages/s1", "/messages/%731"):
        with pytest.raises(Refusal):
            await middleware(asking("POST", spelled, "bob@example.org"), answering())
        assert (await middleware(asking("POST", spelled), answering())).status == 200
    await stream.aclose()  # type: ignore[attr-defined]


async def test_origin_ends_here_and_nothing_else_of_the_headers() -> None:
    seen: list[Any] = []

    async def forward(call: Call) -> Reply:
        seen.append(list(call.headers.items()))
        return Reply(202, NO_HEADERS, Body(b""))

    middleware = relay(Sessions())
    await middleware(asking("POST", "/mcp", Origin="http://a", Mcp_Method="ping", Accept="*/*"), forward)
    await middleware(asking("POST", "/mcp", Mcp_Method="ping"), forward)
    assert seen == [[("Mcp-Method", "ping"), ("Accept", "*/*")], [("Mcp-Method", "ping")]]
