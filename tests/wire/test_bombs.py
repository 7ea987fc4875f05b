"""An agent whose small answer holds a large one, before the real process: P07."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from journeys.process import Process, Started, starting
from wire.hostile import always, serving

BOMB = gzip.compress(b'{"output":["' + bytes(100 << 20), 9)  # a thousand to one
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BOMB)
) + BOMB


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Started]:
    async with starting(tmp_path) as started:
        yield started


def peak(one: Process) -> int:
    """The most memory that it has had, in bytes."""
    lines = Path(f"/proc/{one.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


async def test_p07_what_would_have_to_be_unpacked_beyond_the_bound_is_refused_and_costs_no_more(
    process: Started,
) -> None:
    assert len(BOMB) * 900 < 100 << 20
    async with serving(always(ANSWER)) as agent:
        one = await (await process("serve", AGENT_APP_URL=agent.url)).ready()
        async with aiohttp.ClientSession() as http:

            async def asked() -> tuple[int, str]:
                body = {"input": "hi", "stream": True}
                async with http.post(
                    f"{one.doors['egress']}/agents/default/invocations", json=body
                ) as answer:
                    return answer.status, (await answer.json())["error"]

            before = peak(one)
            assert await asyncio.gather(*(asked() for _ in range(8))) == [(502, "agent_too_large")] * 8
            assert peak(one) - before < 64 << 20
