"""One running command: when it answers, how it ends, and how its whole group is ended."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from policies.child import exit_code
from sidecar.child.guardian import Guardian
from sidecar.child.listening import listening
from sidecar.child.output import Output
from sidecar.child.readiness import Readiness
from sidecar.child.spawn import spawn
from sidecar.child.tree import members, workers

HANDED_ON: Final = 2.0  # seconds that a process has to hand a signal on to those it started
LAST_OUTPUT: Final = 0.3  # seconds for what was said and not yet passed on
LAST_BREATH: Final = 0.5  # seconds that the kernel gets to end what was killed
LOOK: Final = 0.05


class NeverReady(Exception):
    """The app did not answer in time: one sentence that says how far it got, and one that says what to do."""


class Child:
    """`gone` is set when the command has ended; `code` is then its exit code, as a shell tells it."""

    def __init__(self, process: Process, output: Output, guardian: Guardian) -> None:
        self.pid = process.pid
        self.output = output
        self.gone = asyncio.Event()
        self.code: int | None = None
        self._guardian = guardian
        self._waiting = asyncio.ensure_future(self._wait(process))

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> "Child":
        """CannotStart where it cannot."""
        output = Output()
        try:
            process = await spawn(command, environment, output.stdout, output.stderr)
        finally:
            output.handed_over()
        child = cls(process, output, guardian := Guardian())
        await guardian.guard(child.pid)
        return child

    async def _wait(self, process: Process) -> None:
        self.code = exit_code(await process.wait())
        self.gone.set()

    async def ready(self, port: int, within: float) -> str:
        """Where it answers. NeverReady says why not; does not return after its end."""
        readiness = Readiness(port)
        try:
            return await asyncio.wait_for(readiness.url(), within)
        except TimeoutError:
            raise NeverReady(self._why(readiness, within)) from None

    def _why(self, readiness: Readiness, within: float) -> str:
        port = readiness.port
        asked = {f"{host}:{port}" for host in ("127.0.0.1", "0.0.0.0", "[::1]", "[::]")}
        places = [place for place in listening(self.pid) if place not in asked]
        elsewhere = f" It listens on {', '.join(places[:5])} instead." if places else ""
        return (
            f"the app did not answer within {within:g} s: at its port {port}, {readiness.seen}.{elsewhere} It is told "
            "the port by PORT and its like, and by {port} in the command; SIDECAR_CHILD_PORT chooses it; "
            "SIDECAR_APP_START_TIMEOUT is how long it may take."
        )

    async def stop(self, by: float, now: asyncio.Event) -> None:
        """SIGTERM to who does the work, then to the rest of the group; SIGKILL at `by` or with `now`; all reaped.

        Who does the work hears of it once: `npm` and shells would cut it off, and end with another code than its.
        """
        loop = asyncio.get_running_loop()
        told = set() if self.gone.is_set() else self._tell(workers(self.pid))
        rest = min(loop.time() + HANDED_ON, by)
        while self._lives() and loop.time() < by and not now.is_set():
            if loop.time() >= rest or self.gone.is_set():
                told |= self._tell({member.pid for member in members(self.pid)} - told)
            await asyncio.sleep(LOOK)
        self.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), LAST_BREATH)
        await self._guardian.release()
        await asyncio.to_thread(self.output.finish, LAST_OUTPUT)

    def kill(self) -> None:
        """The whole group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _tell(self, pids: Sequence[int] | set[int]) -> set[int]:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)
        return set(pids)

    def _lives(self) -> bool:
        return not self.gone.is_set() or bool(members(self.pid))
