"""The connections to one origin: the one used last is used first, none for too long, and never too many."""

import asyncio
from collections import deque
from typing import Final

from sidecar.wire.connect import Way
from sidecar.wire.connection import Connection
from sidecar.wire.faults import Fault

CONNECTIONS: Final = 1024  # open at once, those with long streams included
WAITING: Final = 1024  # callers for whom there is none
LOOPBACK: Final = 4.0  # seconds of idleness: less than the 5 s after which an agent's own server closes
REMOTE: Final = 60.0
Turn = asyncio.Future[Connection | None]  # a connection that was given back, or None: open the one you have


class Pool:
    """`ready()` or else `await opened()`; then `give_back` or an abort, after which `lost` is called."""

    def __init__(
        self, way: Way, connect: float, *, connections: int = CONNECTIONS, waiting: int = WAITING
    ) -> None:
        self.way, self.connect = way, connect
        self.connections, self.waiting = connections, waiting
        origin = way.origin
        self.lifetime = LOOPBACK if origin.loopback and not origin.secure else REMOTE
        self.idle: deque[Connection] = deque()
        self.open: set[Connection] = set()  # those being opened included
        self.waiters: deque[tuple[Turn, Connection]] = deque()
        loop = asyncio.get_running_loop()  # a system call in CPython 3.11, so it is asked for once
        self.clock, self.future = loop.time, loop.create_future
        self._closed: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Pool {self.way.origin.authority}: {len(self.open)} open, {len(self.idle)} idle>"

    def ready(self) -> Connection | None:
        """One that may be used at once."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable(self.clock(), self.lifetime):
                return connection
            connection.transport.abort()
        return None

    async def opened(self) -> Connection:
        """A new one, or one that somebody gives back meanwhile. Fault where there is none in time."""
        if self._closed is not None:
            raise Fault("draining")
        connection = Connection(self)
        if len(self.open) < self.connections and not self.waiters:
            self.open.add(connection)
        elif (given := await self._turn(connection)) is not None:
            return given
        try:
            async with asyncio.timeout(self.connect):
                await self.way.open(connection)
        except BaseException as error:
            self.lost(connection)  # uvloop does not say it of one whose opening was cancelled
            if connection.transport:
                connection.transport.abort()
            if isinstance(error, TimeoutError):
                raise Fault("agent_connect_timeout") from None
            raise
        if self._closed is not None:
            connection.transport.abort()
            raise Fault("draining")
        return connection

    async def _turn(self, connection: Connection) -> Connection | None:
        """Wait for one that is given back, or for leave to open this one (None)."""
        busy = Fault("overloaded", f"all {self.connections} connections are in use")
        if len(self.waiters) >= self.waiting:
            raise busy
        turn: Turn = asyncio.get_running_loop().create_future()
        self.waiters.append((turn, connection))
        try:
            async with asyncio.timeout(self.connect):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and not turn.exception():  # it came too late for us
                given = turn.result()
                self.lost(connection) if given is None else self._pass_on(given)
            if isinstance(error, TimeoutError):
                raise busy from None
            raise

    def give_back(self, connection: Connection) -> None:
        """It has brought an answer to its end and can bring another."""
        connection.idle_since = self.clock()
        if self._closed is not None:
            connection.transport.abort()
        else:
            self._pass_on(connection)

    def lost(self, connection: Connection) -> None:
        if connection not in self.open:
            return
        self.open.remove(connection)
        if self._closed is None:
            self._pass_on(None)
        elif not self._closed.done() and not any(one.transport for one in self.open):
            self._closed.set_result(None)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give it (or the leave to open one) to whoever has waited longest."""
        while self.waiters:
            turn, waiting = self.waiters.popleft()
            if not turn.done():
                if connection is None:
                    self.open.add(waiting)
                turn.set_result(connection)
                return
        if connection is not None:
            self.idle.append(connection)

    def tick(self, now: float) -> None:
        """Close what has been idle for too long; the oldest are at the left."""
        while self.idle and not self.idle[0].usable(now, self.lifetime):
            self.idle.popleft().transport.abort()

    async def close(self) -> None:
        """Abort every connection, busy or not, and wait until their sockets are closed."""
        self._closed = asyncio.get_running_loop().create_future()
        self.way.close()
        for turn, _ in self.waiters:
            if not turn.done():
                turn.set_exception(Fault("draining"))
        busy = [connection for connection in self.open if connection.transport]
        for connection in busy:
            connection.transport.abort()
        if busy:
            await self._closed
