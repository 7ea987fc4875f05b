"""One door: aiohttp's low-level server with our own limits, and a close in three steps."""

import asyncio
import errno
import resource
from collections.abc import Awaitable, Callable
from functools import partial
from socket import gaierror
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from policies.agent import Door
from sidecar.doors.connection import Connection
from sidecar.doors.request import Request
from sidecar.refusing import accepted, refuse
from sidecar.sweep import Sweep

Handler = Callable[[Request], Awaitable[Any]]  # an answer: a response, or what stands for one

# How long an idle connection is kept: the platform's own proxy idles at 90 s and must be the one to close.
KEEPALIVE: Final[dict[Door, float]] = {"front": 120, "egress": 20, "admin": 20}


READ: Final = 768 << 10  # bytes of a body before its caller is made to wait, which takes twice as many
SPARE: Final = 16  # files that are left when it is said
QUIET: Final = 60.0  # seconds before it is said again
CROWDED: Final = (
    "nearly as many files and connections are open as may be, and more will be turned away: raise the limit "
    "(ulimit -n, LimitNOFILE=, --ulimit nofile=), or run another replica"
)


class Server(web.Server):
    """Makes our connections; a misspelt option is an error here, not a warning. Ticked by the sweep."""

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int,
        head_timeout: float,
        malformed: Callable[[str, BaseException | None], None],
        warn: Callable[[str], None],
        **options: Any,
    ) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type]  # its requests are those of `_request`
            request_factory=self._request,
            handler_cancellation=True,
        )
        self.max_body = max_body
        self.malformed, self._warn = malformed, warn
        self.head_timeout = head_timeout
        self.options = options
        self._crowded = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
        self._quiet_until = 0.0
        self._heads: dict[
            Connection, tuple[int, float]
        ] = {}  # not complete: which of its connection, until when

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """The lowest number that is free is the next file's: a high one says that few are left."""
        super().connection_made(handler, transport)
        if (
            transport.get_extra_info("socket").fileno() >= self._crowded
            and self._loop.time() >= self._quiet_until
        ):
            self._quiet_until = self._loop.time() + QUIET
            self._warn(CROWDED)

    def begun(self, connection: Connection) -> None:
        count, _ = self._heads.get(connection, (-1, 0.0))
        if count != connection.heads:
            self._heads[connection] = (connection.heads, self._loop.time() + self.head_timeout)

    def tick(self, now: float) -> None:
        for connection, (count, until) in list(self._heads.items()):
            if connection.heads != count or connection.transport is None:
                del self._heads[connection]
            elif now >= until:
                del self._heads[connection]
                if connection.awaiting_head:
                    connection.too_slow()

    def _request(
        self,
        message: Any,
        payload: Any,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return Request(message, payload, protocol, writer, task, self._loop, self.max_body)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self.options)


class Listener:
    """Opens, stops accepting, lets go of idle connections, and at last closes all."""

    def __init__(
        self,
        door: Door,
        host: str,
        port: int,
        handler: Handler,
        *,
        max_body: int,
        malformed: Callable[[Door, str, BaseException | None], None],
        sweep: Sweep,
        warn: Callable[[str], None],
        head_timeout: float = 10.0,
        reach: int = 0,
    ) -> None:
        """`head_timeout`: seconds for a request's head from its first byte, apart from how long a connection idles.

        `reach`: how many ports further may be tried where the port is taken.
        """
        self.door, self.host, self.port = door, host, port
        self._handler, self._max_body, self._malformed = handler, max_body, malformed
        self._sweep, self._warn, self._head_timeout = sweep, warn, head_timeout
        self._reach = reach
        self._listening: asyncio.Server | None = None
        self.moved_from: int | None = None  # the port that was taken
        self._server: Server | None = None

    async def open(self) -> None:
        """Bind and accept. CannotListen where the port is taken or not ours to bind."""
        self._server = Server(
            self._handler,
            max_body=self._max_body,
            head_timeout=self._head_timeout,
            malformed=partial(self._malformed, self.door),
            warn=self._warn,
            access_log=None,
            keepalive_timeout=KEEPALIVE[self.door],
            max_line_size=16 << 10,
            max_field_size=32 << 10,  # not the same number: by it the two are told apart
            max_headers=128,
            lingering_time=2.0,
            read_bufsize=READ,
            auto_decompress=False,
        )
        wanted = self.port
        while self._listening is None:
            try:
                self._listening = await asyncio.get_running_loop().create_server(
                    self._server, self.host, self.port, backlog=1024, reuse_address=True
                )
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                if not taken or self.port - wanted >= self._reach:
                    raise CannotListen(self.door, self.host, wanted, error) from error
                self.port += 1
        self._sweep.items.add(self._server)
        self.moved_from = wanted if 0 < wanted != self.port else None
        self.port = self._listening.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def from_here(self) -> str:
        """The address for programs on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def refuse(self) -> None:
        """Accept no further connection, and close those that are idle."""
        if self._listening is not None:
            refuse(self._listening)
        if self._server is not None:
            self._server.pre_shutdown()

    async def close(self) -> None:
        """Close every connection, busy or not."""
        self.refuse()
        await accepted()
        if self._server is not None:
            self._sweep.items.discard(self._server)
            await self._server.shutdown(0.05)  # to aiohttp, 0 is for ever


class CannotListen(Exception):
    """A door could not be opened: one line that says which, why, and what to set."""

    def __init__(self, door: Door, host: str, port: int, error: OSError) -> None:
        setting = "SIDECAR_" if door == "front" else f"SIDECAR_{door.upper()}_"
        taken = error.errno == errno.EADDRINUSE
        if error.errno == errno.EADDRNOTAVAIL or isinstance(error, gaierror):
            why, next_step = "this machine has no such address", f"{setting}HOST chooses another."
        else:
            why = "the port is taken" if taken else (error.strerror or "not permitted").lower()
            next_step = f"{setting}PORT chooses another (0: any free one)."
        super().__init__(f"The {door} door cannot listen on {host}:{port}: {why}. {next_step}")
