"""`asyncio.timeout` that says why: whoever is cut off by it is told apart from a caller who has left."""

import asyncio
from types import TracebackType

from policies.outcome import Ending


class Within:
    """`with Within(5.0, "agent_unavailable"):` TimeoutError where the block takes more than so many seconds.

    What is waited for inside is cancelled with `code` as the reason (`policies.outcome.of_leaving`).
    """

    __slots__ = ("_before", "_code", "_seconds", "_spent", "_task", "_timer")

    def __init__(self, seconds: float, code: Ending) -> None:
        self._seconds, self._code, self._spent = seconds, code, False

    def __enter__(self) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._task, self._before = task, task.cancelling()
        now = loop.time()
        when = now + self._seconds
        # where no time is left, a timer would let the block go one step
        self._timer = loop.call_at(when, self._end) if when > now else loop.call_soon(self._end)

    def _end(self) -> None:
        self._spent = True
        self._task.cancel(self._code)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._spent and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error  # and where somebody else cancels too, theirs goes on
