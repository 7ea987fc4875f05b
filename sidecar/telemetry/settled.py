"""Where records go whose calls have ended: into the counters, into the tap, and into one line of the log each."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from policies.outcome import OUTCOMES
from sidecar.telemetry.counters import NONE, ROUTES, Counters, Series
from sidecar.telemetry.lines import Alike, alike, tenths, usual
from sidecar.telemetry.log import LEVELS, Log
from sidecar.telemetry.record import LOGGED, Record
from sidecar.telemetry.tap import Tap

# How loud an outcome is: what a caller did is his own affair, what we or an agent did somebody should see.
LEVEL: Final = {
    code: "error"
    if code == "internal_error"
    else "info"
    if row.who in ("nobody", "caller") or code in ("agent_refused", "draining", "frontend_starting")
    else "warning"
    for code, row in OUTCOMES.items()
}
LOUD: Final = frozenset(code for code, level in LEVEL.items() if level != "info")
# Of these each page shows many: told at `debug` where nothing broke.
PAGES: Final = frozenset({"other", "frontend"})
WAYS: Final = 256  # that are remembered at one time
# Four labels; method, status, stream, attempts, and what was sent.
Key = tuple[str, str, str, str, str, int, str, int, str]


class Way(NamedTuple):
    """What calls share that went alike, in all that comes from closed sets."""

    series: Series
    pieces: Alike | None  # of their lines; None where each is told by itself, or none at all


class Settled:
    def __init__(self, log: Log, counters: Counters, tap: Tap) -> None:
        self._log, self._counters, self._tap = log, counters, tap
        self._written = frozenset(level for level in LEVELS if log.writes(level))
        self._ways: dict[Key, Way] = {}

    def __call__(self, records: Iterable[Record]) -> None:
        """Many at once, while the code for it is in the cache; in the order in which they ended."""
        lines = []
        for record in records:
            if line := self._passing(record) if record.agent is None else self._call(record):
                lines.append(line)
        if lines:
            self._log.add(b"".join(lines), len(lines))
        self._counters.fold()

    def _call(self, record: Record) -> bytes | None:
        """A call to an agent: kept, counted, and told by its line, if it is to have one."""
        self._tap.add(record)
        key = (
            record.door,
            record.agent_name,
            record.route,
            record.outcome,
            record.method,
            record.status,
            record.stream,
            record.attempts,
            record.sent,
        )
        series, pieces = self._ways.get(key) or self._way(key)
        started, first = record.started, record.first_byte
        seconds = record.ended - started
        series.count += 1
        series.bytes += record.bytes
        series.took.append(seconds)
        if record.stream:
            self._counters.brought.append(record.stream)
        if not first:
            return self._line(record)
        waited = first - started if first > started else 0.0
        series.waited.append(waited)
        if pieces is None or record.telling or not record.trace_id:
            return self._line(record)
        return usual(pieces, record, seconds, waited)

    def _way(self, key: Key) -> Way:
        labels, level = key[:4], LEVEL[key[3]]
        by_pieces = level in self._written and not self._log.plain
        way = Way(self._counters.series(labels), alike(level, *key) if by_pieces else None)
        if labels in self._counters.requests:  # else they were folded, and the agent may become known
            if len(self._ways) >= WAYS:
                self._ways.clear()
            self._ways[key] = way
        return way

    def _passing(self, record: Record) -> bytes | None:
        """A page, a probe, or what was refused before it became a call."""
        outcome, route = record.outcome, record.route
        self._counters.ended((record.door, NONE, route, outcome), record.bytes)
        if record.refusal is not None and route in ROUTES:
            self._tap.add(record)
        page = outcome == "ok" and route in PAGES and record.status < 500
        return self._line(record, quiet=page or record.door == "admin")  # probes and scrapes

    def _line(self, record: Record, *, quiet: bool = False) -> bytes | None:
        level = LEVEL[record.outcome]
        if quiet and level == "info":
            level = "debug"
        return self._log.line(told(record, level)) if level in self._written else None


def told(record: Record, level: str) -> dict[str, Any]:
    """All that a line tells of a record, in its order."""
    started, first = record.started, record.first_byte
    facts: dict[str, Any] = {
        "ts": record.time,
        "level": level,
        "msg": "request",
        "request_id": record.request_id,
        "door": record.door,
        "method": record.method,
        "route": record.route,
        "agent": record.agent_name,
        "outcome": record.outcome,
        "status": record.status,
        "ms": tenths(record.ended - started) / 10,
        "bytes": record.bytes,
    }
    if first:
        facts["first_byte_ms"] = tenths(max(0.0, first - started)) / 10
    if record.agent_request_id:
        facts["agent_request_id"] = record.agent_request_id
    if record.trace_id:
        facts["trace_id"] = record.trace_id
    if record.stream:
        facts["stream"] = record.stream
    if record.attempts:
        facts["attempts"] = record.attempts
        facts["sent"] = record.sent
    for _, what, value in record.notes:
        if what in LOGGED:
            facts[what] = value
    if record.removed:
        facts["removed"] = record.removed
    if (refusal := record.refusal) is not None:
        facts["code"] = refusal.code
        if refusal.detail:
            facts["cause"] = refusal.detail
        if refusal.hint:
            facts["hint"] = refusal.hint
    return facts
