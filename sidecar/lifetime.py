"""The order in which a process ends: told, finishing, last words, the app, gone (docs/run.md).

T+0 `/readyz` says so · T+1 the front accepts nobody new · when nothing is open, or at T+9, what is still open gets
its last word: agents' streams, then what the app itself sends · half a second later the app is asked to end, and
killed at T+11 · everything is closed. The platform kills at 15 s; we are gone by 12.
"""

import asyncio
import signal
from collections.abc import Sized
from typing import Protocol

from sidecar.doors import Listener

LAST_WORDS = 0.3  # seconds that the last words of agents' streams get, which the app may have to pass on
BROKEN_OFF = 0.2  # and what the app sends by itself


class Exchanges(Protocol):
    """Answers that are being given: how many, an event that is set while there are none, and their last words."""

    @property
    def open(self) -> Sized: ...
    @property
    def idle(self) -> asyncio.Event: ...
    def drain(self) -> None: ...


class Lifetime:
    """Waits for the signal to stop, then ends in order. A second signal means now."""

    def __init__(self, *, notice: float = 1.0, patience: float = 9.0, limit: float = 11.0) -> None:
        self.notice, self.patience, self.limit = notice, patience, limit
        self.draining = False
        self.deadline = float("inf")  # by the loop's clock: when the app is killed
        self.now = asyncio.Event()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """What a signal does."""
        (self.now if self._asked.is_set() else self._asked).set()
        self.draining = True

    def obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    async def asked(self) -> None:
        await self._asked.wait()

    async def end(
        self, front: Listener, agents: Exchanges, app: Exchanges | None = None, *, alone: bool = False
    ) -> None:
        """From the signal until the app may be asked to end.

        `agents`  exchanges with agents, of all doors; `app`: with the app behind the front
        `alone`   the app has ended already: nothing that is open can end well, so nobody waits for it
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        self.deadline = began + self.limit
        both = [agents, app] if app else [agents]
        if not alone:
            if await self._hurried(self.notice):
                return
            front.refuse()
            await self._quiet(began + self.patience, both)
        agents.drain()
        await self._quiet(clock() + LAST_WORDS, both)
        if app:
            app.drain()
        await self._quiet(clock() + BROKEN_OFF, both)

    async def _quiet(self, by: float, exchanges: list[Exchanges]) -> None:
        """Until nothing is open anywhere, or it is time, or a second signal came."""
        clock = asyncio.get_running_loop().time
        while (busy := [each for each in exchanges if each.open]) and clock() < by:
            if await self._hurried(by - clock(), busy[0].idle):
                return

    async def _hurried(self, seconds: float, until: asyncio.Event | None = None) -> bool:
        """Wait so long, or until the event; True where a second signal came first."""
        waits = [asyncio.ensure_future(self.now.wait())]
        if until is not None:
            waits.append(asyncio.ensure_future(until.wait()))
        await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self.now.is_set()
