"""Keeps one credential's bearer fresh: one refresh at a time, early, unasked, and patient where it fails."""

import asyncio
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, NamedTuple

from policies import credentials as policy
from policies.credentials import Grant, Instant, State
from policies.faults import Fault, meaning
from sidecar.tokens.credential import Credential

log = logging.getLogger(__name__)

Fetch = Callable[[Credential], Awaitable[Grant | Fault]]
NAP: Final = 30.0  # seconds; the machine may sleep or its clock be set in the meantime


def _elapsed() -> float:
    """Seconds on the clock that also runs while the machine sleeps, where the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class Clock(NamedTuple):
    mono: Callable[[], float] = _elapsed
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def now(self) -> Instant:
        return Instant(self.mono(), self.wall())


class Facts(NamedTuple):
    """One credential, for metrics and the admin door."""

    name: str
    refreshes: Counter[str]  # by result: `ok`, or a key of policies.faults
    expires_at: float | None  # since 1970: up to when it is sent; None: nothing held, or without end
    seconds: float  # spent in refreshes, in all
    fault: str | None  # of the last refresh
    fatal: bool


class Keeper:
    def __init__(
        self, credential: Credential, fetch: Fetch, clock: Clock, spread: Callable[[], float] = random.random
    ) -> None:
        self.credential = credential
        self.state = State()
        self.refreshes: Counter[str] = Counter()
        self.seconds = 0.0
        self._fetch, self._clock, self._spread = fetch, clock, spread
        self._mono, self._wall = clock.mono, clock.wall
        self._value: str | None = None
        self._mono_end = self._wall_end = -inf
        self._flight: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    def ready(self) -> str | None:
        """The value of `Authorization`, if one may be sent now. Called for every call to an agent."""
        return self._value if self._mono() < self._mono_end and self._wall() < self._wall_end else None

    async def bearer(self) -> str:
        """The same, after the one wait that may help; Refusal `credential_unavailable` where none does."""
        self.start()
        if (held := self.ready()) is None and not self.state.failures:
            await self._refreshed()
            held = self.ready()
        if held is None:
            raise policy.unavailable(self.credential.title, self.state, self._clock.now())
        return held

    async def refused(self, bearer: str) -> str | None:
        """Another bearer than this one, which an agent did not accept; None where there is none to be had."""
        if (held := self.ready()) == bearer:
            if self._flight is None:
                now = self._clock.now()
                if not policy.forcible(self.state, now):
                    return None
                self.state = self.state._replace(forced=now.mono)
            await self._refreshed()
            held = self.ready()
        return held if held != bearer else None

    def start(self) -> None:
        """Begin to keep it fresh; harmless when already begun."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._kept_fresh(), name=f"token {self.credential.name}")

    async def aclose(self) -> None:
        """Stop, and kill a helper that is still at work."""
        tasks = [task for task in (self._watch, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def facts(self) -> Facts:
        held, fault = self.state.held, self.state.fault
        return Facts(
            self.credential.name,
            self.refreshes,
            held.since.wall + held.ends if held and held.ends < inf else None,
            self.seconds,
            fault and fault.code,
            fault is not None and meaning(fault).fatal,
        )

    async def _kept_fresh(self) -> None:
        while True:
            if pause := policy.wait(self.state, self._clock.now()):
                await self._clock.sleep(min(pause, NAP))
            else:
                await self._refreshed()

    async def _refreshed(self) -> None:
        """One attempt, shared by all who wait for it; whoever leaves does not end it."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._attempt())
        await asyncio.shield(self._flight)

    async def _attempt(self) -> None:
        began = self._mono()
        try:
            told = await self._fetch(self.credential)
        except Exception:  # a fault of ours must not end the refreshing for ever
            log.exception("refreshing credential %s failed", self.credential.name)
            told = Fault("helper_died")
        finally:
            self._flight = None
        now = self._clock.now()
        if isinstance(told, Fault):
            self.state = policy.failed(self.state, told, now)
        else:
            self.state = policy.granted(self.state, told, now, self._spread())
        if held := self.state.held:
            self._value, (self._mono_end, self._wall_end) = held.authorization.reveal(), policy.ends(held)
        self.seconds += now.mono - began
        self.refreshes[self.state.fault.code if self.state.fault else "ok"] += 1
