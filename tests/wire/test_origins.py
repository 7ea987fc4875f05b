"""The servers that agents really run on, at the other end of the wire, each a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httptools
import orjson
import pytest
from needs import need
from peers import running
from wire.calls import asking, fetching
from wire.test_push import Taking
from wire.test_request import Pieces

from middleware.exchange import Body
from sidecar import sim

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module", params=["uvicorn, h11", "uvicorn, httptools", "node"])
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of such a server."""
    folder = tmp_path_factory.mktemp("origin")
    name, _, http = request.param.partition(", ")
    if name == "node":
        process = running.start(need("node"), HERE / "origin_node.mjs", folder=folder)
    else:
        ours = str(Path(httptools.__file__).parent.parent)
        process = running.start(need("peers"), HERE / "origin_asgi.py", http, ours, folder=folder)
    try:
        yield running.ready(process, folder)
    finally:
        running.end(process)


async def test_every_framing_is_read_on_one_connection(wire, origin):
    stream = b"".join(b"data: %d\n\n" % number for number in range(20))
    for _ in range(3):
        reply = await wire(asking(origin, "/echo", body=Body(b"x" * 200_000)))
        assert reply.body.value == {"length": 200_000, "method": "POST"}
        assert (await wire(asking(origin, "/chunked"))).body.value == [1, 2]
        assert (await wire(asking(origin, "/nothing"))).status == 204
        assert (await wire(asking(origin, "/unknown"))).status == 404
        assert await (await wire(fetching(origin, "/echo", method="HEAD"))).body.head() == b""
        reply, sink = await wire(asking(origin, "/stream", stream=True)), Taking()
        await reply.body.pump(sink)
        assert sink.bytes == stream
    (pool,) = wire.pools.values()
    assert (len(pool.open), len(pool.idle)) == (1, 1)


async def test_uploads_arrive_whole_in_either_framing(wire, origin):
    pieces = [b"y" * 10_000] * 30
    for length in (None, 300_000):
        call = fetching(origin, "/echo", method="PUT", body=Pieces(*pieces, length=length))
        raw = await (await wire(call)).body.head()
        assert orjson.loads(raw) == {"length": 300_000, "method": "PUT"}


async def test_many_at_once_each_get_their_own_answer(wire, origin):
    sizes = range(1, 120)
    replies = await asyncio.gather(*(wire(asking(origin, "/echo", body=Body(b"z" * size))) for size in sizes))
    assert [reply.body.value["length"] for reply in replies] == list(sizes)


@pytest.fixture
async def agent() -> AsyncIterator[sim.Agent]:
    async with sim.agent() as one:
        yield one


async def test_an_agent_on_aiohttp_answers_whole_and_as_a_stream(wire, agent):
    hello = Body(b'{"input":[{"role":"user","content":"hello"}]}')
    assert (await wire(asking(agent.url, body=hello, content_type="application/json"))).body.value["output"]
    streamed = Body(hello.raw[:-1] + b',"stream":true}')
    reply = await wire(asking(agent.url, body=streamed, stream=True, content_type="application/json"))
    events = [event.data async for event in reply.body.events()]
    assert events[-1] == "[DONE]"
