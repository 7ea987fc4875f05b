"""However a request is written, the servers that agents run on see those that we let in, and no other. F29

The corpus is that of the front, at egress, and the table of tests/journeys/test_framing.py. Each request, and the one
that is hidden behind it or in it, carry a number, which is counted where they arrive.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator

import aiohttp
import pytest
from journeys.test_framing import CHUNKS, HEADS, HOST, MEANT
from journeys.test_front_origins import corpus
from wire.origins.starting import NAMES
from wire.test_stalled import running

from sidecar.app import Sidecar

NUMBER = b"NUMBERED"  # as long as what stands for it
SHOWN = b"/agents/default/echo?" + NUMBER
HIDDEN = b"GET /agents/default/echo?hidden-" + NUMBER + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n"
LAST = b"GET /agents/nobody/x HTTP/1.1\r\n" + HOST + b"\r\nConnection: close\r\n\r\n"
ANSWERED = re.compile(rb'"length": ?\d+')
AT_ONCE = 8


def payloads() -> Iterator[bytes]:
    for payload in corpus(HIDDEN):
        yield payload.replace(b"/x", SHOWN).replace(b"Host: a\r", HOST + b"\r")
    for row in (*HEADS.values(), *MEANT.values(), *CHUNKS.values()):
        yield row.payload.replace(b"TARGET", SHOWN) + HIDDEN


def numbered() -> dict[str, bytes]:
    return {
        number: payload.replace(NUMBER, number.encode())
        for number, payload in ((f"{count:08}", payload) for count, payload in enumerate(payloads()))
    }


async def answered(app: Sidecar, payload: bytes) -> int:
    """How many requests of it an agent has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.listeners["egress"].port)
    told = b""
    try:
        writer.write(payload + LAST)
        async with asyncio.timeout(1):
            while piece := await reader.read(65536):
                told += piece
    except (OSError, TimeoutError):  # what came last was taken for a body
        pass
    writer.close()
    return len(ANSWERED.findall(told))


async def runs(url: str) -> Counter[str]:
    """How many requests of each query the server has worked on."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/runs") as answer:
        return Counter(await answer.json())


@pytest.mark.parametrize("name", NAMES)
async def test_f29_an_agents_server_sees_as_many_requests_as_we_let_in_and_answers_each(
    origins: Callable[[str], str], name: str
) -> None:
    url, sent = origins(name), numbered()
    before, told, gate = await runs(url), Counter[str](), asyncio.Semaphore(AT_ONCE)
    async with running(url) as app:

        async def one(number: str, payload: bytes) -> None:
            async with gate:
                told[number] = await answered(app, payload)

        await asyncio.gather(*(one(number, payload) for number, payload in sent.items()))
        attempts = sum(app.telemetry.counters.attempts.values())
    seen = await runs(url) - before
    seen.pop("", None)  # who looked how many there were
    arrived = Counter[str]()
    for query, count in seen.items():
        arrived[query.removeprefix("hidden-")[: len(NUMBER)]] += count
    assert arrived == +told
    assert 40 < arrived.total() <= attempts
