"""One door: where it listens, and a close in three steps."""

import asyncio
import errno
from collections.abc import Callable
from functools import partial
from socket import gaierror
from typing import Final, cast

from policies.agent import Door
from sidecar.doors.server import Handler, Server
from sidecar.refusing import accepted, refuse
from sidecar.sweep import Sweep

# How long an idle connection is kept: the platform's own proxy idles at 90 s and must be the one to close.
KEEPALIVE: Final[dict[Door, float]] = {"front": 120, "egress": 20, "admin": 20}
LAST: Final = 0.05  # seconds that whoever is still being answered has, when all is closed


class Listener:
    """Opens, stops accepting, lets go of idle connections, and at last closes all."""

    def __init__(
        self,
        door: Door,
        host: str,
        port: int,
        handler: Handler,
        *,
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
        self._handler, self._malformed = handler, malformed
        self._sweep, self._warn, self._head_timeout = sweep, warn, head_timeout
        self._reach = reach
        self._listening: asyncio.Server | None = None
        self.moved_from: int | None = None  # the port that was taken
        self._server: Server | None = None

    async def open(self) -> None:
        """Bind and accept. CannotListen where the port is taken or not ours to bind."""
        self._server = server = Server(
            self._handler,
            keepalive=KEEPALIVE[self.door],
            head_timeout=self._head_timeout,
            malformed=partial(self._malformed, self.door),
            warn=self._warn,
        )
        wanted = self.port
        while self._listening is None:
            try:
                self._listening = await asyncio.get_running_loop().create_server(
                    lambda: cast(asyncio.Protocol, server()),
                    self.host,
                    self.port,
                    backlog=1024,
                    reuse_address=True,
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
            self._server.refuse()

    async def close(self) -> None:
        """Close every connection, busy or not."""
        self.refuse()
        await accepted()
        if self._server is not None:
            self._sweep.items.discard(self._server)
            await self._server.close(LAST)


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
