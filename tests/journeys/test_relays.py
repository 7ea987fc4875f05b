"""Everything of an agent that is no chat: passed on as it is, under `/agents/<agent>/`."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from journeys import frontends
from journeys.conftest import HELLO, Running, Start
from journeys.frontends import EVENTS, App
from wire.hostile import Peer, serving
from yarl import URL

from sidecar import sim

NOTHING = """
def nothing(kit):
    async def middleware(call, forward):
        return await forward(call)
    return middleware
"""


async def test_an_answer_of_known_length_keeps_it(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    direct = await sidecar.http.get(f"{agent.url}/agent/info")
    through = await sidecar.http.get(f"{sidecar.egress}/agents/default/agent/info")
    assert await through.read() == await direct.read()
    assert through.headers["Content-Length"] == direct.headers["Content-Length"]
    assert "Transfer-Encoding" not in through.headers


async def test_a_head_request_is_told_the_length_and_no_body(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    direct = await sidecar.http.head(f"{agent.url}/agent/info")
    through = await sidecar.http.head(f"{sidecar.egress}/agents/default/agent/info")
    assert through.status == direct.status
    assert through.headers.get("Content-Length") == direct.headers.get("Content-Length")
    assert await through.read() == b""
    again = await sidecar.http.get(f"{sidecar.egress}/agents/default/health")
    assert again.status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
async def test_any_method_is_passed_on(start: Start, agent: sim.Agent, method: str) -> None:
    sidecar = await start(agent.url)
    there = URL(f"{sidecar.egress}/agents/default/some/path?q=%2F&q=2", encoded=True)
    answer = await sidecar.http.request(method, there)
    assert answer.status == 404
    assert (agent.last.method, agent.last.target) == (method, "/some/path?q=%2F&q=2")


async def test_trace_by_which_an_agent_would_repeat_the_apps_bearer_reaches_none(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__AUTH="static", AGENTS__DEFAULT__TOKEN="the-apps-own")
    answer = await sidecar.http.request("TRACE", f"{sidecar.egress}/agents/default/some/path")
    assert (answer.status, (await answer.json())["error"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert len(agent.visits) == 0


async def test_an_upload_is_passed_on_as_it_comes(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, MAX_BODY="1KiB")  # which limits chats, and nothing else
    body = bytes(range(256)) * 4000
    answer = await sidecar.http.put(f"{sidecar.egress}/agents/default/files/a", data=body)
    assert answer.status == 404
    assert agent.last.body == body


async def test_relays_are_closed_where_a_plugin_would_not_see_them(
    start: Start, agent: sim.Agent, tmp_path: Path
) -> None:
    plugin = tmp_path / "nothing.py"
    plugin.write_text(NOTHING)
    closed = await start(agent.url, MIDDLEWARE=f"{plugin}:nothing,default")
    refused = await closed.http.get(f"{closed.egress}/agents/default/agent/info")
    assert refused.status == 403
    assert (await refused.json())["error"] == "relay_closed"
    assert (await closed.call(HELLO)).status == 200
    opened = await start(agent.url, MIDDLEWARE=f"{plugin}:nothing,default", RELAY="open")
    assert (await opened.http.get(f"{opened.egress}/agents/default/agent/info")).status == 200


async def test_f09_an_upload_that_is_broken_in_the_middle_is_400_and_the_agent_is_left(start: Start) -> None:
    left = asyncio.Event()

    async def taking(peer: Peer) -> None:
        await peer.reader.readuntil(b"3\r\nabc\r\n")
        begun.set()
        await peer.left()
        left.set()

    async with serving(taking) as server:
        sidecar = await start(server.url)
        begun = asyncio.Event()
        egress = URL(sidecar.egress)
        reader, writer = await asyncio.open_connection(egress.host, egress.port)
        writer.write(
            b"PUT /agents/default/file HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n"
        )
        await begun.wait()
        writer.write(b"0x3\r\nabc\r\n")
        answer = await asyncio.wait_for(reader.read(), 2)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"error":"bad_request"' in answer
        await asyncio.wait_for(left.wait(), 1)
        assert not any(request.endswith(b"0\r\n\r\n") for request in server.requests)  # never a short success
        writer.close()


# --- an agent that says what it was asked ------------------------------------------------------------------

OURS = {"AGENTS__DEFAULT__AUTH": "static", "AGENTS__DEFAULT__TOKEN": "the-apps-own"}
USER = {"x-forwarded-access-token": "the-users-own", "x-forwarded-email": "ada@example.org"}


@pytest.fixture
async def there() -> AsyncIterator[App]:
    async with frontends.app() as one:
        yield one


@pytest.fixture
async def sidecar(start: Start, there: App) -> Running:
    return await start(there.url, **OURS)


def at(sidecar: Running, path: str) -> URL:
    return URL(f"{sidecar.egress}/agents/default{path}", encoded=True)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_a_relay_carries_the_credential_and_for_whom_whatever_the_method(
    sidecar: Running, there: App, method: str
) -> None:
    mine = USER | {"Authorization": "Bearer mine", "Cookie": "a=1", "X-Forwarded-For": "10.0.0.1"}
    data = None if method == "GET" else b"any bytes \xff"
    answer = await sidecar.http.request(method, at(sidecar, "/any%2Fwhere?q=%zz&q"), headers=mine, data=data)
    seen = await answer.json()
    assert (seen["method"], seen["target"]) == (method, "/any%2Fwhere?q=%zz&q")
    assert seen["length"] == len(data or b"")
    assert there.header("Authorization") == "Bearer the-apps-own"
    assert there.header("x-forwarded-access-token") == "the-users-own"
    assert there.header("x-app-user-email") == "ada@example.org"
    assert [there.header(name) for name in ("Cookie", "X-Forwarded-For", "x-forwarded-email")] == [None] * 3


async def test_uploads_and_downloads_of_any_size_pass_without_being_held(
    sidecar: Running, there: App
) -> None:
    pieces = [bytes([number]) * 65536 for number in range(256)]  # 16 MiB

    async def sent() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    answer = await sidecar.http.put(at(sidecar, "/up"), data=sent())
    assert (await answer.json())["digest"] == hashlib.sha256(b"".join(pieces)).hexdigest()
    size, got = 32 << 20, 0
    answer = await sidecar.http.get(at(sidecar, f"/big?size={size}"))
    assert answer.headers["Content-Length"] == str(size)
    async for piece in answer.content.iter_any():
        got += len(piece)
    assert got == size


async def test_an_event_stream_that_is_no_chats_passes_as_it_is_sent(sidecar: Running, there: App) -> None:
    whole = await sidecar.http.get(at(sidecar, "/stream"))
    assert await whole.read() == b"".join(EVENTS)
    answer = await sidecar.http.get(at(sidecar, "/steps"))
    for piece in (b"data: o", b"ne\r\n\r\n", b": odd\n\n", b'data: {"error": "its own affair"}\n\n'):
        there.steps.put_nowait(piece)
        assert await answer.content.readany() == piece
    there.steps.put_nowait(None)
    assert await answer.content.read() == b""


async def test_bytes_that_look_like_an_error_are_bytes(sidecar: Running, there: App) -> None:
    answer = await sidecar.http.get(at(sidecar, "/steps?type=application/octet-stream"))
    there.steps.put_nowait(b'\ndata: {"error":"in a file that somebody downloads"}\n\n')
    there.steps.put_nowait(None)
    await answer.read()
    assert (await sidecar.calls())[0]["outcome"] == "ok"


async def test_whoever_leaves_a_relay_is_left_by_the_agent_too(sidecar: Running, there: App) -> None:
    asking = asyncio.create_task(sidecar.http.get(at(sidecar, "/slow")))
    await there.begun.wait()
    asking.cancel()
    async with asyncio.timeout(1):
        await there.left.wait()


async def test_what_speaks_for_an_origin_stays_with_the_agent(sidecar: Running) -> None:
    """H16"""
    answer = await sidecar.http.get(at(sidecar, "/cookies"), allow_redirects=False, auto_decompress=False)
    assert answer.headers.getall("X-Two") == ["1", "2"]
    assert answer.headers["Server"] == "sidecar"
    assert len(answer.headers.getall("Date")) == 1
    for name in ("Set-Cookie", "Location", "Strict-Transport-Security", "Access-Control-Allow-Origin"):
        assert name not in answer.headers


@pytest.mark.parametrize(
    "asks", ["PUT /agents/default/x", "POST /agents/default/invocations", "POST /api/chat"]
)
async def test_f26_leave_to_send_a_body_is_given_when_it_is_wanted(
    sidecar: Running, there: App, asks: str
) -> None:
    door, body = URL(sidecar.egress), b'{"input":"hello"}'
    head = (
        f"{asks} HTTP/1.1\r\nHost: {door.authority}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    )
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(f"{head}Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert there.asked[-1]["length"] >= len(body)


async def test_a_websocket_is_a_relay_like_any_other(start: Start, there: App, tmp_path: Path) -> None:
    sidecar = await start(there.url, **OURS)
    async with sidecar.http.ws_connect(at(sidecar, "/ws"), headers=USER) as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"
    assert there.header("Authorization") == "Bearer the-apps-own"
    assert there.header("x-app-user-email") == "ada@example.org"
    plugin = tmp_path / "nothing.py"
    plugin.write_text(NOTHING)
    closed = await start(there.url, MIDDLEWARE=f"{plugin}:nothing,default")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await closed.http.ws_connect(at(closed, "/ws"))
    assert refused.value.status == 403
