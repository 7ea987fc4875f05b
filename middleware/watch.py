"""What a stream that passes untouched says about itself: whole, cut short, or failed inside a 200.

Nothing is parsed and next to nothing is kept. A mark counts while at most `WINDOW` lines of data follow it:
a flood costs what its last few frames cost, and an agent that goes on long after an end (it called a model
twice) is not taken for whole.
"""

from typing import Final, Literal

from middleware.marks import LONGEST, marks
from middleware.sse import CR, line_end

Verdict = Literal["ok", "agent_error", "truncated"]

WINDOW: Final = 16
CARRY: Final = LONGEST - 1  # bytes kept of a frame that is not over
LARGE: Final = 8192  # of a chunk beyond this only the window is looked at
WHOLE: Final = b"\n"  # carried where all that came is whole frames
DELTAS: Final = (  # nearly every frame of nearly every stream; nothing inside it is a mark
    b'data: {"type":"response.output_text.delta"',
    b'data: {"type": "response.output_text.delta"',
    b'data:{"type":"response.output_text.delta"',
    b'data:{"type": "response.output_text.delta"',
)
NAMES: Final = (b"event: response.output_text.delta\n", b"event: response.output_text.delta\r\n")


class Watch:
    """Fed by the source with every chunk, before the chunk goes on; asked when the stream is over.

    `terminal` names what proves a stream whole. Without any, no stream is called truncated.
    """

    __slots__ = ("_after_cr", "_carry", "_lines", "_marks", "_quiet", "_spoke", "terminal")

    def __init__(self, terminal: tuple[bytes, ...] = ()) -> None:
        self.terminal = terminal
        self._marks = marks(terminal)
        self._carry = WHOLE
        self._after_cr = False
        self._lines: dict[str, int] = {}  # how many lines of data came after a mark
        self._spoke = False
        self._quiet = False  # something was said, in whole frames, and there is no mark to count from

    def afresh(self) -> "Watch":
        """Another one for a stream of the same tongue."""
        return Watch(self.terminal)

    def seen(self, chunk: bytes) -> None:
        if self._quiet:  # one delta and nothing else?
            if chunk.startswith(DELTAS):
                if line_end(chunk):
                    return
            elif chunk.startswith(NAMES):
                frame = chunk[chunk.find(b"\n") + 1 :]
                if frame.startswith(DELTAS) and line_end(frame):
                    return
        if self._after_cr or CR in chunk:
            chunk = self._with_lf(chunk)
        if chunk:
            self._look(self._carry + chunk)

    def _look(self, buffer: bytes) -> None:
        if not self._spoke:
            self._spoke = self._marks.spoke.search(buffer) is not None
        rest = buffer if len(buffer) < LARGE else self._window(buffer)
        if self._lines:
            more = buffer.count(b"\ndata", max(0, len(self._carry) - len(b"data")))
            self._lines = {mark: n + more for mark, n in self._lines.items() if n + more <= WINDOW}
        for gate in self._marks.gates:
            if gate(rest):
                self._lines |= self._found(rest)
                break
        self._carry = WHOLE if rest.endswith(b"\n\n") else rest[-CARRY:]
        self._quiet = self._carry == WHOLE and self._spoke and not self._lines and not self._after_cr

    def _with_lf(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk, self._after_cr = chunk[1:], False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _window(self, buffer: bytes) -> bytes:
        """The last few frames. Every mark before them is too old."""
        start = len(buffer)
        for _ in range(WINDOW + 1):
            start = buffer.rfind(b"\ndata", 0, start)
            if start < 0:
                return buffer
        self._lines.clear()
        return buffer[start:]

    def _found(self, buffer: bytes) -> dict[str, int]:
        found = {}
        for mark, pattern in self._marks.patterns.items():
            at = -1
            for match in pattern.finditer(buffer):
                at = match.start()
            if at >= 0:
                found[mark] = buffer.count(b"\ndata", at + 1)
        return found

    @property
    def between_frames(self) -> bool:
        """Whether a comment may be written now."""
        return self._carry == WHOLE

    @property
    def verdict(self) -> Verdict:
        """How the stream ended, now that it has."""
        last = self._last()
        if "typed" in last or "untyped" in last:
            return "agent_error"
        return "ok" if "end" in last or "end" not in self._marks.patterns else "truncated"

    @property
    def unsaid(self) -> bool:
        """Whether it ended as no reader can see: an error without a type, or an end and nothing before."""
        last = self._last()
        if "typed" in last:
            return False
        spoke = self._spoke or self._marks.spoke.search(self._carry + b"\n") is not None
        return "untyped" in last or ("end" in last and not spoke)

    def _last(self) -> set[str]:
        lines = self._lines | self._found(self._carry + b"\n\n")
        return {mark for mark, n in lines.items() if n <= WINDOW}


class Blank(Watch):
    """Of an answer that is known to say nothing."""

    __slots__ = ()

    @property
    def unsaid(self) -> bool:
        return self.verdict != "agent_error"


class Frames(Watch):
    """For an event stream of a tongue that is not ours to judge: where its frames end, and nothing else."""

    __slots__ = ()

    def seen(self, chunk: bytes) -> None:
        end = (self._carry + chunk)[-4:]
        self._carry = WHOLE if end.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")) else end

    @property
    def verdict(self) -> Verdict:
        return "ok"

    @property
    def unsaid(self) -> bool:
        return False


class Opaque(Frames):
    """For bytes that are no event stream: nothing is looked at, and nothing can be put between them."""

    __slots__ = ()

    def seen(self, chunk: bytes) -> None:
        pass

    @property
    def between_frames(self) -> bool:
        return False


OPAQUE: Final = Opaque()  # it keeps nothing, so there is one for all
