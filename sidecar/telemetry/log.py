"""Lines on standard output: gathered, written many at once, and given up rather than waited for.

A pipe that nobody reads must not stop the loop, and the file descriptor is not ours alone to make
non-blocking: the app beside us and the terminal share it. So we ask whether it takes a page, and write
whole lines of at most one page: such a write never blocks, and nobody else's output lands inside a line.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sidecar.telemetry.lines import json_line, plain_line

LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
URGENT: Final = frozenset({"warning", "error"})
PAGE: Final = select.PIPE_BUF
TOGETHER: Final = 16 << 10  # bytes, some sixty lines
MOST: Final = 1 << 20  # bytes that wait for a reader


class Log:
    """`level` is the least that is written; `plain` is for eyes, and the default on a terminal."""

    def __init__(
        self,
        level: str = "info",
        *,
        fd: int = 1,
        plain: bool | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.threshold = LEVELS[level]
        self.plain = os.isatty(fd) if plain is None else plain
        self.dropped = 0
        self._fd, self._now = fd, now
        self.line = plain_line if self.plain else json_line
        self._waiting = bytearray()
        self._lost = 0  # dropped and not yet told
        self._lock = threading.Lock()  # libraries log from their threads; appending needs none
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def writes(self, level: str) -> bool:
        return LEVELS[level] >= self.threshold

    def say(self, level: str, message: str, **facts: Any) -> None:
        """One line about the process itself."""
        if LEVELS[level] >= self.threshold:
            self.write(level, {"ts": self._now(), "level": level, "msg": message, **facts})

    def write(self, level: str, facts: dict[str, Any]) -> None:
        """`facts` have `ts` (seconds since 1970), `level` and `msg`; the rest is as it comes."""
        self.add(self.line(facts))
        if level in URGENT:
            self.flush()

    def add(self, text: bytes, lines: int = 1) -> None:
        """What is ready to be written: so many lines, each with its end."""
        waiting = self._waiting
        if len(waiting) >= MOST:
            self.dropped += lines
            self._lost += lines
            return
        waiting += text
        if len(waiting) >= TOGETHER:
            self.flush()

    def flush(self, patience: float = 0.0) -> None:
        """Write what is waiting, as far as it is taken; `patience` in seconds, for the end of the process."""
        with self._lock:
            self._flush(patience)

    def _flush(self, patience: float) -> None:
        waiting = self._waiting
        until = time.monotonic() + patience if patience else 0.0
        while waiting or self._lost:
            if not waiting:
                self._tell_lost()
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1000 if until else 0):
                return
            size = len(waiting)
            if size > PAGE:
                size = waiting.rfind(b"\n", 0, PAGE) + 1 or PAGE
            try:
                size = os.write(self._fd, waiting[:size])
            except BlockingIOError:
                return
            except OSError:  # the reader is gone for good
                self.dropped += waiting.count(b"\n", 0, size)
            del waiting[:size]

    def _tell_lost(self) -> None:
        text = f"{self._lost} log lines were lost: nobody read them"
        self._lost = 0
        self._waiting += self.line({"ts": self._now(), "level": "warning", "msg": text})
