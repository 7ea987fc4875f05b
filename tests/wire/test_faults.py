"""Connections that are spoilt on the way, before every server that agents run on (X03).

Eight toxics by four kinds of traffic: each ends in time, in the way that is written here; nothing is sent twice,
and no connection stays behind.
"""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from journeys.sockets import CLOSE, MASK, TEXT, frame
from wire.calls import Notes, asking, fetching
from wire.origins.starting import NAMES, SOCKETS
from wire.test_request import Pieces
from wire.toxics import TOXICS, Proxy, toxic

from middleware.chain import compose
from middleware.exchange import Handler, Reply
from middleware.retry import retry
from policies.outcome import OUTCOMES
from policies.refusal import Refusal
from sidecar.wire import Wire

STREAM: Final = b"".join(b"data: %d\n\n" % number for number in range(20))
PIECES: Final = 8
LIMITS: Final = {"connect": 1.0, "first_byte": 1.0, "gap": 1.0, "total": 1.2}
HANDSHAKE: Final = {"sec_websocket_version": "13", "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ=="}
IN_TIME: Final = 5.0  # seconds: the longest of these, and a machine that is busy

# What comes of each kind of traffic, and (where it is spoilt only after a while) how many bytes pass before.
# A WebSocket that is silent may live for ever, and nobody can tell it from one that is dead: its caller ends it.
BREAKS: Final = ("agent_broke_off",) * 4
PASSES: Final = ("ok",) * 4
ENDS: Final = {
    "reset": BREAKS,
    "limit_data": BREAKS,
    "timeout": ("agent_total_timeout", "agent_gap_timeout", "agent_first_byte_timeout", "caller_left"),
    "latency": PASSES,
    "bandwidth": PASSES,
    "slicer": PASSES,
    "slow_close": PASSES,
}
CUT: Final = 3  # uploads that do not arrive whole
AFTER: Final = {"unary": 1000, "stream": 260, "upload": 1000, "tunnel": 1000}
PATIENT: Final = 1.0  # seconds for which the caller of a WebSocket waits for a word


async def unary(wire: Handler, url: str, run: str) -> str:
    reply = await wire(asking(url, f"/large?{run}"))
    assert reply.body.value == "x" * 2000
    return "ok"


async def stream(wire: Handler, url: str, run: str) -> str:
    """What came before the break was as it should be."""
    reply: Reply = await wire(asking(url, f"/stream?{run}", stream=True))
    taken = b""
    try:
        async for chunk in reply.body.chunks():
            taken += chunk
        assert taken == STREAM
    finally:
        assert STREAM.startswith(taken)
        await reply.close("ok")
    return "ok"


async def upload(wire: Handler, url: str, run: str) -> str:
    body = Pieces(*[b"y" * 250] * PIECES, length=250 * PIECES)
    reply = await wire(fetching(url, f"/echo?{run}", method="PUT", body=body))
    assert orjson.loads(await reply.body.head()) == {"length": 250 * PIECES, "method": "PUT"}
    await reply.close("ok")
    return "ok"


class Door(asyncio.Protocol):
    """Satisfies `Near`: our side of a caller's connection."""

    def __init__(self) -> None:
        self.come: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self.early = b""

    def connection_made(self, transport: Any) -> None:
        self.come.set_result(transport)

    def data_received(self, data: bytes) -> None:
        self.early += data

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        return self.come.result(), self.early


class Caller:
    """The caller's side of a WebSocket, and `door`, which is ours."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def connected(self) -> "Caller":
        self.door = Door()
        listening = await asyncio.get_running_loop().create_server(lambda: self.door, "127.0.0.1", 0)
        self.reader, self.writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        await self.door.come
        listening.close()
        return self

    async def hears(self, said: bytes) -> None:
        """Exactly this, piece by piece; ConnectionError or TimeoutError where the rest does not come."""
        heard = b""
        async with asyncio.timeout(PATIENT):
            while heard != said:
                piece = await self.reader.read(len(said) - len(heard))
                if not piece:
                    raise ConnectionError
                heard += piece
                assert said.startswith(heard)

    async def talk(self) -> None:
        """Each word comes back before the next is said; then both close."""
        for opcode, word in [*[(TEXT, b"y" * 250)] * PIECES, (CLOSE, b"\x03\xe8")]:
            self.writer.write(frame(word, opcode, MASK))
            await self.hears(frame(word, opcode))
        assert await self.reader.read() == b""


async def tunnel(wire: Handler, url: str, run: str) -> str:
    """What came before the break was as it should be; how it ended is what the tunnel says."""
    asked = fetching(url, f"/socket?{run}", upgrade="websocket", connection="Upgrade", **HANDSHAKE)
    reply: Reply = await wire(asked)
    assert (reply.status, reply.headers["Sec-WebSocket-Accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    caller = await Caller().connected()
    joined = asyncio.create_task(reply.body.join(caller.door, b""))
    with suppress(ConnectionError, TimeoutError):
        await caller.talk()
    caller.writer.close()
    ended: str = await joined
    await reply.close(ended)
    return ended


TRAFFIC: Final = (unary, stream, upload, tunnel)


async def cell(wire: Wire, asked: Handler, url: str, name: str, traffic: Any) -> tuple[str, str, Proxy]:
    """(how it ended, under which name its runs are counted, the proxy that it went through)."""
    run = str(uuid4())
    direction = "up" if traffic is upload else "down"
    async with toxic(url, name, direction=direction, after=AFTER[traffic.__name__]) as proxy:
        async with asyncio.timeout(IN_TIME):
            try:
                ended = await traffic(asked, proxy.url, run)
            except Refusal as refusal:
                ended = refusal.code
        for pool in wire.pools.values():
            if pool.way.origin.authority == proxy.url.removeprefix("http://"):
                assert len(pool.open) == len(pool.idle), f"{name}, {traffic.__name__}: a connection is left"
                for connection in pool.open:
                    connection.transport.abort()
        await proxy.empty()
    return ended, run, proxy


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("name", NAMES)
async def test_x03_whatever_spoils_a_connection_ends_in_its_own_way_and_is_not_sent_twice(
    wired, origins, notes: Notes, name: str
) -> None:
    url, wire = origins(name), wired(**LIMITS)
    asked = compose([retry(notes)], wire)
    await wire(asking(url))
    before = descriptors()
    kinds = [traffic for traffic in TRAFFIC if traffic is not tunnel or name in SOCKETS]
    matrix = [(spoilt, traffic) for spoilt in TOXICS for traffic in kinds]
    results = await asyncio.gather(*(cell(wire, asked, url, *one) for one in matrix))
    ended = {one: code for one, (code, _, _) in zip(matrix, results, strict=True)}
    assert ended == {one: ENDS[one[0]][TRAFFIC.index(one[1])] for one in matrix}
    assert set(ended.values()) <= set(OUTCOMES)
    assert {proxy.connections for _, _, proxy in results} == {1}
    runs = orjson.loads(await (await wire(fetching(url, "/runs"))).body.head())
    assert all(runs.get(run, 0) <= 1 for _, run, _ in results)
    assert sum(runs.get(run, 0) for _, run, _ in results) >= len(matrix) - CUT
    assert descriptors() <= before


@pytest.mark.parametrize("traffic", TRAFFIC)
async def test_x03_where_the_way_is_down_nothing_is_sent_and_the_budget_ends_the_waiting(
    wired, notes: Notes, traffic: Any
) -> None:
    asked = compose([retry(notes, budget=0.3)], wired(**LIMITS))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # the port is taken, and nobody listens
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with asyncio.timeout(IN_TIME):
            with pytest.raises(Refusal) as refused:
                await traffic(asked, url, str(uuid4()))
    assert refused.value.code == "agent_unavailable"
    attempts = set(notes.attempts)
    assert ("none", "agent_unreachable") in attempts
    assert attempts <= {
        ("none", "agent_unreachable"),
        ("none", "agent_unavailable"),
    }  # the last may be cut off
