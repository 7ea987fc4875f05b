"""The end of a real `sidecar run`, with all that can be open at that moment. L02, L04, L07."""

import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from journeys.conftest import client, said
from journeys.process import Started
from journeys.test_run import FRONTEND, ended, up

from sidecar import sim


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with client() as session:
        yield session


async def test_l02_l04_l07_all_that_is_open_gets_its_last_word_and_an_app_that_will_not_end_is_killed(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await process("run", "--", *FRONTEND, "ignore-term", AGENT_APP_URL=agent.url)
    app = await up(one, http)
    front = one.doors["front"]
    async with http.get(f"{app}/given") as told:
        agents_address = (await told.json())["env"]["AGENT_APP_URL"]
    piped = await http.get(
        f"{front}/stream"
    )  # the app passes on what its agent says, and that is without end
    own = await http.get(f"{front}/ticks")  # without end, and the app's own
    await piped.content.readuntil(b"\n\n")
    await own.content.readuntil(b"\n\n")
    async with http.ws_connect(f"{front}/socket") as socket_:
        began = time.monotonic()
        one.signal(signal.SIGTERM)
        async with http.get(f"{front}/ask") as late:  # asks its agent while all of us are asked to end
            assert late.status == 200
            assert "hello" in await late.text()
        async with http.get(f"{one.doors['admin']}/readyz") as ready:
            assert ready.status == 503
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(f"{front}/given")
        passed_on = await piped.read()  # to its proper end, or it raises
        assert b'"code":"draining"' in passed_on
        ticked = await own.read()
        assert b'"code":"draining"' in ticked
        assert 9 <= time.monotonic() - began < 10
        closed = await socket_.receive(timeout=2)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    async with http.get(f"{app}/given") as still:  # the app is there until the last, and so is its agent
        assert still.status == 200
    async with http.post(f"{agents_address}/invocations", json=said("hello", stream=False)) as answer:
        assert answer.status == 200
    code, out, _ = await ended(one, within=4)
    assert code == 137
    assert "the socket was closed with 1012" in out
    assert 11 <= time.monotonic() - began < 12
