"""One answer read from bytes that come cut anywhere: no socket, no clock."""

from collections.abc import Callable
from typing import Final

from sidecar.wire.faults import Fault, Malformed
from sidecar.wire.head import Head, Kind


class Reading(Head):
    """Feed it what comes; it gives the bytes of the body, or raises Malformed.

    `over` when the answer is complete; `reusable` when another one may follow on the same connection.
    """

    over: bool = False
    reusable: bool = False
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
        try:
            body = self.fields.unchunked(self.parser, data)
        except ValueError as error:
            raise Malformed(str(error)) from None
        if self.fields.over:
            self._end(self.fields.excess)
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
