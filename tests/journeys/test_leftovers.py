"""A call that is over leaves nothing behind that only the collector finds, which comes seldom."""

import gc
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest
from journeys.conftest import Start, leaving, said
from journeys.sockets import raw, speaking

from sidecar import sim

OURS = ("sidecar.", "middleware.", "policies.")
TIMES = 5


@pytest.fixture
def collector() -> Iterator[None]:
    """It stands still, so that nothing is taken away unseen."""
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def leftovers() -> Counter[str]:
    """What is ours and reachable by nobody, by its class."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    gc.garbage.clear()
    return Counter(
        {name: count for name, count in found.items() if name.startswith(OURS) and ".sim." not in name}
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        "hello",
        "step",
        "status 500",
        "refuse streaming",
        "die",
        "die mid-stream",
        "fail mid-stream",
        "truncate mid-stream",
        "mute",
        "silent mid-stream",
    ],
)
async def test_nothing_is_left_of_a_call_that_was_told_to_its_end(
    start: Start, agent: sim.Agent, collector: None, words: str, stream: bool
) -> None:
    sidecar = await start(agent.url, TIMEOUTS__GAP="0.2", TIMEOUTS__FIRST_BYTE="0.2", TIMEOUTS__TOTAL="0.3")
    gc.collect()
    for _ in range(TIMES):
        try:
            await (await sidecar.chat(said(words, stream=stream))).read()
        except aiohttp.ClientError:
            pass
    await sidecar.app.edge.idle.wait()
    assert leftovers() == {}


@pytest.mark.parametrize("words", ["mute", "silent", "silent mid-stream", "endless"])
async def test_nothing_is_left_of_a_call_whose_caller_has_left(
    start: Start, agent: sim.Agent, collector: None, words: str
) -> None:
    sidecar = await start(agent.url)
    gc.collect()
    for _ in range(TIMES):
        await leaving(sidecar, agent, words)
    await sidecar.app.edge.idle.wait()
    assert leftovers() == {}


async def test_nothing_is_left_of_a_request_that_was_turned_away(
    start: Start, agent: sim.Agent, collector: None
) -> None:
    sidecar = await start(agent.url)
    gc.collect()
    for _ in range(TIMES):
        for body in (b"{", b"{}", b'{"input": 1, "input": 2}'):
            await (await sidecar.chat(body)).read()
        await (await sidecar.chat({}, path="/nowhere")).read()
    await sidecar.app.edge.idle.wait()
    assert leftovers() == {}


@pytest.mark.parametrize("leaves", [True, False])
async def test_nothing_is_left_of_a_websocket(start: Start, collector: None, leaves: bool) -> None:
    async with speaking() as agent:
        sidecar = await start(agent.url)
        gc.collect()
        for _ in range(TIMES):
            async with raw(f"{sidecar.egress}/agents/default/ws") as caller:
                caller.say(b"hello")
                await caller.said()
                if leaves:
                    caller.writer.transport.abort()
                    await agent.closed.get()
        await sidecar.app.edge.idle.wait()
        assert leftovers() == {}
