"""All connections of one door, and how long each may take: looked at by the sweep, in the order of their ends."""

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.doors.connection import Connection, Told
from sidecar.doors.request import Request

Handler = Callable[[Request], Awaitable[Told]]
LINGER: Final = 2.0  # seconds in which a caller may end what nobody will read
SPARE: Final = 16  # files that are left when it is said
QUIET: Final = 60.0  # seconds before it is said again
CROWDED: Final = (
    "nearly as many files and connections are open as may be, and more will be turned away: raise the limit "
    "(ulimit -n, LimitNOFILE=, --ulimit nofile=), or run another replica"
)
Ends = dict[Connection, float]  # in the order in which they end: each waits as long as all others of its dict


class Server:
    """Makes connections, and ends those that take too long. Ticked by the sweep.

    `handler`       answers each request; what it is told by says whether the connection goes on
    `keepalive`     seconds that a connection may idle, before its first request too
    `head_timeout`  seconds for a request's head, from its first byte
    `malformed`     told of what is no HTTP; with an error, that a handler of ours broke
    """

    def __init__(
        self,
        handler: Handler,
        *,
        keepalive: float,
        head_timeout: float,
        malformed: Callable[[str, BaseException | None], None],
        warn: Callable[[str], None],
    ) -> None:
        self.handler, self.malformed, self._warn = handler, malformed, warn
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self.connections: set[Connection] = set()
        self._keepalive, self._head_timeout = keepalive, head_timeout
        self._idle: Ends = {}
        self._heads: Ends = {}
        self._lingering: Ends = {}
        self._closing: Ends = {}
        self._now = self.loop.time()
        self._crowded = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
        self._quiet_until = 0.0
        self._gone: asyncio.Future[None] | None = None

    def __call__(self) -> Connection:
        return Connection(self)

    # --- what becomes of a connection ----------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """The lowest number that is free is the next file's: a high one says that few are left."""
        self.connections.add(connection)
        self.idle(connection)
        if self.closing:
            connection.close()
        elif connection.transport is not None:
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            number = sock.fileno()
            if number >= self._crowded and self.loop.time() >= self._quiet_until:
                self._quiet_until = self.loop.time() + QUIET
                self._warn(CROWDED)

    def idle(self, connection: Connection) -> None:
        self._idle[connection] = self._now + self._keepalive

    def begun(self, connection: Connection) -> None:
        """A head has begun to come, and is not complete."""
        self._idle.pop(connection, None)
        self._heads[connection] = self.loop.time() + self._head_timeout

    def busy(self, connection: Connection) -> None:
        """A request is being answered."""
        if self._idle.pop(connection, None) is None:
            self._heads.pop(connection, None)

    def lingers(self, connection: Connection) -> None:
        """It has been answered, and still sends."""
        self.busy(connection)
        self._lingering[connection] = self.loop.time() + LINGER

    def lingered(self, connection: Connection) -> None:
        """It has ended what it sent."""
        self._lingering.pop(connection, None)

    def closes(self, connection: Connection) -> None:
        """It is closed as soon as its caller has taken what was written, which he may never do."""
        self.busy(connection)
        self._lingering.pop(connection, None)
        self._closing.setdefault(connection, self.loop.time() + self._keepalive)

    def lost(self, connection: Connection) -> None:
        self.busy(connection)
        self._lingering.pop(connection, None)
        self._closing.pop(connection, None)
        self.connections.discard(connection)
        if not self.connections and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def broke(self, error: Exception) -> None:
        self.malformed("internal_error", error)

    # --- the sweep -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        self._now = now
        for connection in ended(self._heads, now):
            connection.refuse("head_timeout")
        for connection in ended(self._idle, now):
            connection.close()
        for connection in ended(self._lingering, now):
            if connection.transport is not None:
                connection.transport.close()
                self.closes(connection)
        for connection in ended(self._closing, now):
            if connection.transport is not None:
                connection.transport.abort()

    # --- the end -------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Connections end behind the answers that are being given; the others now."""
        self.closing = True
        for connection in list(self.connections):
            connection.close()

    async def close(self, patience: float) -> None:
        """All end: what is being answered has so many seconds."""
        self.refuse()
        if tasks := [
            task for one in self.connections if one.request is not None and (task := one.request.task)
        ]:
            await asyncio.wait(tasks, timeout=patience)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.close()
        if self.connections:
            self._gone = self.loop.create_future()
            await asyncio.wait([self._gone], timeout=patience)
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if self.connections and self._gone is not None:
            await self._gone


def ended(ends: Ends, now: float) -> list[Connection]:
    """Those whose time is over, which are taken out."""
    over = []
    for connection, at in ends.items():
        if at > now:
            break
        over.append(connection)
    for connection in over:
        del ends[connection]
    return over
