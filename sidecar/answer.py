"""What one caller has been told so far: nothing yet (uncommitted), a head (committed), or everything (ended).

An answer is committed by its first body byte; or, for a caller that waits for an event stream, by the sweep
after a few seconds of waiting, so that keepalives can flow while the agent is still silent.
It writes to the connection itself: a head and its first bytes leave in one piece, and writing waits only
where the connection says that it is full.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from time import monotonic, time
from typing import Final, Literal, NamedTuple

from middleware.exchange import Headers, Pairs, Tunnel
from middleware.sse import KEEPALIVE
from middleware.watch import Watch
from sidecar.doors import Connection, Request

State = Literal["uncommitted", "committed", "ended"]
LINES: Final = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n" for status in map(int, HTTPStatus)
}
TOLD: Final[tuple[int, Pairs]] = (0, [])  # a head that has left, and is let go
BODILESS: Final = frozenset({204, 304})
FIELD: Final = "%s: %s\r\n".__mod__
SWITCHED: Final = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
LARGE: Final = 16384  # bytes from which a chunk is handed over beside its frame instead of copied into it


class Patience(NamedTuple):
    """Seconds: before an event stream is opened without the agent, between keepalives, for a stalled reader."""

    commit_after: float = 3.0
    keepalive: float = 10.0
    write: float = 30.0


class Answer:
    """The edge's side of one exchange; a `Sink` for whatever is pumped, and ticked by the sweep."""

    __slots__ = (
        "_began", "_bodiless", "_chunked", "_common", "_connection", "_dated", "_head", "_length", "_may_open",
        "_moved", "_quiet_since", "_seen", "_writing", "early", "first_byte", "keep_alive", "opening", "patience",
        "request", "size", "stalled", "state", "status", "task", "tunnel", "watch",
    )  # fmt: skip

    def __init__(
        self, request: Request, patience: Patience, common: Pairs, now: float, *, dated: bool = True
    ) -> None:
        """`now` is the loop's own clock, which the sweep goes by. `dated`: by us."""
        self.request, self.patience = request, patience
        self.task: asyncio.Task[None] | None = request.task
        self.keep_alive = request.keep_alive
        self._connection: Connection = request.connection
        self._common, self._dated = common, dated
        self._head: tuple[int, Pairs] = (200, common)
        self._began = self._quiet_since = now
        self.state: State = "uncommitted"
        self.opening: Headers | None = None  # where the caller waits for an event stream: how it begins
        self.watch: Watch | None = None
        self.tunnel: Tunnel | None = None  # what has the connection
        self.early = self.stalled = False
        self.size = self.status = 0
        self.first_byte = 0.0
        self._may_open: Callable[[], bool] = bool
        self._length: int | None = None
        self._moved = self._seen = 0
        self._writing = self._chunked = self._bodiless = False

    # --- telling -------------------------------------------------------------------------------------------

    def head(self, status: int, pairs: Pairs, length: int | None = None) -> None:
        """What the answer will start with, unless it has begun: the common headers, then these.

        `length` of the body, where it is known before the body has come.
        """
        self._head = (status, self._common + pairs)
        self._length = length

    def open(self) -> None:
        """Tell the head now, before there is a byte of the body."""
        if self.state == "uncommitted":
            self._send(self._commit(self._length))

    def expect(self, opening: Headers, may_open: Callable[[], bool]) -> None:
        """The caller waits for an event stream: it may be begun so before the agent answers, as soon as it may."""
        self.opening, self._may_open = opening, may_open

    async def write(self, chunk: bytes) -> None:
        if not self.feed(chunk):
            await self.room()

    def feed(self, chunk: bytes) -> bool:
        """Send it, behind the head if that has not left; whether the connection takes more."""
        if not chunk:
            return True  # an empty chunk would be the end
        if not self.first_byte:
            self.first_byte = monotonic()
        head = b"" if self.state != "uncommitted" else self._commit(self._length)
        self.size += len(chunk)
        self._moved += 1
        if self._bodiless:
            chunk = b""
        if not self._chunked:
            self._send(head + chunk if head else chunk)
        elif len(chunk) < LARGE:
            self._send(b"%b%x\r\n%b\r\n" % (head, len(chunk), chunk))
        else:
            self._send(b"%b%x\r\n" % (head, len(chunk)))
            self._send(chunk)
            self._send(b"\r\n")
        return not self._connection.full

    async def end(self, last: bytes = b"") -> "Answer":
        """The proper end, after one last piece."""
        if not self.finish(last):
            await self.taken()
        return self

    def finish(self, last: bytes = b"") -> bool:
        """The same at once; False where the connection is full: then it is over when all is `taken`."""
        self.size += len(last)
        self._moved += 1
        if self.state == "uncommitted":
            head = self._commit(len(last) if self._length is None else self._length)
            self.first_byte = self.first_byte or monotonic()
            self._send(head if self._bodiless else head + last)
        elif self._chunked:
            self._send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last) if last else b"0\r\n\r\n")
        elif last:
            self._send(last)
        if self._connection.full:
            return False
        self.state = "ended"
        return True

    async def taken(self) -> None:
        await self.room()
        self.state = "ended"

    def switched(self, pairs: Pairs, tunnel: Tunnel) -> bytes:
        """The head of a 101, which the tunnel tells: it has the connection from here on, until its end."""
        self.state, self.status, self.keep_alive, self.tunnel = "ended", 101, False, tunnel
        fields = "".join(map(FIELD, self._common + pairs))
        dated = f"Date: {date()}\r\n" if self._dated else ""
        return f"{LINES[101]}{fields}{SWITCHED}{dated}\r\n".encode("utf-8", "surrogateescape")

    def drain(self) -> None:
        """The process ends: the last word, now."""
        if self.tunnel is not None:
            self.tunnel.drain()
        elif self.task is not None and self.state != "ended":
            self.task.cancel("draining")

    def break_off(self) -> "Answer":
        """Close without the proper end, so that everybody can see that the answer is not whole."""
        self.state, self.keep_alive = "ended", False
        if (transport := self._connection.transport) is not None:
            # without chunks only a reset shows that the end was none
            transport.close() if self._chunked else self._connection.reset(transport)
        return self

    def _commit(self, length: int | None) -> bytes:
        """The head's bytes. `length` of the body, where it is known."""
        (status, pairs), request = self._head, self.request
        self.state, self.status, self._head = "committed", status, TOLD
        self._connection.told = True
        self._bodiless = request.method == "HEAD" or status in BODILESS
        line = LINES.get(status) or f"HTTP/1.1 {status} \r\n"
        framing = ""
        if length is not None:
            if status not in BODILESS:
                framing = f"Content-Length: {length}\r\n"
        elif not self._bodiless:
            if request.modern:
                self._chunked, framing = True, "Transfer-Encoding: chunked\r\n"
            else:
                self.keep_alive = False  # the end of the connection is the end of the body
        if not self.keep_alive:
            framing += "Connection: close\r\n"
        elif not request.modern:
            framing += "Connection: keep-alive\r\n"
        parts = [line]
        for name, value in pairs:
            parts.append(name)
            parts.append(": ")
            parts.append(value)
            parts.append("\r\n")
        parts.append(framing)
        if self._dated:
            parts += ("Date: ", date(), "\r\n")
        parts.append("\r\n")
        return "".join(parts).encode("utf-8", "surrogateescape")

    def _send(self, piece: bytes) -> None:
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        transport.write(piece)

    @property
    def waiting(self) -> bool:
        """Whether the caller has yet to take what was written."""
        return self._writing

    async def room(self) -> None:
        """Wait until the connection takes more."""
        self._writing = True
        await self._connection.room()
        self._writing = False

    # --- the sweep -----------------------------------------------------------------------------------------

    def tick(self, at: float) -> None:
        if self.state == "ended":
            return
        if self._moved != self._seen or not (self._writing or self.opening):
            self._seen, self._quiet_since = self._moved, at
        elif self._writing:
            if at - self._quiet_since >= self.patience.write:
                self.stalled = True
                if self._connection.transport is not None:
                    self._connection.transport.abort()
        elif self._connection.transport is None or self._connection.transport.is_closing():
            return  # the handler is being told
        elif self.state == "uncommitted":
            if (
                at - self._began >= self.patience.commit_after
                and self.opening is not None
                and self._may_open()
            ):
                self.head(200, list(self.opening.items()))
                self.early, self._quiet_since = True, at
                self._send(self._commit(None))
        elif at - self._quiet_since >= self.patience.keepalive and (
            self.watch is None or self.watch.between_frames
        ):
            self._quiet_since = at
            self._send(b"%x\r\n%b\r\n" % (len(KEEPALIVE), KEEPALIVE) if self._chunked else KEEPALIVE)


def date(_cache: list[object] = [0, ""]) -> str:  # noqa: B006 - one text a second
    second = int(time())
    if _cache[0] != second:
        _cache[:] = [second, formatdate(second, usegmt=True)]
    return str(_cache[1])
