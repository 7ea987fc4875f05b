"""The admin door: is it alive, is it ready, what has it counted, which agents, and what became of a call.

The first three may be asked from anywhere the door is bound to; the rest names hosts and requests and is
served on loopback only. The rule for browsers has been applied before a request comes here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from policies import errors, hints, outcome
from policies.agent import Agent, Caller
from policies.refusal import Refusal
from sidecar.doors import Request
from sidecar.telemetry import Telemetry
from sidecar.whole import Whole

Answer = Callable[[Request], Awaitable[Whole]]

PAGE: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Agent Sidecar</title></head><body>
<h1>Agent Sidecar</h1>
<ul>
<li><a href="/healthz">/healthz</a>: is the process alive</li>
<li><a href="/readyz">/readyz</a>: is it ready, and if not, why</li>
<li><a href="/metrics">/metrics</a>: counters, for Prometheus</li>
<li><a href="/agents">/agents</a>: the agents, and what each may be told</li>
<li><a href="/calls">/calls</a>: the last calls; <code>/calls/&lt;request id&gt;</code> tells one</li>
</ul>
</body></html>
"""
ALWAYS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
READS: Final = frozenset({"GET", "HEAD"})
PRETTY: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


async def nothing() -> None:
    """Where there is nothing to find out."""


class Admin:
    """Answers at the admin door.

    `reasons`  why calls cannot be served well now, one sentence each; none: ready
    `look`     finds out before it is told of them, or of a gauge, what nobody knows unasked; within a second
    `public`   the door is bound beyond loopback
    """

    def __init__(
        self,
        telemetry: Telemetry,
        agents: Iterable[Agent],
        reasons: Callable[[], list[str]],
        *,
        look: Callable[[], Awaitable[None]] = nothing,
        public: bool = False,
    ) -> None:
        self._telemetry, self._agents, self._reasons = telemetry, agents, reasons
        self._look = look
        self._routes: dict[str, Answer] = {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
        }
        if not public:
            self._routes |= {"/": self.page, "/agents": self.agents, "/calls": self.calls}
        self._public = public

    async def handle(self, request: Request, _: Caller | None = None) -> Whole:
        """Any request at this door."""
        path = request.raw_path.partition("?")[0]
        answer = self._routes.get(path)
        if answer is None and path.startswith("/calls/") and not self._public:
            answer = self.call
        if answer is None:
            detail, hint = hints.explain("no_such_route")
            if self._public:
                hint = "Beyond loopback this door serves /healthz, /readyz and /metrics only."
            return said(Refusal(404, "no_such_route", detail=detail, hint=hint))
        if request.method not in READS:
            return said(
                Refusal(405, "method_not_allowed", hint="This door only tells: GET or HEAD."),
                Allow="GET, HEAD",
            )
        return await answer(request)

    async def healthz(self, _: Request) -> Whole:
        """200 as long as the process answers at all; depends on nobody."""
        return as_json({"alive": True})

    async def readyz(self, _: Request) -> Whole:
        """200, or 503 with the reasons."""
        await self._look()
        reasons = self._reasons()
        return as_json({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(self, request: Request) -> Whole:
        """Prometheus text, or OpenMetrics where it is accepted."""
        await self._look()
        body, content_type = await self._telemetry.metrics(request.headers.get("Accept", ""))
        return Whole(body=body, headers={**ALWAYS, "Content-Type": content_type})

    async def agents(self, _: Request) -> Whole:
        """Every known agent: where it is, how it is called, and what it may be told."""
        return as_json({"agents": [described(agent) for agent in self._agents]})

    async def calls(self, _: Request) -> Whole:
        """The last calls, the newest first: names and sizes only."""
        return as_json({"calls": self._telemetry.tap.list()})

    async def call(self, request: Request) -> Whole:
        """One call and its timeline, by request id."""
        request_id = request.raw_path.partition("?")[0].removeprefix("/calls/")
        found = self._telemetry.tap.get(request_id)
        return said(Refusal(404, "no_such_call")) if found is None else as_json(found)

    async def page(self, _: Request) -> Whole:
        """Links to the above."""
        return Whole(body=PAGE, headers={**ALWAYS, "Content-Type": "text/html; charset=utf-8"})


def described(agent: Agent) -> dict[str, Any]:
    """One agent as this door and `sidecar check` show it; holds no secret, since `Agent` holds none."""
    return {
        "name": agent.name,
        "url": agent.url,
        "kind": agent.kind,
        "auth": agent.auth,
        "trusted": agent.trusted,
        "why_trusted": agent.why_trusted,
        "streaming": agent.streaming,
        "stream_default": agent.stream_default,
        "shape": agent.shape,
        "replay": agent.replay,
        "headers": list(agent.headers),
    }


def as_json(value: Any, *, status: int = 200, **more: str) -> Whole:
    headers = {**ALWAYS, "Content-Type": "application/json", **more}
    return Whole(status, orjson.dumps(value, option=PRETTY), headers)


def said(refusal: Refusal, **more: str) -> Whole:
    if refusal.detail is None:
        refusal.detail, hint = hints.explain(refusal.code)
        refusal.hint = refusal.hint or hint
    return as_json(errors.body(refusal, full=True), status=outcome.status(refusal.code), **more)
