"""The real process: how it starts, what it says, how it stops."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys.conftest import HELLO, client, said
from journeys.process import Started

from sidecar import sim
from sidecar.main import running

IMPORTED = time.monotonic()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with client() as session:
        yield session


async def test_l01_an_idle_process_ends_at_once_when_asked(process: Started, agent: sim.Agent) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    began = time.monotonic()
    one.signal(signal.SIGTERM)
    assert await one.ended(within=5) == 0
    assert time.monotonic() - began < 1.9  # a second of notice, and the interpreter's own end


async def test_l02_a_whole_answer_finishes_and_an_endless_stream_gets_its_last_word(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    whole = asyncio.create_task(_text(http, one.doors["front"], said("slow 2 hello", stream=False)))
    await agent.called(1)
    stream = await http.post(f"{one.doors['front']}/api/chat", json=said("silent mid-stream"))
    await stream.content.readuntil(b"\n\n")
    began = time.monotonic()
    one.signal(signal.SIGTERM)
    assert "hello" in await whole
    raw = await stream.read()  # a proper end: nothing is raised
    assert b'"code":"draining"' in raw
    assert b"[DONE]" not in raw
    assert await one.ended(within=12) == 0
    assert time.monotonic() - began < 12


async def test_l03_a_second_signal_means_now(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    stream = await http.post(f"{one.doors['front']}/api/chat", json=said("silent mid-stream"))
    await stream.content.readuntil(b"\n\n")
    one.signal(signal.SIGTERM)
    await _until_unready(http, one.doors["admin"])
    began = time.monotonic()
    one.signal(signal.SIGTERM)
    await one.ended(within=5)
    assert time.monotonic() - began < 1.0


async def test_l04_while_it_drains_readyz_says_so_and_the_front_closes_after_a_second(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    stream = await http.post(f"{one.doors['front']}/api/chat", json=said("silent mid-stream"))
    await stream.content.readuntil(b"\n\n")
    async with http.get(f"{one.doors['admin']}/readyz") as ready:
        assert ready.status == 200
    one.signal(signal.SIGTERM)
    await _until_unready(http, one.doors["admin"])
    async with http.post(f"{one.doors['front']}/api/chat", json=HELLO) as still:
        assert still.status == 200
    await _until_refused(http, one.doors["front"])
    async with http.post(f"{one.doors['egress']}/invocations", json=HELLO) as egress:
        assert egress.status == 200


async def test_l08_a_taken_port_is_one_line_and_exit_1(process: Started, agent: sim.Agent) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        one = await process("serve", AGENT_APP_URL=agent.url, SIDECAR_PORT=port)
        out, err = await one.process.communicate()
    assert one.process.returncode == 1
    assert err.decode().count("\n") == 1
    assert f"127.0.0.1:{port}" in err.decode()
    assert "SIDECAR_PORT" in err.decode()
    assert b"Traceback" not in out + err


async def test_l08_an_address_that_is_not_this_machines_is_told_with_the_setting_that_holds_it(
    process: Started, agent: sim.Agent
) -> None:
    one = await process("serve", AGENT_APP_URL=agent.url, SIDECAR_ADMIN_HOST="192.0.2.1")
    _, err = await one.process.communicate()
    assert (one.process.returncode, err.decode()) == (
        1,
        "sidecar: The admin door cannot listen on 192.0.2.1:0: this machine has no such address. "
        "SIDECAR_ADMIN_HOST chooses another.\n",
    )


async def test_the_demo_takes_the_next_free_port_and_says_so(
    process: Started, http: aiohttp.ClientSession
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one = await (await process("demo", SIDECAR_PORT=str(port))).ready()
        assert f"port {port} is taken: the front door listens on" in one.said
        assert "hello" in await _text(http, one.doors["front"], said("hello"))


async def test_l09_it_starts_although_everything_behind_it_is_down(
    process: Started, http: aiohttp.ClientSession
) -> None:
    down = "http://127.0.0.1:1"
    one = await process(
        "serve",
        AGENT_APP_URL=down,
        DATABRICKS_HOST=down,
        DATABRICKS_CLIENT_ID="id",
        DATABRICKS_CLIENT_SECRET="canary-secret",
        DATABRICKS_APP_NAME="",
    )
    await one.ready()
    async with http.get(f"{one.doors['admin']}/healthz") as health:
        assert health.status == 200
    await _until_unready(http, one.doors["admin"], within=10)
    async with http.get(f"{one.doors['admin']}/readyz") as ready:
        assert "credential" in await ready.text()
        assert "canary-secret" not in await ready.text()


async def test_without_an_agent_serve_ends_with_78_and_names_the_variable(process: Started) -> None:
    one = await process("serve")
    _, err = await one.process.communicate()
    assert one.process.returncode == 78
    assert b"AGENT_APP_URL" in err


async def test_a_caller_who_leaves_the_real_process_closes_the_agent(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    asking = asyncio.create_task(http.post(f"{one.doors['front']}/api/chat", json=said("mute")))
    await agent.called()
    asking.cancel()
    await agent.left(within=1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it counts from behind the imports")
def test_what_it_took_to_be_ready_counts_from_when_the_process_was_started() -> None:
    assert (running() or 0) >= time.monotonic() - IMPORTED


async def test_the_start_block_tells_doors_belief_agents_and_chain(
    process: Started, agent: sim.Agent
) -> None:
    one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
    for words in (agent.url, "trusted", "believes nobody", "access → contract → streaming", "kind responses"):
        assert words in one.said


async def test_the_databricks_sdk_never_enters_the_process(process: Started, agent: sim.Agent) -> None:
    async with sim.workspace() as workspace:
        one = await process(
            "serve",
            AGENT_APP_URL=agent.url,
            DATABRICKS_HOST=workspace.url,
            DATABRICKS_CLIENT_ID=workspace.client_id,
            DATABRICKS_CLIENT_SECRET=workspace.client_secret,
        )
        await one.ready()
        async with aiohttp.ClientSession() as http:
            await _text(http, one.doors["front"], HELLO)
        assert agent.last.headers["Authorization"].startswith("Bearer ")
        mapped = Path(f"/proc/{one.process.pid}/maps").read_text()
        assert "cryptography" not in mapped  # which databricks-sdk brings into a process


async def _text(http: aiohttp.ClientSession, door: str, body: Any) -> str:
    async with http.post(f"{door}/api/chat", json=body) as answer:
        return await answer.text()


async def _until_unready(http: aiohttp.ClientSession, admin: str, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while True:
            async with http.get(f"{admin}/readyz") as ready:
                if ready.status == 503:
                    return
            await asyncio.sleep(0.02)


async def _until_refused(http: aiohttp.ClientSession, front: str) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                async with http.get(f"{front}/healthz"):
                    await asyncio.sleep(0.02)
            except aiohttp.ClientConnectorError:
                return
            except aiohttp.ClientConnectionError:
                continue  # it was open at that moment, and nothing had been asked on it
