"""The real process: `sidecar …` as an operator starts it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

FREE = {f"SIDECAR_{door}PORT": "0" for door in ("", "EGRESS_", "ADMIN_")}
COMMAND = str(Path(sys.executable).parent / "sidecar")
STRANGERS = ("SIDECAR_", "DATABRICKS_", "AGENT_")


class Process:
    """One that was started: what it said before it was ready, and the address of each door."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.doors: dict[str, str] = {}

    async def ready(self) -> "Process":
        assert self.process.stderr is not None
        while (line := (await self.process.stderr.readline()).decode()) and not line.startswith("ready"):
            self.said += line
            words = line.split()
            if words and words[0] in ("front", "egress", "admin"):
                self.doors[words[0]] = words[1]
        assert self.doors, self.said
        return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self, within: float) -> int:
        return await asyncio.wait_for(self.process.wait(), within)


Started = Callable[..., Awaitable[Process]]


@asynccontextmanager
async def starting(folder: Path) -> AsyncIterator[Started]:
    """`await started("serve", AGENT_APP_URL=…)`: in this folder, with these variables, on free ports.

    `by`: a command that starts it.
    """
    running: list[Process] = []

    async def started(*arguments: str, by: str = "", **environ: str) -> Process:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)}
        one = await asyncio.create_subprocess_exec(
            *by.split(),
            COMMAND,
            *arguments,
            env=clean | FREE | environ,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        running.append(Process(one))
        return running[-1]

    try:
        yield started
    finally:
        for one in running:
            if one.process.returncode is None:
                one.process.kill()
            await one.process.communicate()
