"""What the app says: passed on byte for byte, its last lines kept for the day it breaks.

On a terminal the app writes to that itself, colours, buffering and all, and its last lines stand there. Anywhere
else a thread for each stream copies: it may wait for a slow reader, which then slows the app as it would have.
"""

import os
import select
import threading
from collections import deque
from typing import Final

LINES: Final = 50
LONGEST: Final = 4096  # bytes of a line that are kept
CHUNK: Final = 64 << 10


class Tail:
    """The last lines of several streams, in the order in which they were ended."""

    def __init__(self, lines: int = LINES) -> None:
        self._ended: deque[bytes] = deque(maxlen=lines)
        self._open: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def feed(self, stream: int, chunk: bytes) -> None:
        with self._lock:
            *ended, rest = (self._open.get(stream, b"") + chunk).rsplit(b"\n", LINES + 1)
            self._ended.extend(line[-LONGEST:] for line in ended[-LINES:])
            self._open[stream] = rest[-LONGEST:]

    def lines(self) -> list[str]:
        """Without their ends; a line that was never ended comes last."""
        with self._lock:
            kept = [*self._ended, *(line for line in self._open.values() if line)][-LINES:]
        return [line.decode(errors="replace").rstrip("\r") for line in kept]


class Output:
    """`stdout`, `stderr`: what a new process is to have for them; None is our own."""

    def __init__(self) -> None:
        self.tail = Tail()
        self._threads: list[threading.Thread] = []
        self._pipes: list[int] = []
        self.stdout = self._copied(1)
        self.stderr = self.stdout if self.stdout and _same(1, 2) else self._copied(2)

    def _copied(self, ours: int) -> int | None:
        if os.isatty(ours):
            return None
        reads, writes = os.pipe()
        self._pipes.append(writes)
        thread = threading.Thread(target=self._copy, args=(reads, ours), name=f"output-{ours}", daemon=True)
        self._threads.append(thread)
        return writes

    def _copy(self, reads: int, ours: int) -> None:
        try:
            while chunk := os.read(reads, CHUNK):
                self.tail.feed(ours, chunk)
                write(ours, chunk)
        except OSError:  # nobody reads it any more: the app is told so by its own next write
            pass
        finally:
            os.close(reads)

    def handed_over(self) -> None:
        """The process has its ends, and with it they close; threads begin only now, since a fork dislikes them."""
        while self._pipes:
            os.close(self._pipes.pop())
        for thread in self._threads:
            thread.start()

    def finish(self, within: float) -> None:
        """Wait until all is passed on: not longer, since who was started by the app may keep the pipe for ever."""
        for thread in self._threads:
            thread.join(within)


def write(fd: int, chunk: bytes) -> None:
    """All of it, however slow the reader, and although another process may have made the pipe non-blocking."""
    left = memoryview(chunk)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            select.select([], [fd], [])


def _same(one: int, other: int) -> bool:
    """Whether both are one pipe or file: then one copy keeps the order of what is said."""
    first, second = os.fstat(one), os.fstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
