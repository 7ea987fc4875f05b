"""One clock for every deadline: a set that is looked through ten times a second, instead of a timer each.

A timer per request costs more than the request's own policy does (docs/performance.md). What is swept here
fires up to a tenth of a second late, which no deadline of ours minds.
"""

import asyncio
import logging
from typing import Protocol


class Ticking(Protocol):
    def tick(self, now: float) -> None:
        """`now` is the loop's own clock, in seconds."""


class Deadline:
    """Cancels the task that waits, saying why, once `at` has passed. Move `at` to prolong it."""

    __slots__ = ("at", "code", "expired", "task")

    def __init__(self, task: "asyncio.Task[object] | None", code: str = "") -> None:
        self.task = task
        self.at = float("inf")
        self.code = code
        self.expired = False

    def tick(self, now: float) -> None:
        if now >= self.at and self.task is not None:
            self.at = float("inf")
            self.expired = True
            self.task.cancel(self.code)

    def caught(self) -> bool:
        """True where the cancellation just caught was this deadline's; the task then goes on."""
        if self.expired and self.task is not None:
            self.expired = False
            self.task.uncancel()
            return True
        return False


class Sweep:
    def __init__(self, every: float = 0.1) -> None:
        self.every = every
        self.items: set[Ticking] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.every, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.every, self._tick)
        now = loop.time()
        for item in list(self.items):
            try:
                item.tick(now)
            except Exception:  # one broken item must not stop everybody's clock
                logging.getLogger("sidecar").exception("a deadline could not be kept")
