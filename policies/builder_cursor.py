"""Which events of a builder's run have been heard, so that windows overlap and nothing is told twice or left out.

Each event has the server's clock in `_cursor`, and the next window brings those after a given one. Two events may
share a stamp, and a clock may be set back a little; therefore it is asked for from before the last one heard, and
what comes once more is counted off: the same stamp with the same words, as often as it was heard.
"""

from collections import Counter, deque
from typing import Any, Final

from policies.json_exact import dumps
from policies.loose import Value
from policies.refusal import Refusal

OVERLAP: Final = 1.0  # seconds
KEPT: Final = 10_000  # events that are known again


class Cursor:
    """Of one run. `told` is how many events of it went on, comments and marks of windows aside."""

    __slots__ = ("_at", "_due", "_heard", "_lowest", "_order", "_stamped", "kept", "told")

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.told = 0
        self._at: float | None = None  # the stamp of the last event
        self._stamped = False
        self._heard: Counter[int] = Counter()
        self._order: deque[tuple[float, int]] = deque()
        self._lowest = float("-inf")  # what came before is not known again
        self._due: Counter[int] = Counter()  # what the window may bring once more

    def ask(self) -> float | None:
        """`last_event_timestamp` of the next window; None for everything."""
        self._due = self._heard.copy()
        if self._at is None or not self._stamped:
            return self._at
        return min(self._at, max(self._at - OVERLAP, self._lowest))

    def fresh(self, event: Value) -> bool:
        """Whether this event is heard for the first time. Refusal where it is nested too deeply to be known again."""
        try:
            key = hash(dumps(event))
        except ValueError:
            detail = "The agent's event is nested too deeply."
            raise Refusal(502, "agent_protocol_error", detail=detail) from None
        if self._due[key] > 0:
            self._due[key] -= 1
            return False
        stamp = number(event.get("_cursor"))
        if stamp is not None:
            self._at, self._stamped = stamp, True
        self._heard[key] += 1
        self._order.append((self._lowest if stamp is None else stamp, key))
        if len(self._order) > self.kept:
            self._forget(*self._order.popleft())
        self.told += tells(event)
        return True

    def moved(self, stamp: Any) -> None:
        """The window has ended in order and says where the next begins: believed where its events do not."""
        if not self._stamped and (known := number(stamp)) is not None:
            self._at = known
            self._heard.clear()
            self._order.clear()

    def _forget(self, stamp: float, key: int) -> None:
        self._lowest = max(self._lowest, stamp)
        self._heard[key] -= 1
        if not self._heard[key]:
            del self._heard[key]


def tells(event: Value) -> bool:
    """Whether an event is of the run itself, and not of how it is brought."""
    kind = event.get("type")
    return isinstance(kind, str) and kind != "keepalive" and not kind.startswith("stream.")


def number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def pause(tries: int) -> float:
    """Seconds before a lost window is asked for again: 0.2, and twice as long each time, up to 5."""
    return min(5.0, 0.1 * 2.0 ** min(tries, 16))
