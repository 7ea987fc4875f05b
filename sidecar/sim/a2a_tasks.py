"""The tasks of a stand-in A2A agent: what happened in each, who listens, and what is told of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sidecar.sim import a2a_tells as tells
from sidecar.sim.a2a_plots import Update

OVER = frozenset({"completed", "canceled", "failed", "rejected", "input-required", "auth-required"})
TERMINAL = OVER - {"input-required", "auth-required"}


class Task:
    """One task. Updates are kept and given to whoever listens from now on."""

    def __init__(self, version: str, ident: str, context: str, said: dict[str, str]) -> None:
        self.version, self.ident, self.context, self.said = version, ident, context, said
        self.question = ""
        self.status = Update(state="submitted")
        self.artifacts: dict[str, list[Update]] = {}
        self.history: list[tells.Json] = []
        self.asked_for = 0  # how often by `tasks/get`
        self.wanted = asyncio.Event()  # somebody asked for the task after its stream broke
        self.ended = asyncio.Event()  # for good
        self.running: asyncio.Task[None] | None = None
        self._listeners: list[asyncio.Queue[tells.Json | None]] = []

    @property
    def over(self) -> bool:
        return self.status.state in OVER

    def happen(self, update: Update) -> None:
        if update.artifact:
            known = self.artifacts.setdefault(update.artifact, [])
            if not update.append:
                known.clear()
            known.append(update)
            told = {"artifact": self._artifact(update.artifact, [update]), "append": update.append}
            kind: str = "artifact-update"
            told["lastChunk"] = False
        else:
            self.status = update
            told = {"status": self._status(), "final": self.over}
            kind = "status-update"
            if self.version == "1.0":
                del told["final"]
        self._tell(tells.result(self.version, kind, {"taskId": self.ident, "contextId": self.context} | told))
        if self.over:
            self._tell(None)
        if self.status.state in TERMINAL:
            self.ended.set()

    def _tell(self, event: tells.Json | None) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)

    def listen(self, *, first: bool) -> AsyncIterator[tells.Json]:
        """What happens from now on; with a snapshot in front for `first`, and in 1.0 always."""
        queue: asyncio.Queue[tells.Json | None] = asyncio.Queue()
        if first or self.version == "1.0":
            queue.put_nowait(self.snapshot())
        self._listeners.append(queue)
        return self._events(queue)

    async def _events(self, queue: asyncio.Queue[tells.Json | None]) -> AsyncIterator[tells.Json]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._listeners.remove(queue)

    def snapshot(self) -> tells.Json:
        """The task as `tasks/get` tells it."""
        artifacts = [self._artifact(ident, updates) for ident, updates in self.artifacts.items()]
        value = {
            "id": self.ident,
            "contextId": self.context,
            "status": self._status(),
            "artifacts": artifacts,
        }
        if self.history:
            value["history"] = self.history
        return tells.result(self.version, "task", value)

    def _artifact(self, ident: str, updates: list[Update]) -> tells.Json:
        told = [part for update in updates for part in tells.parts(self.version, update)]
        return {"parts": told} if "bare" in self.said else {"artifactId": ident, "parts": told}

    def _status(self) -> Any:
        if "bare" in self.said:
            return tells.state(self.version, self.status.state)
        return tells.status(self.version, self.status, self.context, self.ident)
