"""The way to the app behind the front: the recorder, who says what went wrong, and the wire."""

from collections.abc import Callable
from typing import Final

from middleware.chain import compose
from middleware.dialects.dialect import Dialect
from middleware.exchange import EMPTY, Call, Handler, Middleware, Reply
from middleware.guard import guard
from middleware.observe import observe
from policies import hints, outcome, retry
from policies.agent import FRONTEND
from policies.outcome import Ending
from policies.refusal import Refusal
from sidecar.behind import Frontend
from sidecar.telemetry import Telemetry
from sidecar.wire.faults import OF_THE_FRONTEND

STATES: Final = {"starting": "frontend_starting", "gone": "frontend_unreachable"}
LATER: Final = {"frontend_starting": 1, "draining": 5}  # seconds until a caller should ask again
OF_THE_APP: Final = frozenset(code for code, row in outcome.OUTCOMES.items() if row.who == "frontend")


class Book:
    """A `Recorder` of exchanges that are no calls to an agent: the edge has begun their records."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.carried, self.attempted, self.note = telemetry.carried, telemetry.attempted, telemetry.note
        self.refused, self.failed = telemetry.refused, telemetry.failed
        self._telemetry = telemetry

    def began(self, call: Call) -> None:
        pass

    def ended(self, call: Call, reply: Reply | None, ending: Ending) -> None:
        if record := self._telemetry.open.get(call.request_id):
            code = record.refusal.code if record.refusal else OF_THE_FRONTEND.get(ending, (ending, ""))[0]
            self._telemetry.finish(record, outcome.outcome(code), reply.status if reply else 0)


def relay(
    wire: Handler, frontend: Frontend, telemetry: Telemetry, dialect: Dialect, draining: Callable[[], bool]
) -> Handler:
    """The whole way there."""
    book = Book(telemetry)
    return compose([observe(book), guard({FRONTEND: dialect}, book), there(frontend, draining)], wire)


def there(frontend: Frontend, draining: Callable[[], bool]) -> Middleware:
    """Asks an app that is there; once more where a kept connection had died and nothing can have been done."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        if frontend.state != "up":
            raise away("draining" if draining() else STATES[frontend.state])
        try:
            return await forward(call)
        except Refusal as refusal:
            if draining() and refusal.code in OF_THE_APP:
                raise away("draining") from refusal
            if retry.stale(refusal, call.method, 0 if call.body is EMPTY else None) is None:
                raise
        return await forward(call)

    return middleware


def away(code: str) -> Refusal:
    detail, hint = hints.explain(code)
    return Refusal(
        outcome.status(code), code, detail=detail, hint=hint, sent="none", retry_after=LATER.get(code)
    )
