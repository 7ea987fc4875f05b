"""The load: hand-written connections that count and time, so that the client is never what is measured."""

import asyncio
import json
import re
import time
from typing import NamedTuple

TOKEN = "t" * 880  # as long as the platform's own
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


def request(body: dict[str, object], port: int) -> bytes:
    data = json.dumps(body).encode()
    return (
        f"POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"x-forwarded-email: user@example.com\r\nx-forwarded-access-token: {TOKEN}\r\n"
        f"traceparent: 00-{'a' * 32}-{'b' * 16}-00\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode() + data


class Unary(asyncio.Protocol):
    """Asks again as soon as it is answered, until `until`."""

    def __init__(self, asked: bytes, until: float, times: list[float], done: asyncio.Future[None]) -> None:
        self.asked, self.until, self.times, self.done = asked, until, times, done
        self.seen, self.need = b"", 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.seen, self.need = b"", 0
        self.began = time.perf_counter()
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        self.seen = self.seen + data if self.seen else data
        if not self.need and (end := self.seen.find(b"\r\n\r\n")) >= 0:
            if not self.seen.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(self.seen[:300].decode())
            length = LENGTH.search(self.seen, 0, end)
            self.need = end + 4 + int(length[1]) if length else -1
        if (len(self.seen) >= self.need > 0) or (self.need < 0 and self.seen.endswith(b"0\r\n\r\n")):
            now = time.perf_counter()
            self.times.append(now - self.began)
            if now < self.until:
                self.ask()
            else:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Events(asyncio.Protocol):
    """Reads one stream and counts its events."""

    def __init__(self, asked: bytes, done: asyncio.Future[None]) -> None:
        self.asked, self.done = asked, done
        self.events, self.first, self.tail = 0, 0.0, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.began = time.perf_counter()
        transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        count = data.count(b"data: ")
        if count and not self.first:
            self.first = time.perf_counter() - self.began
        self.events += count
        self.tail = (self.tail + data)[-16:]
        if self.tail.endswith(b"0\r\n\r\n") and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Latency(NamedTuple):
    rate: float  # requests per second
    p50: float  # seconds
    p99: float


async def unary(port: int, connections: int, seconds: float) -> Latency:
    loop = asyncio.get_running_loop()
    asked = request({"input": [{"role": "user", "content": "hello there"}], "stream": False}, port)
    times: list[float] = []
    began = time.perf_counter()
    done = [loop.create_future() for _ in range(connections)]
    for future in done:
        await loop.create_connection(
            lambda f=future: Unary(asked, began + seconds, times, f), "127.0.0.1", port
        )
    await asyncio.gather(*done)
    took = time.perf_counter() - began
    times.sort()
    return Latency(len(times) / took, times[len(times) // 2], times[int(len(times) * 0.99)])


async def streams(port: int, count: int, events: int, pause: float) -> tuple[int, float, list[float]]:
    """(events, seconds, times to the first event) of so many streams at once."""
    loop = asyncio.get_running_loop()
    asked = request(
        {"input": [{"role": "user", "content": "hello"}], "stream": True, "plan": f"{events},{pause}"}, port
    )
    done, readers = [], []
    began = time.perf_counter()
    for _ in range(count):
        done.append(loop.create_future())
        _, reader = await loop.create_connection(lambda f=done[-1]: Events(asked, f), "127.0.0.1", port)
        readers.append(reader)
    await asyncio.gather(*done)
    took = time.perf_counter() - began
    for reader in readers:
        reader.transport.close()
    return sum(r.events for r in readers), took, sorted(r.first for r in readers)
