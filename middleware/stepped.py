"""Awaits step by step and times each step: between two of its awaits nobody else gets to run."""

from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

LONGEST: Final = 0.25  # seconds that one step may take before it is named


class Stepped(Generic[T]):
    """`await Stepped(awaitable, tell)`: what it brings; `tell(seconds)` for each step that took too long.

    Of steps within steps only the innermost is told: what it did is not what those around it did.
    """

    _told_at = 0.0  # when a step within the one that runs now was told

    __slots__ = ("awaitable", "tell")

    def __init__(self, awaitable: Awaitable[T], tell: Callable[[float], None]) -> None:
        self.awaitable, self.tell = awaitable, tell

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self.awaitable.__await__()
        send, throw = steps.send, steps.throw
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            began = monotonic()
            try:
                waited_for = send(sent) if thrown is None else throw(thrown)
            except StopIteration as done:
                result: T = done.value
                return result
            finally:
                self._look(began)
            try:
                sent, thrown = (yield waited_for), None
            except BaseException as error:
                thrown = error

    def _look(self, began: float) -> None:
        took = monotonic() - began
        if took >= LONGEST and Stepped._told_at < began:
            Stepped._told_at = monotonic()
            self.tell(took)
