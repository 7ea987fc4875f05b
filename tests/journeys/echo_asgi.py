"""A frontend on uvicorn, a process of its own: `python echo_asgi.py h11|httptools <folder>` prints `ready <url>`.

In the folder is httptools, where the environment of the peers has none.
"""

import asyncio
import hashlib
import json
import sys

import uvicorn

served = 0


async def app(scope, receive, send) -> None:
    global served
    if scope["type"] != "http":
        return
    served += 1
    length, digest, more = 0, hashlib.sha256(), True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/stream":
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for number in range(20):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await send({"type": "http.response.body"})
        return
    query = scope["query_string"].decode("latin-1")
    said = {
        "method": scope["method"],
        "target": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        "length": length,
        "digest": digest.hexdigest(),
        "served": served,
    }
    kind = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


class Server(uvicorn.Server):
    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"ready http://127.0.0.1:{port}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    http, folder = sys.argv[1:]
    sys.path.append(folder)
    asyncio.run(
        Server(uvicorn.Config(app, port=0, http=http, log_level="warning", proxy_headers=False)).serve()
    )
