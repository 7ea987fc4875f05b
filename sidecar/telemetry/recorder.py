"""Where each call's record ends: in the counters, in one line of the log, and in the tap."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from multidict import istr

from middleware.exchange import Body, Call, Reply
from policies import outcome
from policies.agent import Agent
from policies.outcome import OUTCOMES, Ending
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.telemetry import faults, handler
from sidecar.telemetry.counters import Counters
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Behind, Exposition, Tokens
from sidecar.telemetry.notes import COUNTED
from sidecar.telemetry.record import MOST, Record, Said, shape
from sidecar.telemetry.settled import LOUD, Settled
from sidecar.telemetry.tap import Tap

TOGETHER: Final = 64  # calls that have ended are settled at once
MODE: Final[str] = istr("x-sidecar-stream")  # the header in which an answer to a chat says how it came about


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
        self.open: dict[str, Record] = {}
        self._ended: list[Record] = []  # and not yet settled
        self._counters = Counters(lambda name: agents.get(name) is not None)
        self._tap = Tap(self.open)
        self._settled = Settled(log, self._counters, self._tap)
        self._exposition = Exposition(self._counters, tokens, frontend)
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
        record = self.open[request_id] = Record()
        record.request_id = request_id
        record.door = door
        record.route = route
        record.method = method[:16]
        record.started = self._clock()
        record.time = self._now()
        return record

    def turned_away(self, door: str, route: str, refusal: Refusal, request_id: str, method: str = "") -> None:
        """A request was refused before it became a call. The record, if there is one, is found by its id."""
        if request_id not in self.open:
            self.begin(request_id, door, route, method)
        record = self.open.pop(request_id)
        record.refused(Said.of(refusal, self._clean))
        self._end(record, outcome.outcome(refusal.code), refusal.status)

    def finish(self, record: Record, ending: Ending, status: int = 0) -> None:
        """The end of a request that took no chain; nothing where the record has ended already."""
        if not record.outcome:
            if self.open.get(record.request_id) is record:
                del self.open[record.request_id]
            self._end(record, ending if ending in OUTCOMES else "internal_error", status)

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
            record.telling = True
        record.note(self._clock(), "identity_removed", sorted(removed))

    # --- the chain -----------------------------------------------------------------------------------------

    def began(self, call: Call) -> None:
        agent, caller, dialect, method, _, _, body, wants_stream, request_id = call
        record = self.open.get(request_id)
        if record is None:
            record = self.begin(request_id, caller.door, "other", method)
        record.agent = agent
        record.agent_name = agent.name
        record.dialect = dialect
        record.wants_stream = wants_stream
        if not agent.url:  # nobody knows it, so a caller may have made its name up
            record.agent_name, record.telling = agent.name[:63], True
        if record.bytes_in is None:
            record.bytes_in = len(body.raw) if type(body) is Body else body.length  # type: ignore[union-attr]
        if wants_stream is not None and type(body) is Body:
            record.body = body
            record.shape = shape(body)

    def carried(self, call: Call, credential: str, identity: tuple[str, ...]) -> None:
        record = self.open.get(call.request_id)
        if record is not None:
            record.identity_sent = identity
            if len(record.notes) < MOST:
                record.notes += ((self._clock(), "credential", credential),)

    def attempted(self, call: Call, sent: str, result: str) -> None:
        record = self.open.get(call.request_id)
        if record is None:
            return
        self._counters.attempted.append((record.agent_name, sent, result))
        record.sent = sent
        if record.attempts < MOST:
            record.exchanges += ((self._clock(), sent, result),)
        record.attempts += 1
        body = call.body
        if body is record.body:
            record.went = len(body.raw), record.shape
        else:
            record.changed(call)

    def note(self, call: Call, what: str, value: Any) -> None:
        record = self.open.get(call.request_id)
        if record is None:
            return
        if (count := COUNTED.get(what)) is not None:
            value = count(self._counters, record, value)
        if what == "plugin_blocked":
            self.say("warning", "a plug-in blocked everybody", plugin=value, request_id=call.request_id)
        record.note(self._clock(), what, value)

    def refused(self, call: Call, refusal: Refusal) -> None:
        if record := self.open.get(call.request_id):
            record.refused(Said.of(refusal, self._clean))

    def failed(self, call: Call, error: BaseException) -> None:
        self.broke(error, call)
        if record := self.open.get(call.request_id):
            record.refused(Said("internal_error", 500, None, None, None))

    def ended(self, call: Call, reply: Reply | None, ending: Ending) -> None:
        record = self.open.pop(call.request_id, None)
        if record is None:
            return
        status = 0
        if reply is not None:
            status = reply.status
            if call.wants_stream is not None:
                record.stream = reply.headers.get(MODE, "")[:16]
        if record.refusal is not None:
            ending = outcome.outcome(record.refusal.code)
        elif ending not in OUTCOMES:
            ending = "internal_error"
        elif status >= 400 and ending == "ok":
            ending = outcome.of_answer(status)
        self._end(record, ending, status)

    def _end(self, record: Record, ending: str, status: int) -> None:
        record.ended = self._clock()
        record.outcome = ending
        record.body = None
        if not record.status:
            record.status = status
        ended = self._ended
        ended.append(record)
        if ending in LOUD:
            self.flush()
        elif len(ended) >= TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Count, keep and write down what has ended: many at once, while the code for it is in the cache."""
        ended, self._ended = self._ended, []
        self._settled(ended)

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
