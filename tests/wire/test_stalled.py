"""A caller who stops reading, through the real doors: what he costs, whom he harms, and when he is cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wire.hostile import Server, serving, until
from wire.test_push import flooding

from sidecar import settings
from sidecar.app import Sidecar

STALLED = 384 << 10  # bytes that one stalled stream may hold: the caller's 64 KiB and one read of the agent's
ASK = (
    b"POST /agents/default/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 27\r\n\r\n{"input":[],"stream": true}'
)


@asynccontextmanager
async def running(url: str, **given: str) -> AsyncIterator[Sidecar]:
    free = {f"SIDECAR_{door}PORT": "0" for door in ("", "EGRESS_", "ADMIN_")}
    app = Sidecar(settings.load(free | {"AGENT_APP_URL": url} | given))
    await app.start()
    try:
        yield app
    finally:
        await app.stack.aclose()


async def stalled(app: Sidecar) -> asyncio.StreamWriter:
    """Asks for a stream and never reads it."""
    port = app.listeners["egress"].port
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.transport.pause_reading()
    writer.write(ASK)
    return writer


def held(app: Sidecar) -> list[int]:
    """Bytes that each open answer holds in this process, for its caller and for its reader."""
    connections = [answer.request.connection for answer in app.edge.open.values()]
    return [one.transport.get_write_buffer_size() for one in connections if one.transport is not None]


async def settled(app: Sidecar, agent: Server, streams: int) -> None:
    """Until the agent has not written for a while, because nobody takes any more."""
    await until(lambda: len(app.edge.open) == streams)
    before = -1
    while before != agent.written:
        before = agent.written
        await asyncio.sleep(0.1)


async def test_s19_a_stalled_stream_holds_no_more_than_384_kib() -> None:
    async with serving(flooding) as agent, running(agent.url) as app:
        writers = [await stalled(app) for _ in range(10)]
        await until(lambda: len(agent.requests) == 10)
        await settled(app, agent, 10)
        assert len(held(app)) == 10
        assert max(held(app)) <= STALLED
        assert min(held(app)) > 0
        for writer in writers:
            writer.transport.abort()
        await agent.empty()


async def test_s19_d03_a_stalled_reader_is_cut_and_its_agent_left_while_others_read_on() -> None:
    async with serving(flooding) as agent, running(agent.url, SIDECAR_WRITE_TIMEOUT="0.3") as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.listeners["egress"].port)
        writer.write(ASK)
        assert await reader.read(1000)
        lame = await stalled(app)
        await until(lambda: agent.open == 2)

        async def reading() -> None:
            while agent.open == 2:
                assert await reader.read(1 << 16)

        await asyncio.wait_for(reading(), 5)  # the stalled one was cut, and this one never waited
        assert await reader.read(1000)
        await until(lambda: len(app.edge.open) == 1)
        writer.transport.abort()
        lame.transport.abort()
        await agent.empty()
