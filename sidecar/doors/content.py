"""The body of a request: what has come of it, held within bounds for whoever reads it."""

import asyncio
from typing import TYPE_CHECKING, Final

from sidecar.doors.head import Head, refusal

if TYPE_CHECKING:
    from sidecar.doors.connection import Connection

HELD: Final = 1536 << 10  # bytes that nobody has read, before the caller is made to wait


class Content:
    """`over` when no more will come, be it that it broke: then `error` says why. `begun`: a byte of it has come.

    `excess`: something lies behind chunks, which is let go.
    """

    __slots__ = (
        "_connection", "_held", "_left", "_size", "_source", "_turn", "_unwanted", "begun", "error", "excess", "over",
    )  # fmt: skip

    def __init__(self, head: Head, connection: "Connection") -> None:
        self._connection = connection
        self._source = head if head.kind == "chunked" else None
        self._left = (head.length or 0) if head.kind == "length" else 0
        self._held: list[bytes] = []
        self._size = 0
        self._turn: asyncio.Future[None] | None = None
        self._unwanted = self.begun = self.excess = False
        self.error: Exception | None = None
        self.over = head.kind == "none"

    # --- what comes ----------------------------------------------------------------------------------------

    def take(self, data: bytes) -> bytes:
        """What came on the connection; returned is what lies behind this body."""
        rest = b""
        if (source := self._source) is not None:
            try:
                data = source.fields.unchunked(source.parser, data)
            except ValueError:
                self.fail(refusal("bad_request"))
                return b""
            self.excess = source.fields.excess
            self.over = source.fields.over  # whatever lies behind it is the last of its connection
        else:
            self._left -= len(data)
            if self._left <= 0:
                self.over = True
                if self._left:
                    data, rest = data[: self._left], data[self._left :]
        if data:
            self.begun = True
            if not self._unwanted:
                self._held.append(data)
                self._size += len(data)
                if self._size >= HELD and not self.over:  # of whoever waits, nobody sees that he leaves
                    self._connection.flow(False)
        if self._turn is not None:
            self._wake()
        return rest

    def fail(self, error: Exception) -> None:
        """No more will come, and what came is not all."""
        if not self.over:
            self.over, self.error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    # --- who reads it --------------------------------------------------------------------------------------

    def at_hand(self) -> bytes | None:
        """All of a body that has come whole and was not read; None where it has not, or broke."""
        if not self.over or self.error is not None:
            return None
        return self._all()

    async def more(self) -> bytes:
        """All that is held, once there is something; empty at the end. Raises what broke it."""
        while not self._held:
            if self.over:
                if self.error is not None:
                    raise self.error
                return b""
            self._turn = turn = self._connection.loop.create_future()
            await turn
            self._turn = None
        self._connection.flow(True)
        return self._all()

    def _all(self) -> bytes:
        held = self._held
        whole = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        self._size = 0
        return whole

    def discard(self) -> None:
        """Nobody will read it."""
        self._unwanted = True
        self._held.clear()
        self._connection.flow(True)
