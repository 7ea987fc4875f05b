"""Integers, counted up while calls pass and read when somebody scrapes; labels come from closed sets.

A label that is not known falls to `other`, so that no caller can make a new series (docs/metrics.md).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final, get_args

from policies.agent import Door
from policies.outcome import OUTCOMES
from policies.refusal import Sent

Requests = tuple[str, str, str, str]  # door, agent, route, outcome

DOORS: Final = frozenset(get_args(Door))
SENT: Final = frozenset(get_args(Sent))
MODES: Final = ("raw", "translated", "synthesized", "collected")
BOUNDS: Final = (0.05, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 120.0)  # seconds
OTHER: Final = "other"
NONE: Final = "none"

ROUTES: Final = (
    "/api/chat",
    "/api/chat/{agent}",
    "/agents/{agent}/invocations",
    "/agents/{agent}/responses",
    "/agents/{agent}/{rest}",
    "/api/agents/{agent}",
    "/api/agents/{agent}/stream",
    "/api/agents/{agent}/{rest}",
    "/invocations",
    "/responses",
    "page",
    "frontend",
)
_ROUTES: Final = frozenset(ROUTES)
AGENTS: Final = 8  # that get a label of their own; the first that are known
SERIES: Final = 128  # of requests; what is beyond counts under agent and route `other`
ATTEMPTS: Final = 32
NAMES: Final = 8  # of plug-ins, of reasons


class Histogram:
    """Counts by bucket; the last bucket has no bound."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as an exposition has them."""
        rows, seen = [], 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            seen += count
            rows.append((bound, float(seen)))
        return rows


class Series:
    """Requests of one door, agent, route and outcome; with the histograms of its agent, which it shares."""

    __slots__ = ("bytes", "count", "durations", "first_bytes")

    def __init__(self, durations: Histogram, first_bytes: Histogram) -> None:
        self.count = self.bytes = 0
        self.durations, self.first_bytes = durations, first_bytes


class Counters:
    def __init__(self, known: Callable[[str], bool]) -> None:
        """`known` says whether there is an agent of this name."""
        self._known = known
        self.agents: set[str] = set()
        self.requests: dict[Requests, Series] = {}
        self.durations: dict[str, Histogram] = {}  # by agent
        self.first_bytes: dict[str, Histogram] = {}
        self.attempts: dict[tuple[str, str, str], int] = {}
        self.modes: dict[str, int] = dict.fromkeys(MODES, 0)
        self.ambiguous: dict[str, int] = {"input": 0, "both": 0, "refused": 0}
        self.removed: dict[str, int] = {"not_believed": 0, "malformed": 0}
        self.plugins: dict[str, int] = {}
        self.cold_starts: dict[str, int] = {}  # by agent
        self.stream_refusals: dict[str, int] = {}

    def agent(self, name: str) -> str:
        """The label of an agent."""
        if name in self.agents or name == NONE:
            return name
        if len(self.agents) < AGENTS and self._known(name):
            self.agents.add(name)
            return name
        return OTHER

    def expect(self, agents: Iterable[str], routes: Sequence[tuple[str, str]], within: int = 96) -> None:
        """Series that are there, at zero, before anything happens: an alert sees the first failure too."""
        wanted = [(door, self.agent(name), route) for name in agents for door, route in routes]
        for key in [(*start, outcome) for start in wanted for outcome in EXPECTED][:within]:
            if key not in self.requests:
                self.requests[key] = self._series(key[1])

    def ended(
        self, key: Requests, size: int = 0, seconds: float | None = None, first_byte: float | None = None
    ) -> None:
        """One request more. A key comes as it is, and is folded where it is new; only calls have times."""
        series = self.requests.get(key) or self._folded(key)
        series.count += 1
        series.bytes += size
        if seconds is not None:
            series.durations.observe(seconds)
        if first_byte is not None:
            series.first_bytes.observe(first_byte if first_byte > 0.0 else 0.0)

    def attempt(self, agent: str, sent: str, result: str) -> None:
        key = (agent, sent, result)
        if key not in self.attempts:  # what can only come from a plug-in is folded
            key = (
                self.agent(agent),
                sent if sent in SENT else OTHER,
                result if result == "answered" or result in OUTCOMES else OTHER,
            )
            if key not in self.attempts and len(self.attempts) >= ATTEMPTS:
                key = (OTHER, OTHER, OTHER)
        self.attempts[key] = self.attempts.get(key, 0) + 1

    def mode(self, mode: str) -> None:
        if mode in self.modes:
            self.modes[mode] += 1

    def ambiguous_body(self, became: str) -> None:
        if became in self.ambiguous:
            self.ambiguous[became] += 1

    def cold_start(self, agent: str) -> None:
        self.named(self.cold_starts, self.agent(agent))

    def stream_refused(self, agent: str) -> None:
        self.named(self.stream_refusals, self.agent(agent))

    def named(self, counts: dict[str, int], name: str, by: int = 1) -> None:
        """Count under a name of which there may be only so many."""
        if name not in counts and len(counts) >= NAMES:
            name = OTHER
        counts[name] = counts.get(name, 0) + by

    def _folded(self, key: Requests) -> Series:
        door, agent, route, outcome = key
        key = (
            door if door in DOORS else OTHER,
            self.agent(agent),
            route if route in _ROUTES else OTHER,
            outcome if outcome in OUTCOMES else "internal_error",
        )
        if key not in self.requests and len(self.requests) >= SERIES:
            key = (OTHER, OTHER, OTHER, key[3])
        if (series := self.requests.get(key)) is None:
            series = self.requests[key] = self._series(key[1])
        return series

    def _series(self, agent: str) -> Series:
        return Series(
            self.durations.setdefault(agent, Histogram()), self.first_bytes.setdefault(agent, Histogram())
        )


# What can end a call to an agent; endings of the frontend and of the way to us are made when they happen.
EXPECTED: Final = tuple(
    code
    for code, row in OUTCOMES.items()
    if row.who in ("nobody", "agent", "caller") or code in ("credential_unavailable", "internal_error")
)
