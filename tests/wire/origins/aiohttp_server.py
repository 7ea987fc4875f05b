"""An agent on aiohttp's own server, a process of its own: prints `ready <url>`."""

import asyncio
import sys
from collections import Counter, defaultdict

from aiohttp import web

runs: Counter[str] = Counter()
gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def pieces(request: web.Request, kind: str, *texts: bytes, pause: float = 0.0) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    for text in texts:
        await response.write(text)
        await asyncio.sleep(pause)
    return response


async def echo(request: web.Request) -> web.StreamResponse:
    runs[request.query_string] += 1
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/socket":
        return await echo(request)
    if request.path == "/gated":
        await gates[request.query_string].wait()
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    runs[request.query_string] += 1
    match request.path:
        case "/early":
            assert request.transport
            request.transport.write(
                b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            )
            return web.json_response({"length": size, "method": request.method})
        case "/echo" | "/gated":
            return web.json_response({"length": size, "method": request.method})
        case "/large":
            return web.json_response("x" * 2000)
        case "/chunked":
            return await pieces(request, "application/json", b"[1", b", 2]")
        case "/stream":
            events = (b"data: %d\n\n" % n for n in range(20))
            return await pieces(request, "text/event-stream", *events, pause=0.001)
        case "/nothing":
            return web.Response(status=204)
        case "/unchanged":
            return web.Response(status=304, headers={"ETag": '"1"'})
        case "/open":
            gates[request.query_string].set()
            return web.Response(status=204)
        case "/runs":
            return web.json_response(runs)
    return web.json_response({}, status=404)


async def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, keepalive_timeout=1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"ready http://127.0.0.1:{site.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
