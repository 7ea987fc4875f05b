"""What libraries say through `logging` comes into the same log, and nobody can fill it with one message."""

import logging
import time
from collections.abc import Callable
from typing import Final

from sidecar.telemetry.faults import told, without
from sidecar.telemetry.log import Log

MESSAGES: Final = 256  # that are told apart at one time


class Rate:
    """Lets each message through once a second, and counts the rest."""

    def __init__(self, every: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = every, clock
        self._next: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def passes(self, message: str) -> int | None:
        """How many like it were held back since the last; None where this one is held back too."""
        now = self._clock()
        if now < self._next.get(message, 0.0):
            self._held[message] = self._held.get(message, 0) + 1
            return None
        if len(self._next) >= MESSAGES:
            self._next.clear()
            self._held.clear()
        self._next[message] = now + self._every
        return self._held.pop(message, 0)


class Handler(logging.Handler):
    """Takes records of `logging` into our log."""

    def __init__(self, log: Log, hidden: Callable[[], list[str]], rate: Rate) -> None:
        super().__init__()
        self._log, self._hidden, self._rate = log, hidden, rate

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._emit(record)
        except Exception:
            self.handleError(record)

    def _emit(self, record: logging.LogRecord) -> None:
        level = _level(record.levelno)
        if not self._log.writes(level):
            return
        held = self._rate.passes(f"{record.name} {record.msg}"[:200])
        if held is None:
            return
        error = record.exc_info[1] if record.exc_info else None
        facts: dict[str, object] = {"logger": record.name}
        if held:
            facts["held_back"] = held
        if error is not None:
            facts["traceback"] = told(error, self._hidden())
        self._log.say(level, without(record.getMessage(), self._hidden())[:2000], **facts)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def listen(handler: Handler) -> Callable[[], None]:
    """Make it the one handler of `logging`; returns what undoes that."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)

    def undo() -> None:
        root.handlers[:] = before
        root.setLevel(level)

    return undo
