"""Where the frames of a WebSocket begin, so that one of ours can stand between two; nothing else is read of them.

RFC 6455 §5.2: two bytes, two or eight more where the length does not fit into seven bits, four where the
payload is masked, then the payload.
"""

from typing import Final

CLOSE: Final = 0x8
PING: Final = 0x9
FINAL: Final = 0x80
MASKED: Final = 0x80
LONGER: Final = {126: 2, 127: 8}  # what seven bits say, and the bytes in which the length follows


class Frames:
    """One direction of a WebSocket. `closed` once a close frame has begun: no frame may follow it."""

    __slots__ = ("_head", "_left", "closed")

    def __init__(self) -> None:
        self._head = b""  # of a frame whose head has been cut
        self._left = 0  # bytes to come of the frame that has begun
        self.closed = False

    @property
    def between(self) -> bool:
        """Whether the last frame is complete and the next has not begun."""
        return not self._left and not self._head

    def seen(self, data: bytes) -> int:
        """Follow what comes next. How many bytes of it belong to the frame that had begun: at most all."""
        if len(data) <= self._left:
            self._left -= len(data)
            return len(data)
        before = len(self._head)
        buffer = self._head + data if before else data
        at, first = self._left, -1
        if not before:
            first = at
        while at < len(buffer) and (size := self._frame(buffer, at)):
            at += size
            if first < 0:
                first = at - before
        self._head = buffer[at:]
        self._left = max(0, at - len(buffer))
        return min(first, len(data)) if first >= 0 else len(data)

    def _frame(self, buffer: bytes, at: int) -> int:
        """The size of the frame that begins there, or 0 where its head is not complete."""
        if len(buffer) < at + 2:
            return 0
        said = buffer[at + 1]
        length, more = said & 0x7F, LONGER.get(said & 0x7F, 0)
        if len(buffer) < (behind := at + 2 + more):
            return 0
        if more:
            length = int.from_bytes(buffer[at + 2 : behind], "big")
        if buffer[at] & 0x0F == CLOSE:
            self.closed = True
        return 2 + more + (4 if said & MASKED else 0) + length


def close(code: int, mask: bytes = b"") -> bytes:
    """A close frame with this code; four bytes of `mask` where it goes to a server."""
    return _short(CLOSE, code.to_bytes(2, "big"), mask)


def ping(mask: bytes = b"") -> bytes:
    return _short(PING, b"", mask)


def _short(opcode: int, payload: bytes, mask: bytes) -> bytes:
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes((FINAL | opcode, (MASKED if mask else 0) | len(payload))) + mask + masked
