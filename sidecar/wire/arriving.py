"""An answer that is still arriving: pushed into a sink as it comes, or held, within bounds, for whoever reads it."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from middleware.events import chunks, events
from middleware.exchange import Sink
from middleware.sse import Event, first_frame_end
from middleware.watch import Watch

if TYPE_CHECKING:
    from sidecar.wire.exchange import Exchange

HELD: Final = 4096  # bytes of a first frame that are waited for
NEVER: Final = float("inf")
HIGH: Final = 65536  # bytes held for a reader before the agent is made to wait


class Arriving:
    """Satisfies `Stream`. The watch sees each chunk as it is handed on, never before."""

    __slots__ = ("_error", "_held", "_over", "_sink", "_size", "_source", "_turn", "watch")

    def __init__(self, source: "Exchange", watch: Watch) -> None:
        self.watch = watch
        self._source = source
        self._held: list[bytes] = []
        self._size = 0
        self._sink: Sink | None = None
        self._turn: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._over = False

    # --- what comes ----------------------------------------------------------------------------------------

    def take(self, chunk: bytes) -> None:
        """The next bytes of the body. Raises what the sink raises."""
        if (sink := self._sink) is not None:
            self.watch.seen(chunk)
            self._source.moved = True
            if sink.feed(chunk):
                return
            self._sink = None
            self._source.flow(False)
        else:
            self._held.append(chunk)
            self._size += len(chunk)
            self._source.at = NEVER
            if self._size >= HIGH:
                self._source.flow(False)
        self._wake()

    def finish(self, error: Exception | None = None) -> None:
        self._over, self._error = True, error
        self._wake()

    @property
    def at_hand(self) -> bool:
        """Whether there is something to read, be it the end, without waiting."""
        return bool(self._held) or self._over

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    # --- who reads it --------------------------------------------------------------------------------------

    async def _more(self) -> None:
        """Wait until something has changed."""
        try:
            await self._waited()
        finally:
            self._turn = None

    def _waited(self) -> asyncio.Future[None]:
        self._source.flow(True)
        self._turn = turn = asyncio.get_running_loop().create_future()
        return turn

    async def _next(self) -> bytes:
        """All that is held, once there is something; empty at the end. Raises what ended it early."""
        while not self._held:
            if self._over:
                if self._error is not None:
                    raise self._error
                return b""
            await self._more()
        held = self._held
        chunk = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        self._size = 0
        self.watch.seen(chunk)
        return chunk

    async def head(self) -> bytes:
        while True:
            held = b"".join(self._held)
            if len(held) >= HELD or first_frame_end(held) is not None:
                return held
            if self._over:
                if self._error is not None:
                    raise self._error
                return held
            await self._more()

    def chunks(self) -> AsyncIterator[bytes]:
        return chunks(self._next)

    def events(self) -> AsyncIterator[Event]:
        return events(self.chunks())

    async def pump(self, sink: Sink) -> None:
        while self._held or not self._over:
            if self._held:
                fits = sink.feed(await self._next())
            else:
                self._sink = sink
                try:
                    await self._waited()  # in no coroutine of its own, which each open stream would keep
                finally:
                    self._sink = self._turn = None
                fits = self._over or bool(self._held)
            if not fits:
                self._source.flow(False)
                await sink.room()
        if self._error is not None:
            raise self._error
