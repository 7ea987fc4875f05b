"""The app behind the front door in a soak: pages, uploads, and a WebSocket that sends back what it gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

PAGE = b"x" * 4096


async def page(request: web.Request) -> web.Response:
    return web.Response(body=PAGE)


async def take(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.json_response(size)


async def socket(request: web.Request) -> web.WebSocketResponse:
    ours = web.WebSocketResponse()
    await ours.prepare(request)
    async for message in ours:
        await ours.send_str(message.data)
    return ours


@asynccontextmanager
async def app() -> AsyncIterator[str]:
    """Its URL."""
    one = web.Application()
    one.add_routes([web.get("/page", page), web.post("/take", take), web.get("/socket", socket)])
    runner = web.AppRunner(one, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()
