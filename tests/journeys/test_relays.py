"""Everything of an agent that is no chat: passed on as it is, under `/agents/<agent>/`."""

import asyncio
from pathlib import Path

import pytest
from journeys.conftest import HELLO, Start
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
