"""Integers, counted up while calls pass and read when somebody scrapes; labels come from closed sets.

A label that is not known falls to `other`, so that no caller can make a new series (docs/metrics.md).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import add
from typing import Final, get_args

from policies.agent import Door
from policies.outcome import OUTCOMES
from policies.refusal import Sent

Requests = tuple[str, str, str, str]  # door, agent, route, outcome
Attempts = tuple[str, str, str]  # agent, what was sent, `answered` or an outcome

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
    """How many took at most so long, for each of `BOUNDS`. What is told is sorted in by `fold`, many at once."""

    __slots__ = ("_counts", "_seen", "_total", "told")

    def __init__(self) -> None:
        self.told: list[float] = []  # seconds
        self._counts = [0] * len(BOUNDS)
        self._seen, self._total = 0, 0.0

    def fold(self) -> None:
        if told := self.told:
            told.sort()
            self._counts = list(map(add, self._counts, map(partial(bisect_right, told), BOUNDS)))
            self._seen += len(told)
            self._total += sum(told)
            told.clear()

    @property
    def total(self) -> float:
        self.fold()
        return self._total

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as an exposition has them."""
        self.fold()
        counts = [*zip(map(str, BOUNDS), self._counts, strict=True), ("+Inf", self._seen)]
        return [(bound, float(count)) for bound, count in counts]


class Series:
    """Requests of one door, agent, route and outcome; what is appended to `took` and `waited` its agent shares."""

    __slots__ = ("bytes", "count", "took", "waited")

    def __init__(self, durations: Histogram, first_bytes: Histogram) -> None:
        self.count = self.bytes = 0
        self.took, self.waited = durations.told, first_bytes.told


class Counters:
    def __init__(self, known: Callable[[str], bool]) -> None:
        """`known` says whether there is an agent of this name."""
        self._known = known
        self.agents: set[str] = set()
        self.requests: dict[Requests, Series] = {}
        self.durations: dict[str, Histogram] = {}  # by agent
        self.first_bytes: dict[str, Histogram] = {}
        self.attempts: dict[Attempts, int] = {}
        self.attempted: list[Attempts] = []  # one more of each, and counted by `fold`
        self.brought: list[str] = []  # likewise, by mode
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

    def series(self, key: Requests) -> Series:
        """Where requests of this key are counted. It comes as it is, and is folded where it is new."""
        return self.requests.get(key) or self._folded(key)

    def ended(self, key: Requests, size: int = 0) -> None:
        """One request more, which was no call to an agent."""
        series = self.series(key)
        series.count += 1
        series.bytes += size

    def fold(self) -> None:
        """Sort what waits for it: cheap for many at once, so whoever counts calls it every so often."""
        for histogram in (*self.durations.values(), *self.first_bytes.values()):
            histogram.fold()
        for key, times in Counter(self.attempted).items():
            self._attempts(key, times)
        for mode, times in Counter(self.brought).items():
            if mode in self.modes:
                self.modes[mode] += times
        self.attempted.clear()
        self.brought.clear()

    def _attempts(self, key: Attempts, times: int) -> None:
        if key not in self.attempts:
            agent, sent, result = key
            key = (
                self.agent(agent),
                sent if sent in SENT else OTHER,
                result if result == "answered" or result in OUTCOMES else OTHER,
            )
            if key not in self.attempts and len(self.attempts) >= ATTEMPTS:
                key = (OTHER, OTHER, OTHER)
        self.attempts[key] = self.attempts.get(key, 0) + times

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
