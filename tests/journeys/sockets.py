"""WebSockets for the tests: an agent that speaks them, and a client that says frames byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web
from yarl import URL

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x21\x43\x65\x87"


def frame(payload: bytes, opcode: int = TEXT, mask: bytes = b"", *, final: bool = True) -> bytes:
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 1 << 16:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([(0x80 if final else 0) | opcode]) + length + mask + masked


@dataclass
class Speaking:
    """An agent with a WebSocket at `/ws`; every handshake, and the close code of each connection that has ended."""

    url: str = ""
    handshakes: list[web.BaseRequest] = field(default_factory=list)
    closed: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)


Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


async def echo(socket: web.WebSocketResponse) -> None:
    """Says everything again; `close 4002` closes so."""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data.startswith("close "):
            await socket.close(code=int(message.data[6:]), message=b"as asked")
        else:
            await socket.send_str(message.data)


@asynccontextmanager
async def speaking(talk: Talk = echo) -> AsyncIterator[Speaking]:
    agent = Speaking()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        agent.handshakes.append(request)
        if request.path != "/ws":
            return web.json_response({"no": "socket"}, status=403)
        socket = web.WebSocketResponse(protocols=("chat", "other"), max_msg_size=0, autoping=True)
        await socket.prepare(request)
        try:
            await talk(socket)
        finally:
            agent.closed.put_nowait(socket.close_code)
        return socket

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    agent.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield agent
    finally:
        await runner.cleanup()


class Raw:
    """A caller's end of a connection, one frame at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    async def said(self) -> tuple[int, bytes]:
        """The next frame: its first byte, and its payload."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        assert not second & 0x80, "a frame to a client is never masked"
        return first, await self.reader.readexactly(size)

    def say(self, payload: bytes, opcode: int = TEXT, *, final: bool = True) -> None:
        self.writer.write(frame(payload, opcode, MASK, final=final))


@asynccontextmanager
async def raw(url: str, *more: str, early: bytes = b"") -> AsyncIterator[Raw]:
    """`more` header lines, and `early` bytes behind the handshake in the same piece."""
    where = URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    lines = (
        f"GET {where.raw_path_qs} HTTP/1.1",
        f"Host: {where.host}:{where.port}",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *more,
    )
    writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + early)
    one = Raw(reader, writer)
    try:
        one.head = await reader.readuntil(b"\r\n\r\n")
        yield one
    finally:
        writer.close()
