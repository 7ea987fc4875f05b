"""What one caller has been told so far: nothing yet (uncommitted), a head (committed), or everything (ended).

An answer is committed by its first body byte; or, for a caller that waits for an event stream, by the sweep
after a few seconds of waiting, so that keepalives can flow while the agent is still silent (DESIGN §7.4).
"""

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Final, Literal

from aiohttp import web

from middleware.exchange import Headers, Pairs
from middleware.sse import KEEPALIVE
from middleware.watch import Watch
from sidecar.doors import Head

State = Literal["uncommitted", "committed", "ended"]
NO_BODY: Final = b""


class Patience:
    """Seconds: before an event stream is opened without the agent, between keepalives, for a stalled reader."""

    __slots__ = ("commit_after", "keepalive", "write")

    def __init__(self, commit_after: float = 3.0, keepalive: float = 10.0, write: float = 30.0) -> None:
        self.commit_after, self.keepalive, self.write = commit_after, keepalive, write


class Answer:
    """The edge's side of one exchange; a `Sink` for whatever is pumped, and ticked by the sweep."""

    __slots__ = (
        "_began",
        "_common",
        "_head",
        "_moved",
        "_quiet_since",
        "_seen",
        "_writing",
        "early",
        "first_byte",
        "opening",
        "patience",
        "request",
        "response",
        "size",
        "stalled",
        "state",
        "status",
        "task",
        "watch",
    )

    def __init__(self, request: web.BaseRequest, patience: Patience, common: Pairs) -> None:
        self.request, self.patience = request, patience
        self.task = asyncio.current_task()
        self.state: State = "uncommitted"
        self.response: web.StreamResponse | None = None
        self.status = 0
        self.opening: Headers | None = None  # set where the caller waits for an event stream
        self.watch: Watch | None = None
        self.early = self.stalled = False
        self.size = 0
        self.first_byte = 0.0
        self._common = common
        self._head: tuple[int, Pairs] = (200, common)
        self._began = self._quiet_since = asyncio.get_running_loop().time()
        self._moved = self._seen = 0
        self._writing = False

    # --- telling -------------------------------------------------------------------------------------------

    def head(self, status: int, pairs: Pairs) -> None:
        """What the answer will start with, unless it has begun: the common headers, then these."""
        self._head = (status, self._common + pairs)

    async def write(self, chunk: bytes) -> None:
        if self.response is None:
            self._commit()
        if not self.first_byte:
            self.first_byte = monotonic()
        self.size += len(chunk)
        self._moved += 1
        self._writing = True
        assert self.response is not None
        await self.response.write(chunk)
        self._writing = False

    async def end(self, last: bytes = NO_BODY) -> web.StreamResponse:
        """The proper end, after one last piece."""
        if self.response is None:
            if last or self.request.method != "HEAD":
                self._head[1].append(("Content-Length", str(len(last))))
            self._commit()
        response = self.response
        assert response is not None
        if last and not self.first_byte:
            self.first_byte = monotonic()
        self.size += len(last)
        self._moved += 1
        self._writing = True
        await response.write_eof(last)
        self._writing = False
        self.state = "ended"
        return response

    def break_off(self) -> web.StreamResponse:
        """Close without the proper end, so that everybody can see that the answer is not whole."""
        self.state = "ended"
        if (transport := self.request.transport) is not None:
            transport.abort() if self.request.version < (1, 1) else transport.close()
        return self.response or Head()

    def _commit(self) -> None:
        status, pairs = self._head
        response = self.response = Head(status=status)
        for name, value in pairs:
            response.headers.add(name, value)
        self.state, self.status = "committed", status
        now(response.prepare(self.request))

    # --- the sweep -----------------------------------------------------------------------------------------

    def tick(self, at: float) -> None:
        if self.state == "ended":
            return
        if self._moved != self._seen or not (self._writing or self.opening):
            self._seen, self._quiet_since = self._moved, at
        elif self._writing:
            if at - self._quiet_since >= self.patience.write:
                self.stalled = True
                if self.request.transport is not None:
                    self.request.transport.abort()
        elif self.response is None:
            if at - self._began >= self.patience.commit_after:
                self._open_early(at)
        elif at - self._quiet_since >= self.patience.keepalive and (self.watch is None or self.watch.between_frames):
            self._quiet_since = at
            if self.request.transport is not None and not self.request.transport.is_closing():
                now(self.request.writer.write(KEEPALIVE, drain=False))  # type: ignore[call-arg]

    def _open_early(self, at: float) -> None:
        if self.opening is None or self.request.transport is None or self.request.transport.is_closing():
            return
        self.head(200, list(self.opening.items()))
        self.early, self._quiet_since = True, at
        self._commit()
        self.request.writer.send_headers()


def now(step: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that never waits; the sweep has no task of its own to wait in."""
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("a step that should not wait did")
