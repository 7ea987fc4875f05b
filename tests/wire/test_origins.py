"""The servers that agents really run on, at the other end of the wire, each a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import orjson
import pytest
from wire.calls import asking, fetching
from wire.hostile import until
from wire.origins.starting import EARLY, NAMES, UNTIL_CLOSED
from wire.test_push import Taking
from wire.test_request import Pieces

from middleware.exchange import Body
from sidecar import sim


@pytest.fixture(params=NAMES)
def origin(request: pytest.FixtureRequest, origins) -> str:
    """The URL of such a server."""
    return origins(request.param)


async def fetched(wire, url: str, target: str, **given) -> object:
    return orjson.loads(await (await wire(fetching(url, target, **given))).body.head())


async def test_every_framing_is_read_on_one_connection(wire, origin):
    stream = b"".join(b"data: %d\n\n" % number for number in range(20))
    for _ in range(3):
        reply = await wire(asking(origin, "/echo", body=Body(b"x" * 200_000)))
        assert reply.body.value == {"length": 200_000, "method": "POST"}
        assert (await wire(asking(origin, "/chunked"))).body.value == [1, 2]
        assert (await wire(asking(origin, "/nothing"))).status == 204
        unchanged = await wire(fetching(origin, "/unchanged"))
        assert (unchanged.status, unchanged.headers["ETag"]) == (304, '"1"')
        assert await unchanged.body.head() == b""
        assert (await wire(asking(origin, "/unknown"))).status == 404
        assert await (await wire(fetching(origin, "/echo", method="HEAD"))).body.head() == b""
        reply, sink = await wire(asking(origin, "/stream", stream=True)), Taking()
        await reply.body.pump(sink)
        assert sink.bytes == stream
    (pool,) = wire.pools.values()
    assert (len(pool.open), len(pool.idle)) == (1, 1)


async def test_p05_whatever_follows_a_head_of_unknown_length_is_not_read(wire, origin):
    for _ in range(2):
        assert await (await wire(fetching(origin, "/chunked", method="HEAD"))).body.head() == b""
        assert (await wire(asking(origin, "/chunked"))).body.value == [1, 2]


@pytest.mark.parametrize("name", EARLY)
async def test_what_is_said_before_the_answer_is_not_taken_for_it(wire, origins, name):
    for _ in range(2):
        reply = await wire(asking(origins(name), "/early"))
        assert (reply.status, reply.body.value["method"]) == (200, "POST")
        assert "Link" not in reply.headers
    assert [len(pool.open) for pool in wire.pools.values()] == [1]


@pytest.mark.parametrize("name", UNTIL_CLOSED)
async def test_a_body_that_ends_with_its_connection_is_whole_and_the_next_one_has_another(
    wire, origins, name
):
    for _ in range(2):
        assert (await wire(asking(origins(name), "/until-closed"))).body.value == [1, 2]
        assert [len(pool.idle) for pool in wire.pools.values()] == [0]


async def test_uploads_arrive_whole_in_either_framing(wire, origin):
    pieces = [b"y" * 10_000] * 30
    for length in (None, 300_000):
        told = await fetched(wire, origin, "/echo", method="PUT", body=Pieces(*pieces, length=length))
        assert told == {"length": 300_000, "method": "PUT"}


async def test_an_upload_waits_for_a_server_that_does_not_read_yet(wire, origin):
    taken, gate = 0, f"?{uuid4()}"

    class Counted(Pieces):
        async def chunks(self):
            nonlocal taken
            while taken < 768:  # 48 MiB: more than all sockets on the way hold
                taken += 1
                yield b"z" * 65536

    upload = fetching(origin, "/gated" + gate, method="PUT", body=Counted(length=768 << 16))
    answer = asyncio.create_task(wire(upload))
    before = -1
    while not taken or taken != before:
        before = taken
        await asyncio.sleep(0.05)
    assert taken < 768
    assert (await wire(fetching(origin, "/open" + gate))).status == 204
    reply = await answer
    assert orjson.loads(await reply.body.head()) == {"length": 768 << 16, "method": "PUT"}


async def test_many_at_once_each_get_their_own_answer(wire, origin):
    sizes = range(1, 120)
    replies = await asyncio.gather(*(wire(asking(origin, "/echo", body=Body(b"z" * size))) for size in sizes))
    assert [reply.body.value["length"] for reply in replies] == list(sizes)


async def test_after_a_server_has_closed_an_idle_connection_nothing_is_sent_on_it(wire, origins, notes):
    """Each closes it after a second; all are waited for at once."""

    async def twice(url: str) -> None:
        runs = [f"?{uuid4()}" for _ in range(2)]
        await wire(asking(url, "/echo" + runs[0]))
        (pool,) = (pool for origin, pool in wire.pools.items() if url.endswith(origin.authority))
        (kept,) = pool.open
        await until(lambda: kept not in pool.open, pool.lifetime - 0.5)
        await wire(asking(url, "/echo" + runs[1]))
        counted = await fetched(wire, url, "/runs")
        assert [counted[run[1:]] for run in runs] == [1, 1]

    await asyncio.gather(*(twice(origins(name)) for name in NAMES))
    assert set(notes.attempts) == {("full", "answered")}


@pytest.fixture
async def agent() -> AsyncIterator[sim.Agent]:
    async with sim.agent() as one:
        yield one


async def test_an_agent_of_the_demo_answers_whole_and_as_a_stream(wire, agent):
    hello = Body(b'{"input":[{"role":"user","content":"hello"}]}')
    assert (await wire(asking(agent.url, body=hello, content_type="application/json"))).body.value["output"]
    streamed = Body(hello.raw[:-1] + b',"stream":true}')
    reply = await wire(asking(agent.url, body=streamed, stream=True, content_type="application/json"))
    events = [event.data async for event in reply.body.events()]
    assert events[-1] == "[DONE]"
