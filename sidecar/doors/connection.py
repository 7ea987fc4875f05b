"""One caller's connection: requests one after the other, each answered before the next is looked at."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, cast

from policies import outcome
from policies.refusal import Refusal
from sidecar.doors.head import Head
from sidecar.doors.request import Request

if TYPE_CHECKING:
    from sidecar.doors.server import Server

BEHIND: Final = 64 << 10  # bytes behind a request that is being answered, before the caller is made to wait
RESET: Final = struct.pack("ii", 1, 0)  # close lingers for no second
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
REFUSED: Final = (
    "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nServer: sidecar\r\n"
    "Connection: close\r\n\r\n{}"
)
PHRASES: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


class Told(Protocol):
    """What was answered. `keep_alive`: whether the connection may go on."""

    @property
    def keep_alive(self) -> bool: ...


class Connection:
    """An `asyncio.Protocol`, by what it has. What comes that is no HTTP is answered in constant words, never logged.

    `full`         the caller does not take what is written
    `told`         the answer to the request has begun
    `handed_over`  another protocol has it
    """

    __slots__ = (
        "_behind", "_gone", "_head", "_reading", "_room", "full", "handed_over", "loop", "remote", "request", "server",
        "told", "transport",
    )  # fmt: skip

    def __init__(self, server: "Server") -> None:
        self.server, self.loop = server, server.loop
        self.transport: asyncio.Transport | None = None
        self.remote: str | None = None
        self.request: Request | None = None  # that is being answered
        self.full = self.told = self.handed_over = False
        self._head: Head | None = None  # that has begun to come
        self._behind = b""
        self._gone = False  # all has been said; what comes is not looked at
        self._reading = True
        self._room: asyncio.Future[None] | None = None

    # --- what the loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.remote = peer[0] if isinstance(peer, tuple) else peer
        self.server.connected(self)

    def data_received(self, data: bytes) -> None:
        request = self.request
        if request is None:
            if not self._gone:
                self._begin(data)
            return
        content = request.content
        if not content.over:
            data = content.take(data)
            if self._gone and content.over:
                self._next(data)
                return
        if data and not self._gone:
            self._behind += data
            if len(self._behind) >= BEHIND:
                self.flow(False)

    def eof_received(self) -> None:
        """Who sends no more is taken to have left: the transport closes."""

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.server.lost(self)
        self._wake()
        if (request := self.request) is not None and not self.handed_over:
            request.content.fail(ConnectionResetError("the caller is gone"))
            if request.task is not None:
                request.task.cancel()
            else:
                self.request = None

    # --- a request -----------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        """The next bytes of a head, and what follows it."""
        head = self._head or Head()
        try:
            rest = head.begin(data)
        except Refusal as refusal:
            self.refuse(refusal.code)
            return
        if rest is None:
            self.flow(True)
            if head.begun and self._head is None:
                self._head = head
                self.server.begun(self)
            return
        self._head = None
        self.server.busy(self)
        request = Request(head, self)
        self.told = False
        if request.content.over:
            self.flow(len(rest) < BEHIND)
            self._behind = rest
        else:
            self.flow(True)
            if rest:
                self._behind = request.content.take(rest)
                if request.content.error is not None:  # before anybody has heard of it
                    self.refuse("bad_request")
                    return
                if len(self._behind) >= BEHIND:
                    self.flow(False)
        self.request = request
        request.task = self.loop.create_task(self._answered(request))

    async def _answered(self, request: Request) -> None:
        kept = False
        broke: Exception | None = None
        try:
            kept = (await self.server.handler(request)).keep_alive
        except ConnectionError as error:  # of the caller's, who is gone, or somebody else's
            broke = error if self.transport is not None and not self.transport.is_closing() else None
        except asyncio.CancelledError:  # which a task that ended by it would keep, and with it the request
            if self.transport is not None and not self.handed_over:
                self.transport.close()  # nobody will answer
        except Exception as error:
            broke = error
        request.task = None
        if self.handed_over or (transport := self.transport) is None:
            self.request = None  # they know each other
            return
        if broke is not None:
            self.server.broke(broke)
            self.reset(transport) if self.told else self.refuse("internal_error")
        elif transport.is_closing():
            self.server.closes(self)
        elif not request.content.over:
            request.keep_alive = kept
            request.content.discard()
            self._linger(transport, kept)
        elif request.content.error is not None:  # more may come, as if it had not broken
            self._linger(transport)
        else:
            request.keep_alive = kept
            self._next(self._behind)

    def _linger(self, transport: asyncio.Transport, kept: bool = False) -> None:
        """All has been said. What still comes is let go: a close would reset, and could take the answer with it."""
        self._gone = True
        self.server.lingers(self)
        if not kept:
            with suppress(OSError):  # it has been reset, of which the loop is about to tell
                transport.write_eof()

    def _next(self, data: bytes) -> None:
        """Behind an answer: another request, or the end."""
        if self._gone:
            self._gone = False
            self.server.lingered(self)
        request, self.request, self._behind = self.request, None, b""
        if request is None or not request.keep_alive or self.server.closing:
            more = data or (request is not None and request.content.excess)
            if more and self.transport is not None and not self.server.closing:
                self.flow(True)
                self._linger(self.transport)
            else:
                self.close()
            return
        self.server.idle(self)
        if data:
            self._begin(data)  # which reads on where there is little behind it
        else:
            self.flow(True)

    # --- what is said --------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Leave to send a body."""
        if self.transport is not None:
            self.transport.write(CONTINUE)

    def refuse(self, code: str) -> None:
        """The last word, in constant words."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        status, body = outcome.status(code), f'{{"error":"{code}"}}'
        transport.write(REFUSED.format(status, PHRASES[status], len(body), body).encode())
        self.request, self._head, self._behind = None, None, b""
        self.flow(True)
        self._linger(transport)
        if code != "internal_error":
            self.server.malformed(code, None)

    def close(self) -> None:
        """At once where no answer is being given, else behind it."""
        if self.request is None and self.transport is not None:
            self._gone = True
            self.transport.close()
            self.server.closes(self)

    def reset(self, transport: asyncio.Transport) -> None:
        """Nobody shall take what was said for all: without a length, an end in good order would say so."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()

    # --- its flow ------------------------------------------------------------------------------------------

    def flow(self, on: bool) -> None:
        """Read on, or leave what comes with the caller."""
        if on and len(self._behind) >= BEHIND:
            return  # whoever reads a body that has come whole: there is enough behind it
        if (
            on is not self._reading
            and (transport := self.transport) is not None
            and not transport.is_closing()
        ):
            self._reading = on
            transport.resume_reading() if on else transport.pause_reading()

    async def room(self) -> None:
        """Wait until the caller takes more. ConnectionError where it is gone."""
        if self.full and self.transport is not None:
            self._room = self.loop.create_future()
            await self._room
        if self.transport is None:
            raise ConnectionResetError("the caller is gone")

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which is another protocol's from now on, and what came behind the request.

        `connection_lost` is to be called when it is gone. ConnectionError where it is gone already.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        self.handed_over = True
        early, self._behind = self._behind, b""
        self.flow(True)
        return self.transport, early
