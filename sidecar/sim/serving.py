"""Puts a handler on a free loopback port of the running loop; the port can be shut and opened again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from sidecar.refusing import accepted, refuse

HOST = "127.0.0.1"
UVICORN_IDLE = 5.0  # seconds after which uvicorn, which real agents run on, closes an idle connection

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Port:
    """One listening address. While it is closed, who connects anew is refused."""

    def __init__(self, runner: web.ServerRunner) -> None:
        self._runner = runner
        self._number = 0
        self._listening: asyncio.Server | None = None
        self._held: socket.socket | None = None  # the number, while nobody listens at it

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._number}"

    async def open(self) -> None:
        server = self._runner.server
        assert server is not None
        self.let_go()
        self._listening = await asyncio.get_running_loop().create_server(
            server, HOST, self._number, backlog=1024, reuse_address=True
        )
        self._number = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuses new connections. Those that stand, stay."""
        if self._listening is not None:
            refuse(self._listening)
            self._listening = None
            await accepted()
            self._held = socket.socket()  # bound, not listening: refused, and nobody else's meanwhile
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.bind((HOST, self._number))

    def let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Port]:
    """Hands every request, whatever its method, target and body, to `handler`, until the block is left."""
    server = web.Server(
        handler,
        handler_cancellation=True,  # a caller who leaves is noticed at once, in every phase
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=UVICORN_IDLE,
        max_line_size=65536,
        max_field_size=65536,
    )
    runner = web.ServerRunner(server, shutdown_timeout=0.02)
    await runner.setup()
    port = Port(runner)
    try:
        await port.open()
        yield port
    finally:
        await port.close()
        port.let_go()
        await runner.cleanup()
