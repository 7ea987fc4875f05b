"""Connections that are spoilt on the way, before every server that agents run on (X03).

Seven toxics by three kinds of traffic: each ends in time, in the way that is written here; nothing is sent twice,
and no connection stays behind.
"""

import asyncio
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from wire.calls import Notes, asking, fetching
from wire.origins.starting import NAMES
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
IN_TIME: Final = 5.0  # seconds: the longest of these, and a machine that is busy

# What comes of each kind of traffic, and (where it is spoilt only after a while) how many bytes pass before.
BREAKS: Final = ("agent_broke_off", "agent_broke_off", "agent_broke_off")
PASSES: Final = ("ok", "ok", "ok")
ENDS: Final = {
    "reset": BREAKS,
    "limit_data": BREAKS,
    "timeout": ("agent_total_timeout", "agent_gap_timeout", "agent_first_byte_timeout"),
    "latency": PASSES,
    "bandwidth": PASSES,
    "slicer": PASSES,
    "slow_close": PASSES,
}
CUT: Final = 3  # uploads that do not arrive whole
AFTER: Final = {"unary": 1000, "stream": 260, "upload": 1000}


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


TRAFFIC: Final = (unary, stream, upload)


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
    matrix = [(spoilt, traffic) for spoilt in TOXICS for traffic in TRAFFIC]
    results = await asyncio.gather(*(cell(wire, asked, url, *one) for one in matrix))
    ended = {one: code for one, (code, _, _) in zip(matrix, results, strict=True)}
    assert ended == {one: ENDS[one[0]][TRAFFIC.index(one[1])] for one in matrix}
    assert set(ended.values()) <= set(OUTCOMES)
    assert {proxy.connections for _, _, proxy in results} == {1}
    runs = orjson.loads(await (await wire(fetching(url, "/runs"))).body.head())
    assert all(runs.get(run, 0) <= 1 for _, run, _ in results)
    assert sum(runs.get(run, 0) for _, run, _ in results) >= len(matrix) - CUT
    assert descriptors() <= before
