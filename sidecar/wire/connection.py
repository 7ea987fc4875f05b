"""One connection to an agent: bytes to whoever asks on it now, and the signs that it cannot be used again."""

import asyncio
import socket
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from sidecar.wire.exchange import Exchange

PEEK: Final = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)  # an int: flags are joined slowly
QUIET: Final = 1.0  # seconds of idleness, after which the socket is asked whether the agent has closed


class Owner(Protocol):
    """Who keeps it between two requests."""

    def lost(self, connection: "Connection") -> None: ...


class Connection:
    """An `asyncio.Protocol`, by what it has and not by its base: compiled, a class of ours alone is quick."""

    __slots__ = ("_reading", "_room", "asking", "full", "idle_since", "owner", "sock", "transport")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.asking: Exchange | None = None  # who has it for one request and its answer
        self.sock: socket.socket | None = None
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.idle_since = 0.0
        self.full = False  # the agent does not take what we write
        self._reading = True
        self._room: asyncio.Future[None] | None = None

    # --- what the loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.asking is None:
            self.transport.abort()  # an answer to nothing
        else:
            self.asking.received(data)

    def eof_received(self) -> None:
        if self.asking is not None:
            self.asking.ended()

    def connection_lost(self, error: Exception | None) -> None:
        self.owner.lost(self)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self.asking is not None:
            self.asking.lost()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- what others call ----------------------------------------------------------------------------------

    def usable(self, now: float, lifetime: float) -> bool:
        """Whether another request may be written: open, not too old, and nothing has come on it."""
        if self.transport.is_closing() or (idle := now - self.idle_since) > lifetime:
            return False
        if idle < QUIET or self.sock is None:
            return True
        try:  # the loop may not have got round to what the socket knows already
            self.sock.recv(1, PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def flow(self, on: bool) -> None:
        """Read on, or leave what comes with the agent."""
        if on is not self._reading and not self.transport.is_closing():
            self._reading = on
            self.transport.resume_reading() if on else self.transport.pause_reading()

    async def room(self) -> None:
        """Wait until the agent takes more, or is gone."""
        if self.full and not self.transport.is_closing():
            self._room = asyncio.get_running_loop().create_future()
            await self._room
