"""Makes a call again where the first one cannot have run, and waits for an agent that sleeps."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from middleware.awakening import Awakenings
from middleware.exchange import Body, Call, Handler, Headers, Middleware, Reply, Upload
from middleware.observe import Recorder
from policies import hints
from policies import retry as policy
from policies.agent import Agent
from policies.answers import is_json
from policies.names import CONTENT_TYPE
from policies.refusal import Refusal


class Unread:
    """A relay's upload, and whether reading it has begun: after that there is no second try."""

    __slots__ = ("_upload", "begun", "length")

    def __init__(self, upload: Upload) -> None:
        self._upload, self.length, self.begun = upload, upload.length, False

    def chunks(self) -> AsyncIterator[bytes]:
        self.begun = True
        return self._upload.chunks()


class Known:
    """What an agent's own answers look like, and when the last one came."""

    __slots__ = ("at", "marks")

    def __init__(self) -> None:
        self.at: float | None = None
        self.marks: set[str] = set()

    def answered(self, headers: Headers, now: float) -> None:
        self.at = now
        if len(self.marks) < policy.MARKS:
            self.marks.update(headers)
            if server := headers.get("Server"):
                self.marks.add(server)


def retry(
    recorder: Recorder,
    *,
    budget: float = 60.0,
    waiting: int = 64,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    spread: Callable[[], float] = random.random,
) -> Middleware:
    """`budget` is SIDECAR_COLD_START_BUDGET (seconds), `waiting` SIDECAR_WAITING (calls, over all agents)."""
    awakenings = Awakenings(recorder, budget=budget, waiting=waiting, clock=clock, sleep=sleep)
    agents: dict[str, Known] = {}

    async def middleware(call: Call, forward: Handler) -> Reply:
        agent = call.agent
        if agent.replay == "never":
            return await forward(call)
        known = agents.get(name := agent.name) or agents.setdefault(name, Known())
        if not isinstance(call.body, Body):
            call = call._replace(body=Unread(call.body))
        tries, until, resent = 0, 0.0, False
        while True:
            tries += 1
            began = clock()
            until = until or began + budget
            try:
                reply = await forward(call)
            except Refusal as refusal:
                rule = policy.unsent(refusal.code, refusal.sent) or policy.stale(
                    refusal, call.method, _size(call)
                )
                if rule is None or (isinstance(call.body, Unread) and call.body.begun):
                    raise
                failure = refusal
            else:
                status, headers, _, _ = reply
                if status < 300 or is_json(headers.get(CONTENT_TYPE, "")):
                    known.answered(headers, clock())
                    return reply
                if resent or not budget or not _not_run(call, reply, known, began, clock()):
                    return reply
                await reply.close("agent_unavailable")
                rule, failure, resent = policy.ASLEEP, _asleep(agent, status), True
            if tries < rule.tries and clock() + (pause := policy.pause(tries, spread())) <= until:
                await sleep(pause)
            elif rule.wakes and budget:
                await awakenings.wait(call, forward, failure, until)
                tries = 0
            else:
                raise failure

    middleware.relays = True  # type: ignore[attr-defined]
    return middleware


def _size(call: Call) -> int | None:
    return len(call.body.raw) if isinstance(call.body, Body) else None


def _not_run(call: Call, reply: Reply, known: Known, began: float, now: float) -> bool:
    if call.wants_stream is None or not isinstance(reply.body, Body):
        return False  # a relay is made again only where nothing was sent
    kind, server = (reply.headers.get(name, "") for name in ("Content-Type", "Server"))
    answer = policy.Answer(reply.status, kind, server, reply.headers, reply.body.raw[:4096], now - began)
    return policy.not_run(answer, marks=known.marks, silent=None if known.at is None else now - known.at)


def _asleep(agent: Agent, status: int) -> Refusal:
    detail, hint = hints.explain("agent_failed", agent=agent, status=status)
    return Refusal(502, "agent_failed", detail=detail, hint=hint, agent_status=status, sent="full")
