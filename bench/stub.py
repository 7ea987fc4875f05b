"""An agent that costs nothing: answers JSON of 1 KiB, or a stream paced as its path says, from ready-made bytes.

POST /invocations {"stream": false|absent}   1 KiB of JSON
POST /invocations {… "stream": true …}       events; how many and how fast is in the body: "plan": "N,SECONDS"
"""

import asyncio
import json
import re
import sys

import uvloop

PAD = "x" * 900
WHOLE = json.dumps(
    {
        "output": [
            {
                "type": "message",
                "id": "m1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": PAD}],
            }
        ]
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(WHOLE),
    WHOLE,
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = b'data: {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "delta": "some text "}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = re.compile(rb'"stream": ?true')
PLAN = re.compile(rb'"plan": ?"(\d+),([\d.]+)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Agent(asyncio.Protocol):
    def __init__(self) -> None:
        self.seen = b""
        self.room = asyncio.Event()
        self.room.set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def data_received(self, data: bytes) -> None:
        self.seen = self.seen + data if self.seen else data
        while (end := self.seen.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.seen, 0, end)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self.seen) < total:
                return
            asked, self.seen = self.seen[:total], self.seen[total:]
            if STREAM.search(asked, end):
                plan = PLAN.search(asked, end)
                count, pause = (int(plan[1]), float(plan[2])) if plan else (10, 0.0)
                asyncio.get_running_loop().create_task(self.stream(count, pause))
            else:
                self.transport.write(ANSWER)

    async def stream(self, count: int, pause: float) -> None:
        self.transport.write(HEAD)
        if pause:
            loop = asyncio.get_running_loop()
            due = loop.time()
            for _ in range(count):
                self.transport.write(chunk(EVENT))
                due += pause
                await asyncio.sleep(max(0.0, due - loop.time()))
                if self.transport.is_closing():
                    return
        else:
            batch = chunk(EVENT) * 64
            for _ in range(max(1, count // 64)):
                self.transport.write(batch)
                await self.room.wait()
                if self.transport.is_closing():
                    return
        self.transport.write(chunk(DONE) + b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Agent, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
