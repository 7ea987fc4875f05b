"""Where each call's record ends: in the counters, in one line of the log, and in the tap."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from middleware.exchange import EMPTY, Body, Call, Reply
from policies import outcome
from policies.agent import Agent
from policies.header_table import IDENTITY
from policies.outcome import OUTCOMES, Ending
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.telemetry import faults, handler
from sidecar.telemetry.counters import ROUTES, Counters
from sidecar.telemetry.lines import ordinary
from sidecar.telemetry.log import LEVELS, Log
from sidecar.telemetry.metrics import Behind, Exposition, Tokens
from sidecar.telemetry.record import LOGGED, Record, Said, shape
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
PAGES: Final = frozenset(
    {"other", "frontend"}
)  # of which each shows many: told at `debug` where nothing broke
TOGETHER: Final = 64  # calls that have ended are settled at once
MODE: Final = "x-sidecar-stream"  # the header in which an answer to a chat says how it came about


class Known(Protocol):
    """The agents that are known (middleware.kit.Agents satisfies it)."""

    def get(self, name: str) -> Agent | None: ...


class Telemetry:
    """A `Recorder` for the chain, and the edge's own book of what it is answering.

    `record = begin(…)` when a request is accepted; then the chain ends it (`observe`), or `turned_away` does,
    or `finish`. A record that has ended stays as it is, so a safe `finish` in a `finally` costs nothing.
    """

    def __init__(
        self,
        log: Log,
        agents: Known,
        *,
        tokens: Tokens | None = None,
        frontend: Behind | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self._ended: list[Record] = []  # and not yet settled
        self._counters = Counters(lambda name: agents.get(name) is not None)
        self.open: dict[str, Record] = {}
        self._tap = Tap(self.open)
        self._exposition = Exposition(self._counters, tokens, frontend)
        self._written = frozenset(level for level in LEVELS if log.writes(level))
        self._clock, self._now = clock, now
        self._hidden: list[str] = []
        self._rate = handler.Rate(clock=clock)

    @property
    def counters(self) -> Counters:
        """What has been counted so far."""
        self.settle()
        return self._counters

    @property
    def tap(self) -> Tap:
        """The last calls."""
        self.settle()
        return self._tap

    # --- the edge ------------------------------------------------------------------------------------------

    def begin(self, request_id: str, door: str, route: str, method: str) -> Record:
        """A request was accepted; its id is unique among those in flight."""
        record = Record(request_id, door, route, method[:16], self._clock(), self._now())
        self.open[request_id] = record
        return record

    def turned_away(self, door: str, route: str, refusal: Refusal, request_id: str, method: str = "") -> None:
        """A request was refused before it became a call. The record, if there is one, is found by its id."""
        record = self.open.get(request_id) or Record(
            request_id, door, route, method[:16], self._clock(), self._now()
        )
        record.refusal = Said.of(refusal, self._clean)
        self._finish(record, outcome.outcome(refusal.code), refusal.status)

    def finish(self, record: Record, ending: Ending, status: int = 0) -> None:
        """The end of a request that took no chain; nothing where the record has ended already."""
        if not record.outcome:
            self._finish(record, ending if ending in OUTCOMES else "internal_error", status)

    def malformed(self, door: str, code: str) -> None:
        """Somebody sent what is no HTTP: always counted, told once a second."""
        if self._rate.passes(code) is None:
            self._counters.ended((door, "none", "other", outcome.outcome(code)))
        else:
            self.turned_away(door, "other", Refusal(outcome.status(code), code), "")

    def identity(self, record: Record, removed: dict[str, int], *, believed: bool) -> None:
        """Identity headers that were taken off, by name."""
        for name, count in removed.items():
            unlikely = believed and not (record.door == "front" and name == "x-app-user-email")
            self._counters.named(self._counters.removed, "malformed" if unlikely else "not_believed", count)
            record.removed += count
        record.note(self._clock(), "identity_removed", sorted(removed))

    # --- the chain -----------------------------------------------------------------------------------------

    def began(self, call: Call) -> None:
        agent, caller, dialect, method, _, _, body, wants_stream, request_id = call
        record = self.open.get(request_id)
        if record is None:
            record = self.begin(request_id, caller.door, "other", method)
        record.agent, record.agent_name = agent, agent.name[:63]
        record.dialect, record.wants_stream = dialect, wants_stream
        if record.bytes_in is None:
            record.bytes_in = len(body.raw) if type(body) is Body else body.length  # type: ignore[union-attr]
        if wants_stream is not None and type(body) is Body:
            record.shape = shape(body)

    def note(self, call: Call, what: str, value: Any) -> None:
        record = self.open.get(call.request_id)
        if record is None:
            return
        if what == "identity_sent":
            record.identity_sent = tuple(value)[: len(IDENTITY)]
            return
        if (count := _COUNTED.get(what)) is not None:
            value = count(self._counters, record, value)
            if what == "attempt":
                body = call.body
                if type(body) is Body and body is not EMPTY:
                    record.bytes_sent = len(body.raw)
                    record.shape_sent = shape(body) if call.wants_stream is not None else ""
            elif what == "plugin_blocked":
                self.say("warning", "a plug-in blocked everybody", plugin=value, request_id=call.request_id)
        record.note(self._clock(), what, value)

    def refused(self, call: Call, refusal: Refusal) -> None:
        if record := self.open.get(call.request_id):
            record.refusal = Said.of(refusal, self._clean)

    def failed(self, call: Call, error: BaseException) -> None:
        self.broke(error, call)
        if record := self.open.get(call.request_id):
            record.refusal = Said("internal_error", 500, None, None, None)

    def ended(self, call: Call, reply: Reply | None, ending: Ending) -> None:
        record = self.open.get(call.request_id)
        if record is None or record.outcome:
            return
        status = 0
        if reply is not None:
            status = reply.status
            if call.wants_stream is not None:
                record.stream = reply.headers.get(MODE, "")[:16]
        if record.refusal is not None:
            ending = outcome.outcome(record.refusal.code)
        elif ending not in OUTCOMES:
            ending = "caller_left" if reply is None else "internal_error"
        elif ending == "ok" and status >= 400:
            ending = outcome.of_answer(status)
        self._finish(record, ending, status)

    def _finish(self, record: Record, ending: str, status: int) -> None:
        record.outcome = ending
        record.ended = self._clock()
        if not record.status:
            record.status = status
        opened, ended = self.open, self._ended
        if opened.get(record.request_id) is record:
            del opened[record.request_id]
        ended.append(record)
        if len(ended) >= TOGETHER or LEVEL[ending] != "info":
            self.settle()

    def settle(self) -> None:
        """Count, keep and write down what has ended: many at once, while the code for it is in the cache."""
        ended, self._ended = self._ended, []
        for record in ended:
            self._settle(record)

    def _settle(self, record: Record) -> None:
        ending, level, first = record.outcome, LEVEL[record.outcome], record.first_byte
        if record.agent is not None:
            key = (record.door, record.agent_name, record.route, ending)
            started = record.started
            self._counters.ended(key, record.bytes, record.ended - started, first and first - started)
            if record.stream:
                self._counters.mode(record.stream)
            self._tap.add(record)
        else:
            self._counters.ended((record.door, "none", record.route, ending), record.bytes)
            if record.refusal is not None and record.route in ROUTES:
                self._tap.add(record)
            page = ending == "ok" and record.route in PAGES and record.status < 500
            if level == "info" and (page or record.door == "admin"):  # probes and scrapes
                level = "debug"
        if level not in self._written:
            return
        if self.log.plain or (line := ordinary(record, level)) is None:
            self.log.write(level, self._line(record, level))
        else:
            self.log.add(line)

    def _line(self, record: Record, level: str) -> dict[str, Any]:
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
            "ms": int((record.ended - started) * 10_000) / 10,  # round() costs three times as much
            "bytes": record.bytes,
        }
        if first:
            facts["first_byte_ms"] = int(max(0.0, first - started) * 10_000) / 10
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

    # --- the process ---------------------------------------------------------------------------------------

    def expect(self, agents: Iterable[str], routes: Sequence[tuple[str, str]]) -> None:
        """The agents, and the (door, route) pairs by which they will be called: their series begin at 0."""
        self._counters.expect(agents, routes)

    def hide(self, *secrets: Secret) -> None:
        """Texts that must never come out, wherever they turn up."""
        self._hidden.extend(secret.reveal() for secret in secrets if len(secret.reveal()) > 3)

    def _clean(self, text: str) -> str:
        return faults.without(text, self._hidden)

    def say(self, level: str, message: str, **facts: Any) -> None:
        """A line about the process itself."""
        self.settle()
        self.log.say(level, message, **facts)

    def broke(self, error: BaseException, call: Call | None = None) -> None:
        """A fault of ours or of a plug-in, with its traceback in one field; once a second for each kind.

        Without a call nothing tells what of its words came with the request, so none of them is kept.
        """
        kind = f"{type(error).__qualname__} {error.__traceback__ and error.__traceback__.tb_lineno}"
        held = self._rate.passes(kind)
        if held is None:
            return
        about = {"request_id": call.request_id, "agent": call.agent.name[:63]} if call else {}
        more = {"held_back": held} if held else {}
        text = faults.told(error, self._hidden, call, words=call is not None)
        self.say("error", "something went wrong on our side", **about, **more, traceback=text)

    def listen(self) -> Callable[[], None]:
        """Take what libraries log, too. Returns what undoes it."""
        return handler.listen(handler.Handler(self.log, lambda: self._hidden, self._rate))

    async def metrics(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its Content-Type, OpenMetrics where it is accepted."""
        self.settle()
        self._exposition.dropped = self.log.dropped
        return await self._exposition.render(self.open.values(), accept)

    def flush(self) -> None:
        """Write the lines that are waiting; the sweep calls it a few times a second."""
        self.settle()
        self.log.flush()

    def close(self) -> None:
        """The last lines, with half a second for a slow reader."""
        self.settle()
        self.log.flush(patience=0.5)


def _attempt(counters: Counters, record: Record, value: Any) -> str:
    """`(sent, result)` from the wire; a plug-in may note anything."""
    if type(value) is not tuple or len(value) != 2 or type(value[0]) is not str or type(value[1]) is not str:
        value = map(_text, value) if isinstance(value, (tuple, list)) and len(value) == 2 else ("?", "?")
    sent, result = value
    counters.attempt(record.agent_name, sent, result)
    record.attempts += 1
    record.sent = sent[:7]
    return f"{sent} {result}"


def _stream_refused(counters: Counters, record: Record, value: Any) -> Any:
    counters.stream_refused(record.agent_name)
    return value


def _plugin_failed(counters: Counters, _: Record, value: Any) -> str:
    name = _text(value)[:63]
    counters.named(counters.plugins, name)
    return name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


def _cold_start(counters: Counters, record: Record, value: Any) -> str:
    counters.cold_start(record.agent_name)
    return _text(value)


def _ambiguous_body(counters: Counters, _: Record, value: Any) -> str:
    became = _text(value)
    counters.ambiguous_body(became)
    return became


# Notes that are counted as well; each gives what is kept of its value.
_COUNTED: Final[dict[str, Callable[[Counters, Record, Any], Any]]] = {
    "attempt": _attempt,
    "ambiguous_body": _ambiguous_body,
    "cold_start": _cold_start,
    "stream_refused": _stream_refused,
    "plugin_failed": _plugin_failed,
    "plugin_blocked": lambda _, __, value: _text(value)[:80],
}
