"""The load where there is no C compiler: as load.c, in Python. `python load.py ask|events|echo PORT …`."""

import asyncio
import gc
import json
import re
import sys
import time
from itertools import repeat

import uvloop

MESSAGE = 64
FRAME = bytes([0x82, 0x80 | MESSAGE, 0, 0, 0, 0]) + b"x" * MESSAGE
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
FILLING = b"x" * (1 << 18)


class Count:
    """What has been counted and timed since `go`."""

    def __init__(self) -> None:
        self.on = False
        self.count = 0
        self.times: list[float] = []
        self.firsts: list[float] = []


class Client(asyncio.Protocol):
    """Reads heads; what becomes of a body is the mode's."""

    def __init__(self, request: bytes, filler: int, count: Count) -> None:
        self.request, self.filler, self.count = request, filler, count
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ask()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def ask(self) -> None:
        self.seen, self.opened, self.need, self.first = b"", False, 0, True
        self.began = time.perf_counter()
        self.transport.write(self.request)
        if self.filler:
            self.filling = asyncio.get_running_loop().create_task(self.fill())

    async def fill(self) -> None:
        for _ in repeat(None, self.filler // len(FILLING)):
            self.transport.write(FILLING)
            await self.room.wait()

    def data_received(self, data: bytes) -> None:
        if self.opened:
            return self.body(data)
        self.seen += data
        if (end := self.seen.find(b"\r\n\r\n") + 4) < 4:
            return None
        if not self.seen.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
            raise SystemExit(self.seen[:400].decode())
        length = LENGTH.search(self.seen, 0, end)
        rest, self.seen, self.opened = self.seen[end:], b"", True
        self.need = int(length[1]) if length else -1
        self.begun()
        return self.body(rest) if rest else None

    def begun(self) -> None:
        """The head has come."""

    def body(self, data: bytes) -> None:
        if self.first and self.count.on:
            self.count.firsts.append(time.perf_counter() - self.began)
        self.first = False
        if self.need >= 0:
            self.need -= len(data)
            if self.need <= 0:
                self.answered()
        else:
            self.seen = (self.seen + data)[-5:]
            if self.seen == b"0\r\n\r\n":
                self.answered()

    def answered(self) -> None:
        if self.count.on:
            self.count.count += 1
            self.count.times.append(time.perf_counter() - self.began)
        self.ask()


class Events(Client):
    def body(self, data: bytes) -> None:
        if self.count.on:
            self.count.count += (self.seen + data).count(b"data: ")
        self.seen = data[-5:]


class Echo(Client):
    def begun(self) -> None:
        self.need = 2 + MESSAGE
        self.began = time.perf_counter()
        self.transport.write(FRAME)

    def body(self, data: bytes) -> None:
        self.need -= len(data)
        while self.need <= 0:
            self.need += 2 + MESSAGE
            now = time.perf_counter()
            if self.count.on:
                self.count.count += 1
                self.count.times.append(now - self.began)
            self.began = now
            self.transport.write(FRAME)


MODES = {"ask": Client, "events": Events, "echo": Echo}


def part(values: list[float], quantile: float) -> float:
    return sorted(values)[int((len(values) - 1) * quantile)] if values else 0.0


async def main(mode: str, port: str, connections: str, warm: str, seconds: str, filler: str) -> None:
    loop, count, request = asyncio.get_running_loop(), Count(), sys.stdin.buffer.read()
    for _ in range(int(connections)):
        await loop.create_connection(lambda: MODES[mode](request, int(filler), count), "127.0.0.1", int(port))
    gc.disable()
    await asyncio.sleep(float(warm))
    print("go", flush=True)
    count.on, began = True, time.perf_counter()
    await asyncio.sleep(float(seconds))
    count.on, took = False, time.perf_counter() - began
    p50, p99, first = part(count.times, 0.5), part(count.times, 0.99), part(count.firsts, 0.5)
    told = {"count": count.count, "seconds": took, "p50": p50, "p99": p99, "first": first}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
