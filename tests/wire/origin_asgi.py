"""An agent on uvicorn, a process of its own: `python origin_asgi.py h11|httptools <folder>` prints `ready <url>`.

In the folder is httptools, where the environment of the peers has none.
"""

import asyncio
import json
import sys

import uvicorn


async def told(
    send, status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes, pause: float = 0.0
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b""})


async def app(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    json_type = (b"content-type", b"application/json")
    match scope["path"]:
        case "/echo":
            value = json.dumps({"length": len(body), "method": scope["method"]}).encode()
            await told(send, 200, [json_type, (b"content-length", str(len(value)).encode())], value)
        case "/chunked":
            await told(send, 200, [json_type], b"[1", b", 2]")
        case "/stream":
            kind = (b"content-type", b"text/event-stream")
            await told(send, 200, [kind], *(b"data: %d\n\n" % n for n in range(20)), pause=0.001)
        case "/nothing":
            await told(send, 204, [])
        case _:
            await told(send, 404, [json_type, (b"content-length", b"2")], b"{}")


class Server(uvicorn.Server):
    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"ready http://127.0.0.1:{port}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    http, folder = sys.argv[1:]
    sys.path.append(folder)
    asyncio.run(Server(uvicorn.Config(app, port=0, http=http, log_level="warning")).serve())
