"""One answer read from bytes that come cut anywhere: no socket, no clock."""

from typing import Final

import httptools

from sidecar.wire.faults import Fault, Malformed
from sidecar.wire.head import Head

OVERHEAD: Final = (
    32 << 10
)  # bytes of chunk sizes, extensions and trailers with no byte of the body among them


class Reading:
    """Feed it what comes; it gives the bytes of the body, or raises Malformed.

    `over` when the answer is complete; `reusable` when another one may follow on the same connection.
    """

    __slots__ = ("_idle", "_left", "_take", "head", "over", "reusable")

    def __init__(self, method: str) -> None:
        self.head = Head(method)
        self.over = self.reusable = False
        self._take = Reading._head  # not bound: that would be a cycle
        self._idle = self._left = 0

    def feed(self, data: bytes) -> bytes:
        return self._take(self, data)

    def eof(self) -> None:
        """The agent has closed: the proper end of a body that has no other, else Fault `agent_broke_off`."""
        if self.over:
            return
        if not self.head.status or self.head.kind != "eof":
            raise Fault("agent_broke_off")
        self.over = True

    def _head(self, data: bytes) -> bytes:
        rest = self.head.feed(data)
        if rest is None:
            return b""
        kind = self.head.kind
        if kind == "none" or (kind == "length" and not self.head.length):
            self._end(bool(rest))
            return b""
        self._take, self._left = TAKES[kind], self.head.length
        return self._take(self, rest) if rest else b""

    def _length(self, data: bytes) -> bytes:
        left = self._left - len(data)
        self._left = left
        if left > 0:
            return data
        self._end(left < 0)
        return data[:left] if left else data

    def _chunked(self, data: bytes) -> bytes:
        head = self.head
        fields = head.fields
        pieces = fields.pieces
        try:
            head.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not fields.over:
                raise Malformed(str(error)) from None
            fields.excess = True
        if fields.over:
            self._end(fields.excess)
        elif not pieces:
            self._idle += len(data)
            if self._idle > OVERHEAD:
                raise Malformed("chunks without a body")
            return b""
        self._idle = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def _until_eof(self, data: bytes) -> bytes:
        return data

    def _nothing(self, data: bytes) -> bytes:
        self.reusable = False  # more than the answer
        return b""

    def _end(self, excess: bool) -> None:
        self.over = True
        self.reusable = self.head.kept and not excess
        self._take = Reading._nothing


TAKES: Final = {"length": Reading._length, "chunked": Reading._chunked, "eof": Reading._until_eof}
