"""What a stream that passes untouched says about itself: whole, cut short, or failed inside a 200."""

from typing import Final, Literal

Verdict = Literal["ok", "agent_error", "truncated"]
CARRY: Final = 64


class Watch:
    """Fed by the source with every chunk, before the chunk goes on."""

    __slots__ = ("_tail", "terminal")

    def __init__(self, terminal: tuple[bytes, ...] = ()) -> None:
        self.terminal = terminal
        self._tail = b"\n\n"

    def seen(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-CARRY:]

    @property
    def between_frames(self) -> bool:
        return self._tail.endswith((b"\n\n", b"\r\r", b"\n\r\n"))

    @property
    def verdict(self) -> Verdict:
        return "ok"
