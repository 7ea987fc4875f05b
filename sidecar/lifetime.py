"""The order in which a process ends: told, finishing, last words, gone (DESIGN §11).

T+0 `/readyz` says so · T+1 the front accepts nobody new · when nothing is open, or at T+9, what is still open gets
its last word · half a second later everything is closed. The platform kills at 15 s; we are gone by 12.
"""

import asyncio
import signal

from sidecar.doors import Listener
from sidecar.edge import Edge

LAST_WORDS = 0.5  # seconds that a last word gets to leave


class Lifetime:
    """Waits for the signal to stop, then ends in order. A second signal means now."""

    def __init__(self, *, notice: float = 1.0, patience: float = 9.0) -> None:
        self.notice, self.patience = notice, patience
        self.draining = False
        self._asked = asyncio.Event()
        self._now = asyncio.Event()

    def ask(self) -> None:
        """What a signal does."""
        (self._now if self._asked.is_set() else self._asked).set()
        self.draining = True

    def obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    async def asked(self) -> None:
        await self._asked.wait()

    async def end(self, front: Listener, edge: Edge) -> None:
        """From the signal until nothing is left to wait for."""
        began = asyncio.get_running_loop().time()
        if await self._hurried(self.notice):
            return
        front.refuse()
        left = began + self.patience - asyncio.get_running_loop().time()
        if edge.open and await self._hurried(left, edge.idle):
            return
        if edge.open:
            edge.drain()
            await self._hurried(LAST_WORDS, edge.idle)

    async def _hurried(self, seconds: float, until: asyncio.Event | None = None) -> bool:
        """Wait so long, or until the event; True where a second signal came first."""
        waits = [asyncio.ensure_future(self._now.wait())]
        if until is not None:
            waits.append(asyncio.ensure_future(until.wait()))
        await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._now.is_set()
