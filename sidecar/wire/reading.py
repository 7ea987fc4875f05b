"""One answer read from bytes that come cut anywhere: no socket, no clock."""

from collections.abc import Callable
from typing import Final

import httptools

from sidecar.wire.faults import Fault, Malformed
from sidecar.wire.head import Head, Kind

OVERHEAD: Final = (
    32 << 10
)  # bytes of chunk sizes, extensions and trailers with no byte of the body among them


class Reading(Head):
    """Feed it what comes; it gives the bytes of the body, or raises Malformed.

    `over` when the answer is complete; `reusable` when another one may follow on the same connection.
    """

    over: bool = False
    reusable: bool = False
    _idle: int = 0
    _left: int = 0

    _take: "Take"

    def feed(self, data: bytes) -> bytes:
        if self.status:
            return self._take(self, data)
        rest = self.begin(data)
        return b"" if rest is None else self._begun(rest)

    def eof(self) -> None:
        """The agent has closed: the proper end of a body that has no other, else Fault `agent_broke_off`."""
        if self.over:
            return
        if not self.status or self.kind != "eof":
            raise Fault("agent_broke_off")
        self.over = True

    def _begun(self, rest: bytes) -> bytes:
        kind = self.kind
        if kind == "none" or (kind == "length" and not self.length):
            self._end(bool(rest))
            return b""
        self._left = self.length
        self._take = take = TAKES[kind]
        return take(self, rest) if rest else b""

    def _length(self, data: bytes) -> bytes:
        left = self._left = self._left - len(data)
        if left > 0:
            return data
        self._end(left < 0)
        return data[:left] if left else data

    def _chunked(self, data: bytes) -> bytes:
        fields = self.fields
        pieces = fields.pieces
        try:
            self.parser.feed_data(data)
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
        self.reusable = self.kept and not excess
        self._take = Reading._nothing


Take = Callable[[Reading, bytes], bytes]
TAKES: Final[dict[Kind, Take]] = {
    "length": Reading._length,
    "chunked": Reading._chunked,
    "eof": Reading._until_eof,
}
