"""An agent on uvicorn, a process of its own: `python asgi.py h11|httptools <folder>` prints `ready <url>`.

In the folder is httptools, where the environment of the peers has none.
"""

import asyncio
import json
import sys
from collections import Counter, defaultdict

import uvicorn
from echoing import Echo

JSON = (b"content-type", b"application/json")
SSE = (b"content-type", b"text/event-stream")
runs: Counter[str] = Counter()
gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def told(send, status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes, pause: float = 0.0):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b""})


async def whole(send, value: object) -> None:
    body = json.dumps(value).encode()
    await told(send, 200, [JSON, (b"content-length", str(len(body)).encode())], body)


async def app(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    query = scope["query_string"].decode()
    if scope["path"] == "/gated":
        await gates[query].wait()
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    runs[query] += 1
    match scope["path"]:
        case "/echo" | "/gated":
            await whole(send, {"length": size, "method": scope["method"]})
        case "/large":
            await whole(send, "x" * 2000)
        case "/chunked":
            await told(send, 200, [JSON], b"[1", b", 2]")
        case "/stream":
            await told(send, 200, [SSE], *(b"data: %d\n\n" % n for n in range(20)), pause=0.001)
        case "/nothing":
            await told(send, 204, [])
        case "/unchanged":
            await told(send, 304, [(b"etag", b'"1"')])
        case "/open":
            gates[query].set()
            await told(send, 204, [])
        case "/runs":
            await whole(send, runs)
        case _:
            await told(send, 404, [JSON, (b"content-length", b"2")], b"{}")


class Socket(Echo):
    @staticmethod
    def asked(query: str) -> None:
        runs[query] += 1


class Server(uvicorn.Server):
    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"ready http://127.0.0.1:{port}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    http, folder = sys.argv[1:]
    sys.path.append(folder)
    config = uvicorn.Config(app, port=0, http=http, ws=Socket, log_level="warning", timeout_keep_alive=1)
    asyncio.run(Server(config).serve())
