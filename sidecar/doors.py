"""The listeners: aiohttp's server with our own limits, errors that reflect nothing, and a close in three steps.

Everything that aiohttp keeps private and we rely on is named in `PRIVATE`, and a test looks for each of them.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import http_exceptions, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from policies import outcome
from policies.agent import Door

PRIVATE: Final = (
    (RequestHandler, "_drain_helper"),
    (RequestHandler, "_manager"),
    (RequestHandler, "_message_tail"),
    (RequestHandler, "_task_handler"),
    (RequestHandler, "connection_lost"),
    (RequestHandler, "finish_response"),
    (RequestHandler, "handle_error"),
    (web.Server, "_connections"),
)
Handler = Callable[[web.BaseRequest], Awaitable[Any]]  # an answer: a response, or what stands for one

# How long an idle connection is kept: the platform's own proxy idles at 90 s and must be the one to close.
KEEPALIVE: Final[dict[Door, float]] = {"front": 120, "egress": 20, "admin": 20}


class Connection(RequestHandler):
    """One caller's connection. What it sends that is no HTTP is answered in constant words, and never logged."""

    handed_over = False

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which is another protocol's from now on, and what came behind the request.

        `connection_lost` is to be called when it is gone. ConnectionError where it is gone already.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        self.handed_over = True
        early, self._message_tail = self._message_tail, b""
        return self.transport, early

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.handed_over:
            self._task_handler = None  # the handler ends by itself, and is not to be cancelled before
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        code = "internal_error" if status == 500 else _code(exc)
        server = self._manager
        if isinstance(server, Server):
            server.malformed(code, exc if status == 500 else None)
        response = web.Response(
            status=outcome.status(code), body=orjson.dumps({"error": code}), content_type="application/json"
        )
        response.headers["Server"] = "sidecar"
        response.force_close()
        return response


def _code(exc: BaseException | None) -> str:
    if isinstance(exc, http_exceptions.LineTooLong):
        return "uri_too_long" if "line" in str(exc.args[0])[:40].lower() else "headers_too_large"
    return "bad_request"


class Server(web.Server):
    """aiohttp's low-level server, making our connections; a misspelt option is an error here, not a warning."""

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int,
        malformed: Callable[[str, BaseException | None], None],
        **options: Any,
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self.max_body = max_body
        self.malformed = malformed
        self.options = options

    def _request(
        self,
        message: Any,
        payload: Any,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=self.max_body
        )

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self.options)


class Listener:
    """One door: opens, stops accepting, lets go of idle connections, and at last closes all."""

    def __init__(
        self,
        door: Door,
        host: str,
        port: int,
        handler: Handler,
        *,
        max_body: int,
        malformed: Callable[[Door, str, BaseException | None], None],
        reach: int = 0,
    ) -> None:
        """`reach`: how many ports further may be tried where the port is taken."""
        self.door, self.host, self.port = door, host, port
        self._handler, self._max_body, self._malformed = handler, max_body, malformed
        self._reach = reach
        self._listening: asyncio.Server | None = None
        self.moved_from: int | None = None  # the port that was taken
        self._server: Server | None = None

    async def open(self) -> None:
        """Bind and accept. CannotListen where the port is taken or not ours to bind."""
        self._server = Server(
            self._handler,
            max_body=self._max_body,
            malformed=partial(self._malformed, self.door),
            access_log=None,
            keepalive_timeout=KEEPALIVE[self.door],
            max_line_size=16 << 10,
            max_field_size=32 << 10,
            max_headers=128,
            lingering_time=2.0,
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
            self._listening.close()
        if self._server is not None:
            self._server.pre_shutdown()

    async def close(self) -> None:
        """Close every connection, busy or not."""
        self.refuse()
        if self._server is not None:
            await self._server.shutdown(0.05)  # to aiohttp, 0 is for ever


class CannotListen(Exception):
    """A door could not be opened: one line that says which, why, and what to set."""

    def __init__(self, door: Door, host: str, port: int, error: OSError) -> None:
        setting = "SIDECAR_PORT" if door == "front" else f"SIDECAR_{door.upper()}_PORT"
        taken = error.errno == errno.EADDRINUSE
        why = "the port is taken" if taken else (error.strerror or "not permitted").lower()
        super().__init__(
            f"The {door} door cannot listen on {host}:{port}: {why}. {setting} chooses another (0: any free one)."
        )
        self.taken = taken
