"""An agent's stream told again for the plainest of readers: bytes in, cut anywhere, and bytes out. No loop.

Whole frames with one line of data, which are nearly all of nearly every stream, are told without an event being
made of each.
"""

import re
from typing import Any, Final

import orjson

from middleware.sse import CR, LF, LIMIT, Event, Reader, frame, line_end, reframed, text
from policies.legible import DELTAS, Legible

SHORT: Final = 1024  # bytes of JSON that any reader would read: no integer is too long, and nothing too deep
NONE: Final = b"\n"  # no line begins so
NAMED: Final = re.compile(rb"event: ?([\w.]+)\n")


class Reframing:
    """Frames in LF with `data: `, JSON on one line; before text that only items brought, its deltas.

    Raises what the `Reader` raises, after all that came before it was told.
    """

    __slots__ = ("_at", "_between", "_delta", "_legible", "_reader", "_spaced")

    def __init__(self, limit: int = LIMIT) -> None:
        self._reader = Reader(limit)
        self._legible = Legible()
        self._between = False  # whether the reader holds nothing; not before it has read the first line
        self._delta, self._at = NONE, len(NONE)  # how the last delta began, up to its text
        self._spaced = True  # and whether as it is told

    def feed(self, chunk: bytes) -> bytes:
        """What this chunk completes."""
        if not self._between or len(chunk) > self._reader.limit:
            return self._read(chunk)
        if end := line_end(chunk):
            line = chunk[:end]
            quote = line.find(b'"', self._at)
            if quote == end - 2 and line[-1] == 125 and line.startswith(self._delta) and line.isascii():
                told = line if self._spaced else b"data: " + line[5:]
                return told + b"\n\n"  # the last delta again, but for its text
            return self._frame(line)
        lf = chunk.replace(b"\r\n", b"\n")
        if CR in lf:
            return self._read(chunk)
        if self._spaced and lf.startswith(self._delta) and self._text_alone(lf):
            return lf  # the same, with its name
        *frames, rest = lf.split(b"\n\n")
        said = [self._frame(one) for one in frames]
        if rest:
            said.append(self._read(rest))
        return b"".join(said)

    def end(self) -> bytes:
        """The last frame, where the stream ended without the blank line that should close it."""
        return b"".join([self._event(event) for event in self._reader.end()])

    def _read(self, chunk: bytes) -> bytes:
        events = self._reader.feed(chunk)
        self._between = self._reader.between
        return b"".join([self._event(event) for event in events])

    def _frame(self, lines: bytes) -> bytes:
        """A whole frame, its lines parted by LF and its last one not ended."""
        line, name = lines, None
        if lines[:6] == b"event:" and (named := NAMED.match(lines)) is not None:
            line, name = lines[named.end() :], named[1]
        if line[:5] != b"data:" or LF in line:
            return self._read(lines + b"\n\n")
        data = line[6:] if line[5:6] == b" " else line[5:]
        if len(data) <= SHORT:
            try:
                value = orjson.loads(data)  # nothing that is not UTF-8 passes it
            except ValueError:
                pass
            else:
                if self._legible.nothing(value):
                    self._remember(lines, value, named=name is not None)
                    head = b"" if name is None else b"event: %b\n" % name
                    return b"%bdata: %b\n\n" % (head, data)
        return self._event(Event(text(data), None if name is None else text(name)))

    def _remember(self, lines: bytes, value: Any, *, named: bool) -> None:
        """How a delta begins whose text is its last member: another one changes nothing of what is to be told."""
        if type(value) is dict and value.get("type") in DELTAS and lines[-2:] == b'"}':
            begins = lines[: lines.rfind(b'"', 0, -2) + 1]
            spaced = begins.startswith(b"event: ") and b"\ndata: " in begins if named else begins[5:6] == b" "
            if begins.endswith((b'"delta": "', b'"delta":"')) and (spaced or not named):
                self._delta, self._at, self._spaced = begins, len(begins), spaced

    def _text_alone(self, lf: bytes) -> bool:
        """Whether nothing but a text of plain characters stands between how the last delta began and the end."""
        end = len(lf) - 2
        quoted = lf.find(b'"', self._at) == end - 2 and lf.find(b"\n", self._at) == end
        return quoted and lf[-1] == LF and lf[end - 1] == 125 and lf.isascii()

    def _event(self, event: Event) -> bytes:
        self._delta, self._at = NONE, len(NONE)
        try:
            missing = [frame(delta) for delta in self._legible.missing(event.value())]
        except ValueError:
            missing = []
        return b"".join([*missing, reframed(event)])
