"""Frontends that say what they were asked: one in this process, and the same on uvicorn and on Express.

`ANY /…` answers `{"method", "target", "headers": [[name, value], …], "length", "digest"}`; `/stream` an event
stream; `/cookies` what speaks for an origin; `/slow` nothing until `let_go`; `/ws` says what it hears.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from sidecar.sim.serving import Port, serving

EVENTS = [b"data: %d\n\n" % number for number in range(20)]
SPOKEN = [
    ("Set-Cookie", "a=1; Path=/"),
    ("Set-Cookie", "b=2; HttpOnly"),
    ("Server", "its-own"),
    ("Location", "https://elsewhere.example/x"),
    ("Strict-Transport-Security", "max-age=1"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Two", "1"),
    ("X-Two", "2"),
    ("Content-Encoding", "made-up"),
    ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
]


class App:
    """One in this process. `asked` has every request, the last one last; `port` can be closed and opened."""

    def __init__(self) -> None:
        self.port: Port
        self.asked: list[dict[str, Any]] = []
        self.begun = asyncio.Event()  # `/slow`, `/steps` and `/half` were reached
        self.let_go = asyncio.Event()
        self.left = asyncio.Event()  # whoever had asked `/slow` or `/steps` is gone
        self.cut: Callable[[], None] = lambda: None  # ends the last WebSocket without a word
        self.steps: asyncio.Queue[bytes | None] = asyncio.Queue()  # what `/steps` sends; None ends it

    @property
    def url(self) -> str:
        return self.port.url

    @property
    def seen(self) -> list[tuple[str, str]]:
        """The headers of the last request."""
        return [(name, value) for name, value in self.asked[-1]["headers"]]

    def header(self, name: str) -> str | None:
        values = [value for known, value in self.seen if known.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        length, digest = 0, hashlib.sha256()
        path = request.raw_path.partition("?")[0]
        seen = {
            "method": request.method,
            "target": request.raw_path,
            "headers": [(name, value) for name, value in request.headers.items()],
        }
        self.asked.append(seen)
        if path == "/early":
            return web.Response(status=413, text="too much")
        async for piece in request.content.iter_any():
            length += len(piece)
            digest.update(piece)
        seen |= {"length": length, "digest": digest.hexdigest()}
        if found := getattr(self, f"_{path.strip('/')}", None):
            return await found(request)
        return web.json_response(seen)

    async def _cookies(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"\x00\xff", headers=SPOKEN, content_type="application/x-odd")

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for event in EVENTS:
            await answer.write(event)
        return answer

    async def _steps(self, request: web.BaseRequest) -> web.StreamResponse:
        kind = request.query.get("type", "text/event-stream")
        answer = web.StreamResponse(headers={"Content-Type": kind})
        await answer.prepare(request)
        self.begun.set()
        try:
            while (piece := await self.steps.get()) is not None:
                await answer.write(piece)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return answer

    async def _slow(self, request: web.BaseRequest) -> web.StreamResponse:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.Response(text="at last")

    async def _half(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        self.begun.set()
        await self.let_go.wait()
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def _big(self, request: web.BaseRequest) -> web.StreamResponse:
        size = int(request.query["size"])
        answer = web.StreamResponse(headers={"Content-Length": str(size)})
        await answer.prepare(request)
        piece = bytes(65536)
        for at in range(0, size, len(piece)):
            await answer.write(piece[: size - at])
        return answer

    async def _ws(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["chat.v2", "chat.v1"], max_msg_size=0)
        await socket.prepare(request)
        assert request.transport is not None
        self.cut = request.transport.abort
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.data == "close":
                await socket.close(code=4242, message=b"as you wish")
            else:
                await socket.send_str(message.data)
        return socket


@asynccontextmanager
async def app() -> AsyncIterator[App]:
    one = App()
    async with serving(one.answer) as one.port:
        yield one
        one.let_go.set()
        one.steps.put_nowait(None)
