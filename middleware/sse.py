"""Server-sent events: one reader for every framing, and the few frames that are ours.

Lines end with LF, CRLF or CR and nothing else: `str.splitlines` would also split at U+2028 or U+0085, which
Node writes unescaped inside JSON.
"""

import re
from typing import Any, Final, NamedTuple

from policies.json_exact import dumps, loads
from policies.refusal import Refusal

LIMIT: Final = 1 << 20  # bytes of one line, and of one frame's fields
BOM: Final = b"\xef\xbb\xbf"
DONE: Final = b"data: [DONE]\n\n"
KEEPALIVE: Final = b": keepalive\n\n"
LF: Final = 10
CR: Final = 13  # a number is found in bytes in a fifth of the time of a byte


class Event(NamedTuple):
    """One event as its frame said it: `data` lines joined by LF, and the frame's own name and id."""

    data: str
    event: str | None = None
    id: str | None = None

    def value(self) -> Any:
        """The JSON value of the data; ValueError where it is none, as with `[DONE]`."""
        return loads(self.data)


class Reader:
    """Bytes in, cut anywhere, events out. Holds at most one line and one frame, each within the limit.

    Raises Refusal 502 `agent_too_large` at the frame that is larger, after all events before it were given.
    """

    __slots__ = ("_after_cr", "_data", "_event", "_fresh", "_id", "_line", "_size", "_too_large", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._line = bytearray()  # a line whose end has not come yet
        self._after_cr = False  # an LF that comes next belongs to the CR that ended the last line
        self._fresh = True  # no line has been read, so there may be a byte order mark
        self._too_large = False
        self._data: list[bytes] = []
        self._event: str | None = None
        self._id: str | None = None
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        if self._too_large:
            raise self._refusal()
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._line += chunk
            lines = []
        else:
            lines = (bytes(self._line) + chunk).split(b"\n")
            self._line = bytearray(lines.pop())
        return self._events(lines, len(self._line) > self.limit)

    @property
    def between(self) -> bool:
        """Whether nothing is held: what comes next is read as if it were the first, a byte order mark aside."""
        held = self._line or self._data or self._size or self._after_cr or self._fresh or self._too_large
        return not held and self._event is None and self._id is None

    def end(self) -> list[Event]:
        """The last event, where the stream ended without the blank line that should close it."""
        if self._too_large:
            raise self._refusal()
        lines = [bytes(self._line), b""]
        self._line = bytearray()
        return self._events(lines, False)

    def _events(self, lines: list[bytes], too_large: bool) -> list[Event]:
        events: list[Event] = []
        if self._fresh and lines:
            self._fresh = False
            lines[0] = lines[0].removeprefix(BOM)
        for line in lines:
            if len(line) > self.limit or self._size > self.limit:
                too_large = True
                break
            if line:
                self._field(line)
            elif self._data:
                events.append(Event(text(b"\n".join(self._data)), self._event, self._id))
                self._reset()
            else:
                self._reset()
        if too_large or self._size > self.limit:
            self._too_large = True
            self._line = bytearray()
            if not events:
                raise self._refusal()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name not in (b"data", b"event", b"id"):
            return  # a comment, `retry`, or nobody's field
        value = value.removeprefix(b" ")
        self._size += len(value)
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = text(value)
        elif b"\0" not in value:
            self._id = text(value)

    def _reset(self) -> None:
        self._data, self._event, self._id, self._size = [], None, None, 0

    def _refusal(self) -> Refusal:
        detail = f"One event of the stream is larger than {self.limit} bytes."
        return Refusal(502, "agent_too_large", detail=detail)


def line_end(chunk: bytes) -> int:
    """Where the line ends of a chunk that is one whole frame of one line; 0 for every other chunk."""
    lf = chunk.find(b"\n")
    left = len(chunk) - lf
    if left == 2:  # a byte is looked at for a fifth of what `endswith` costs
        return lf if chunk[-1] == LF and CR not in chunk else 0
    if left == 3 and chunk[-1] == LF and chunk[-2] == CR and chunk.find(b"\r") == lf - 1:
        return lf - 1
    return 0


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def frame(value: Any, event: str | None = None) -> bytes:
    """One frame with one line of data, readable by the plainest of readers."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + dumps(value) + b"\n\n"


def reframed(event: Event) -> bytes:
    """The event in LF frames with `data: `; JSON that came on several lines goes on one."""
    name = f"event: {event.event}\n" if event.event else ""
    number = f"id: {event.id}\n" if event.id is not None else ""
    joint = " " if event.data[:1] in ("{", "[") else "\ndata: "  # a line break in JSON is only ever a space
    return f"{number}{name}data: {event.data.replace(chr(10), joint)}\n\n".encode()


def error_frame(code: str, message: str, request_id: str) -> bytes:
    """How a stream that has begun says that it failed. No `[DONE]` follows it."""
    value = {"type": "error", "error": code, "code": code, "message": message, "request_id": request_id}
    return frame(value, event="error")


EOL: Final = rb"(?:\r\n|\n|\r(?!\n))"
FIRST: Final = re.compile(  # what says nothing, then every line up to the blank one; possessive, so linear
    rb"(?:(?::[^\r\n]*+)?+" + EOL + rb")*+[^:\r\n][^\r\n]*+(?:" + EOL + rb"[^\r\n]++)*+" + EOL + EOL
)
DATA: Final = re.compile(rb"^data(?::[^\n]*)?$", re.MULTILINE)
TEXT_WITHOUT_DELTA: Final = re.compile(
    rb'data: \{"type": ?"response\.(?:output_item\.done".*"type": ?"message"|(?:completed|incomplete)")'
)


def first_frame_end(buffer: bytes) -> int | None:
    """Where the first frame that says something is over; None while it is not."""
    found = FIRST.match(buffer)
    return found.end() if found else None


def readable_by_hook(head: bytes) -> bool:
    """Whether a stream that begins so may go as it is to a reader that knows LF and `data: ` only.

    The recipe's hook splits at blank lines and takes the first line that starts with `data: `. It reads text
    from deltas alone, so a stream whose first frame is text that no delta brought is not for it either.
    """
    first = head[: first_frame_end(head)]
    lines = DATA.findall(first)
    return (
        b"\r" not in first
        and len(lines) == 1
        and lines[0].startswith(b"data: ")
        and not TEXT_WITHOUT_DELTA.match(lines[0])
    )
