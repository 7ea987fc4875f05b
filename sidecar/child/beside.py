"""The app beside us, from the moment at which egress listens to its end, which is ours."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from policies import child as policy
from policies.agent import Agent
from sidecar.behind import Frontend
from sidecar.child import port as ports
from sidecar.child.child import LAST_OUTPUT, Child, NeverReady
from sidecar.child.kernel import adopt_orphans
from sidecar.child.orphans import Orphans
from sidecar.child.spawn import CannotStart
from sidecar.lifetime import Lifetime
from sidecar.settings import Settings
from sidecar.settings.variables import AGENT_APP_URL
from sidecar.sweep import Sweep
from sidecar.telemetry import Telemetry

KILLED: Final = policy.exit_code(-signal.SIGKILL)


class Beside:
    """The command, started once; when it ends, `lifetime` is asked to end as well.

    `notices`  what was changed about the command, to be said at start
    `code`     our exit code, where it is not the app's own
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Settings,
        frontend: Frontend,
        lifetime: Lifetime,
        telemetry: Telemetry,
    ) -> None:
        self.command, self.settings, self.frontend = command, settings, frontend
        self.lifetime, self.telemetry = lifetime, telemetry
        self.notices: list[str] = []
        self.code: int | None = None
        self.child: Child | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, egress: str, front: int, agents: Iterable[Agent], sweep: Sweep) -> None:
        """`egress`: that door's address; `front`: the front's port. CannotStart with its exit code."""
        adopt_orphans()
        sweep.items.add(Orphans())
        settings = self.settings
        port = settings.child_port or ports.free()
        if not ports.is_free(port):  # who has it would get all that browsers send
            raise CannotStart(
                f"something listens on port {port} already, and SIDECAR_CHILD_PORT gives it to the app.", 1
            )
        fitted = policy.arguments(self.command, port=port, front=front, as_is=settings.child_args == "as-is")
        self.notices += [
            f"argument {number} of the command had the front's port {front} and has {port} now; "
            "SIDECAR_CHILD_ARGS=as-is leaves it"
            for number in fitted.replaced
        ]
        self.frontend.url = f"http://{policy.LOOPBACK}:{port}"
        environment = policy.environment(
            os.environ,
            port=port,
            agents=self._known(agents, egress),
            secrets=settings.child_env == "whole",
        )
        self.child = await Child.start(fitted.command, environment)
        self.telemetry.say("info", "app started", pid=self.child.pid, port=port)
        self._watching = asyncio.create_task(self._watch(self.child, port))

    def _known(self, agents: Iterable[Agent], egress: str) -> Mapping[str, str]:
        """For each name under which the app knows an agent, where that agent is for it."""
        secret = self.settings.egress_secret
        door = f"{egress}/~{secret.reveal()}" if secret else egress
        names = {name: block.env for name, block in self.settings.agents.items()}
        names["default"] = (*names.get("default", ()), AGENT_APP_URL)
        return {
            variable: f"{door}/agents/{agent.name}"
            for agent in agents
            for variable in names.get(agent.name, ())
        }

    async def _watch(self, child: Child, port: int) -> None:
        began = asyncio.get_running_loop().time()
        getting_ready = asyncio.ensure_future(child.ready(port, self.settings.app_start_timeout))
        gone = asyncio.ensure_future(child.gone.wait())
        await asyncio.wait((getting_ready, gone), return_when=asyncio.FIRST_COMPLETED)
        if getting_ready.done():
            try:
                self.frontend.url = getting_ready.result()
                self.frontend.state = "up"
                seconds = round(asyncio.get_running_loop().time() - began, 3)
                self.telemetry.say("info", "app up", url=self.frontend.url, seconds=seconds)
            except NeverReady as why:
                if not self.lifetime.draining:  # else it is ended anyway, and a second asking would mean now
                    self.code = 1
                    told(str(why))
                    self.lifetime.ask()
        else:
            getting_ready.cancel()
        await gone
        self.frontend.state = "gone"
        if not self.lifetime.draining:
            await self._ended(child)

    async def _ended(self, child: Child) -> None:
        """It ended and nobody had asked it to: so do we, with its code."""
        await asyncio.to_thread(child.output.finish, LAST_OUTPUT)
        self.telemetry.say("error" if child.code else "info", "app ended", code=child.code)
        secret = self.settings.egress_secret
        hidden = secret.reveal() if secret else "\0"
        lines = [line.replace(hidden, "***") for line in child.output.tail.lines()] if child.code else []
        told(f"the app ended with code {child.code}.{' The last that it said:' if lines else ''}", lines)
        self.lifetime.ask()

    @property
    def name(self) -> str:
        """What was started; its arguments may hold anything."""
        return self.command[0]

    @property
    def hopeless(self) -> bool:
        """It has ended, or will never be up."""
        return self.code is not None or (self.child is not None and self.child.gone.is_set())

    async def stop(self) -> int:
        """Ends it with its group, whatever state it is in; the exit code is its own, unless it never was ready."""
        if self.child is None:
            return 1
        await self.child.stop(self.lifetime.deadline, self.lifetime.now)
        if self._watching is not None:
            self._watching.cancel()
        codes = (self.code, self.child.code, KILLED)
        return next(code for code in codes if code is not None)


def told(sentence: str, lines: Sequence[str] = ()) -> None:
    sys.stderr.write("\n".join([f"sidecar: {sentence}", *(f"  | {line}" for line in lines), ""]))
    sys.stderr.flush()
