"""Waits for agents that sleep: one caller asks each whether it is there, the others wait for its answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from middleware.exchange import EMPTY, Call, Handler, headers
from middleware.observe import Recorder
from middleware.within import Within
from policies import hints
from policies import retry as policy
from policies.agent import Agent
from policies.outcome import OUTCOMES
from policies.refusal import Refusal

log = logging.getLogger("sidecar.agents")

KEPT: Final = ("x-request-id", "traceparent", "tracestate", "via")  # of the call that a question is asked for


class Sleeper:
    """One agent that is being waited for."""

    __slots__ = ("awake_at", "since", "turn", "waiting")

    def __init__(self) -> None:
        self.turn = (
            asyncio.Lock()
        )  # who holds it asks; when it leaves, the next one does, with its own credential
        self.awake_at = -inf
        self.since: float | None = None
        self.waiting = 0


class Awakenings:
    def __init__(
        self,
        recorder: Recorder,
        *,
        budget: float,
        waiting: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.recorder, self.budget, self.most = recorder, budget, waiting
        self.clock, self.sleep = clock, sleep
        self.waiting = 0
        self.sleepers: dict[str, Sleeper] = {}

    async def wait(self, call: Call, forward: Handler, failure: Refusal, until: float) -> None:
        """Returns when the agent answers. Refusal 503: `agent_unavailable` at `until`; `overloaded`."""
        if self.waiting >= self.most:
            detail, hint = hints.explain("overloaded", agent=call.agent)
            raise Refusal(
                503, "overloaded", detail=detail, hint=hint, sent="none", retry_after=5
            ) from failure
        began = self.clock()
        sleeper = self.sleepers.setdefault(call.agent.name, Sleeper())
        self.recorder.note(call, "cold_start", failure.code)
        self.waiting += 1
        sleeper.waiting += 1
        try:
            with Within(until - began, "agent_unavailable"):
                await self._answered(sleeper, call, forward, failure, until)
        except TimeoutError:
            raise unavailable(call.agent, failure, self.budget) from failure
        finally:
            self.waiting -= 1
            sleeper.waiting -= 1
            if not sleeper.waiting:
                sleeper.since = None
            self.recorder.note(call, "waited", round(self.clock() - began, 1))

    async def _answered(
        self, sleeper: Sleeper, call: Call, forward: Handler, failure: Refusal, until: float
    ) -> None:
        name, began = call.agent.name, self.clock()
        async with sleeper.turn:
            if sleeper.awake_at >= began:
                return
            if sleeper.since is None:
                sleeper.since = began
                log.warning(
                    "agent %s does not answer (%s): waiting up to %g s for it",
                    name,
                    failure.code,
                    self.budget,
                )
            while not await answers(call, forward):
                if self.clock() + policy.EVERY >= until:
                    raise TimeoutError
                await self.sleep(policy.EVERY)
            sleeper.awake_at = self.clock()
            log.info("agent %s answers again after %.1f s", name, sleeper.awake_at - sleeper.since)


async def answers(call: Call, forward: Handler) -> bool:
    """Whether anybody is there: asked by GET, for this call and with its credential, never with its body."""
    kept = [(name, call.headers[name]) for name in KEPT if name in call.headers]
    question = call._replace(
        method="GET", headers=headers(("accept", "application/json"), *kept), body=EMPTY, wants_stream=None
    )
    for target in policy.PROBES:
        try:
            reply = await forward(question._replace(target=target))
        except Refusal as refusal:
            if OUTCOMES[refusal.code].who != "agent":
                raise
            return False
        await reply.close("ok")
        if reply.status in policy.GATEWAY:
            return False
        if reply.status not in (404, 405):
            return True
    return True  # it knows neither path, so it is there


def unavailable(agent: Agent, failure: Refusal, budget: float) -> Refusal:
    detail, hint = hints.explain("agent_unavailable", agent=agent)
    if failure.detail:
        detail, hint = f"{failure.detail} It was waited for {budget:g} s.", failure.hint or hint
    return Refusal(503, "agent_unavailable", detail=detail, hint=hint, sent=failure.sent, retry_after=10)
