"""The runs of a stand-in builder: their events with stamps, who waits for them, and how they ended."""

import asyncio
import time
from typing import Any

from sidecar.sim.builder_plots import Event, plot

Status = str  # running | completed | cancelled | error


class Run:
    """One run. It goes on whether or not anybody listens."""

    def __init__(self, ident: str, project: str, conversation: str, text: str, said: dict[str, int]) -> None:
        self.ident, self.project, self.conversation, self.text, self.said = (
            ident,
            project,
            conversation,
            text,
            said,
        )
        self.events: list[tuple[float, Event]] = []
        self.status: Status = "running"
        self.error: str | None = None
        self.windows = 0
        self.shown = 0  # how many of its events were told
        self.shown_until: float | None = None
        self.forgotten = False  # its stream is gone
        self.looks = 0
        self.news = asyncio.Event()
        self._stamp = time.time()

    def happen(self, event: Event) -> None:
        if "same stamp" not in self.said:
            self._stamp += 0.001
        if "clock back" in self.said and len(self.events) == 4:
            self._stamp -= 0.5
        self.events.append((self._stamp, event))
        self._tell()

    def end(self, status: Status, error: str | None = None) -> None:
        if self.status != "running":
            return
        if status == "cancelled":
            self.happen({"type": "cancelled"})
        self.happen({"type": "stream.completed", "is_error": status == "error"})
        self.status, self.error = status, error
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def go(self, pace: float) -> None:
        """Everything that happens in it, `pace` seconds apart."""
        spoke = False
        error = None
        for event in plot(self.text, self.said, self.conversation):
            await asyncio.sleep(pace)
            if self.status != "running":
                return
            self.happen(event)
            spoke = spoke or event["type"].startswith("text")
            error = event.get("error", error)
            if spoke and "hold" in self.said:
                await asyncio.Event().wait()
        if "cancel yourself" in self.said:
            self.end("cancelled")
        else:  # words before the error, and it is called a success
            self.end("error" if error and not spoke else "completed", error)

    def after(self, stamp: float | None) -> int:
        """The index of the first event behind this stamp."""
        return next(
            (n for n, (at, _) in enumerate(self.events) if stamp is None or at > stamp), len(self.events)
        )

    def told(self, *, stamped: bool) -> dict[str, Any]:
        """As its conversation's executions tell it: from memory without stamps, from the database with other ones."""
        self.looks += 1
        events = [event | ({"timestamp": at} if stamped else {}) for at, event in self.events]
        running = False
        if "lag" in self.said:
            events, running = events[: 3 + 2 * self.looks], len(events) > 3 + 2 * self.looks
        return {
            "id": self.ident,
            "conversation_id": self.conversation,
            "project_id": self.project,
            "status": "running" if running else self.status,
            "events": [event for event in events if not event["type"].startswith("stream.")],
            "error": self.error,
            "created_at": None,
        }
