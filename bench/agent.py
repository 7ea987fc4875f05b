"""What stands behind every target where there is no C compiler: as agent.c, in Python. `python agent.py PORT`."""

import asyncio
import base64
import hashlib
import json
import random
import re
import sys
import time

import uvloop

OK = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
MESSAGE = {"type": "message", "id": "m1", "role": "assistant"}
TEXT = {"type": "output_text", "text": "x" * 900}
JSON = json.dumps({"output": [MESSAGE | {"content": [TEXT]}]}).encode()
WHOLE = OK % (b"application/json", len(JSON)) + JSON
PAGE = OK % (b"text/plain", 1024) + b"x" * 1024
BLOCK = b"x" * (1 << 20)
DOWN = 64  # blocks of a download
SSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "delta": "some text "}'
)
STREAM = re.compile(rb'"stream": ?true')
PLAN = re.compile(rb'"plan": ?"(-?\d+) (\w+) (\d+)')
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
CHUNKED = re.compile(rb"transfer-encoding:", re.I)
KEY = re.compile(rb"sec-websocket-key: *(\S+)", re.I)
SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Agent(asyncio.Protocol):
    """One connection; `take` is what is done with the bytes that come."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.take, self.seen, self.left = transport, self.asked, b"", 0
        self.work: asyncio.Task[None] | None = None
        self.room = asyncio.Event()
        self.room.set()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self.work:
            self.work.cancel()

    def data_received(self, data: bytes) -> None:
        self.take(data)

    def asked(self, data: bytes) -> None:
        self.seen = self.seen + data if self.seen else data
        while self.take == self.asked and (end := self.seen.find(b"\r\n\r\n") + 4) > 3:
            length, chunked = LENGTH.search(self.seen, 0, end), CHUNKED.search(self.seen, 0, end)
            if self.seen.startswith(b"POST /up"):
                rest, self.seen = self.seen[end:], b""
                self.left = int(length[1]) if length else -1
                self.take = self.chunks if chunked else self.upload
                return self.take(rest)
            if chunked and not self.seen.endswith(b"0\r\n\r\n"):
                return None
            total = len(self.seen) if chunked else end + (int(length[1]) if length else 0)
            if len(self.seen) < total:
                return None
            request, self.seen = self.seen[:total], self.seen[total:]
            self.answer(request, end)
        return None

    def answer(self, request: bytes, end: int) -> None:
        if key := KEY.search(request, 0, end):
            accept = base64.b64encode(hashlib.sha1(key[1] + SUFFIX, usedforsecurity=False).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
            )
            self.take = self.echo
        elif request.startswith(b"GET /down"):
            self.transport.write(OK % (b"application/octet-stream", DOWN * len(BLOCK)))
            self.start(self.flood(BLOCK, DOWN))
        elif not request.startswith(b"POST"):
            self.transport.write(PAGE)
        elif not STREAM.search(request, end):
            self.transport.write(WHOLE)
        else:
            plan = PLAN.search(request, end)
            pause, framing, life = (int(plan[1]), plan[2], int(plan[3]) / 1e3) if plan else (-1, b"lf", 0)
            event = chunk(EVENT + (b"\r\n\r\n" if framing == b"crlf" else b"\n\n"))
            self.transport.write(SSE + (event * 3 + END if pause < 0 else b""))
            if pause >= 0:
                until = time.monotonic() + life
                work = self.paced(event, pause / 1e6, until) if pause else self.pour(event * 1000, until)
                self.start(work)

    def start(self, work) -> None:
        self.work = asyncio.get_running_loop().create_task(work)

    async def paced(self, event: bytes, pause: float, until: float) -> None:
        self.transport.write(event)
        due = min(time.monotonic() + random.random() * pause, until)
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.transport.write(event)
            due = min(due + pause, until)
        await asyncio.sleep(until - time.monotonic())
        self.transport.write(END)

    async def pour(self, events: bytes, until: float) -> None:
        while time.monotonic() < until:
            self.transport.write(events)
            await self.room.wait()
            await asyncio.sleep(0)
        self.transport.write(END)

    async def flood(self, block: bytes, blocks: int) -> None:
        for _ in range(blocks):
            self.transport.write(block)
            await self.room.wait()

    def upload(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left <= 0:
            self.taken()

    def chunks(self, data: bytes) -> None:
        self.seen = self.seen[-5:] + data
        if self.seen.endswith(b"0\r\n\r\n"):
            self.taken()

    def taken(self) -> None:
        self.take, self.seen = self.asked, b""
        self.transport.write(PAGE)

    def echo(self, data: bytes) -> None:
        self.seen += data
        while len(self.seen) >= 2:
            size, at = self.seen[1] & 127, 2
            if size == 126:
                size, at = int.from_bytes(self.seen[2:4], "big"), 4
            end = at + 4 * (self.seen[1] >> 7) + size
            if len(self.seen) < end:
                return
            body, mask = self.seen[end - size : end], self.seen[at : end - size]
            if any(mask):
                body = bytes(byte ^ mask[i & 3] for i, byte in enumerate(body))
            self.transport.write(bytes([self.seen[0], self.seen[1] & 127]) + self.seen[2:at] + body)
            self.seen = self.seen[end:]


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Agent, "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
