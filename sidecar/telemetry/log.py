"""Lines on standard output: gathered, written many at once, and given up rather than waited for.

A pipe that nobody reads must not stop the loop, and the file descriptor is not ours alone to make
non-blocking: the app beside us and the terminal share it. So we ask whether it takes a page, and write
whole lines of at most one page: such a write never blocks, and nobody else's output lands inside a line.
"""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from sidecar.telemetry.lines import json_line, plain_line

LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
PAGE: Final = select.PIPE_BUF
TOGETHER: Final = 64  # lines
WAITING: Final = 4096  # lines that may wait for a reader
LONGEST: Final = 16 << 10  # bytes of one line


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
        self._line = plain_line if self.plain else json_line
        self._lines: deque[bytes] = deque()
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
        line = self._line(facts)
        lines = self._lines
        if len(lines) >= WAITING:
            self.dropped += 1
            self._lost += 1
            return
        lines.append(line if len(line) <= LONGEST else line[: LONGEST - 1] + b"\n")
        if len(lines) >= TOGETHER or level == "warning" or level == "error":
            self.flush()

    def flush(self, patience: float = 0.0) -> None:
        """Write what is waiting, as far as it is taken; `patience` in seconds, for the end of the process."""
        with self._lock:
            self._flush(patience)

    def _flush(self, patience: float) -> None:
        until = time.monotonic() + patience
        while self._lines or self._lost:
            if not self._takes(until):
                return
            if not self._lines:
                self._tell_lost()
            page = self._page()
            try:
                written = os.write(self._fd, page)
            except BlockingIOError:
                self._back(page)
                return
            except OSError:  # the reader is gone for good
                self.dropped += page.count(b"\n")
                continue
            if written < len(page):
                self._back(page[written:])

    def _takes(self, until: float) -> bool:
        wait = max(0.0, until - time.monotonic())
        return bool(self._poll.poll(wait * 1000))

    def _page(self) -> bytes:
        """Whole lines of one page; a longer line in pieces."""
        first = self._lines.popleft()
        if len(first) > PAGE:
            self._lines.appendleft(first[PAGE:])
            first = first[:PAGE]
        parts, size = [first], len(first)
        while first[-1:] == b"\n" and self._lines and size + len(self._lines[0]) <= PAGE:
            parts.append(self._lines.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _back(self, rest: bytes) -> None:
        self._lines.appendleft(rest)

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        line = self._line(
            {"ts": self._now(), "level": "warning", "msg": f"{lost} log lines were lost: nobody read them"}
        )
        self._lines.append(line)
