"""A connection that speaks a WebSocket now: what comes from either side goes to the other, byte for byte.

No task and no copy for each chunk: each side's protocol writes to the other's transport, and a side that does
not take what is written holds the other one back. Frames are followed only to know where one of ours may
stand: a ping after a long silence, and a close at the end of the process.
"""

import asyncio
import os
from typing import Final, NamedTuple, Protocol

from middleware.exchange import Near
from policies.frames import Frames, close, ping
from policies.outcome import Ending
from sidecar.sweep import Sweep

RESTART: Final = 1012  # the code of a close: the service restarts
LAST_WORDS: Final = 0.3  # seconds in which both sides may answer a close


class Patience(NamedTuple):
    """Seconds: for a caller and for an agent that take nothing, and of silence before a ping (0: never)."""

    caller: float = 30.0
    agent: float = 90.0
    ping: float = 25.0


class Owner(Protocol):
    """Whose the transport was, and who has to know when it is gone."""

    def connection_lost(self, error: Exception | None, /) -> None: ...


class End(asyncio.Protocol):
    """One side. `server`: it is the one that was asked, to which frames go masked."""

    __slots__ = (
        "_owner", "_since", "_tunnel", "_waiting", "ended", "frames", "lost", "other", "passed", "server", "told",
        "transport",
    )  # fmt: skip
    other: "End"

    def __init__(
        self, tunnel: "Passage", transport: asyncio.Transport, owner: Owner, *, server: bool
    ) -> None:
        self._tunnel, self.transport, self._owner, self.server = tunnel, transport, owner, server
        self.frames = Frames()  # of what comes from here
        self.passed = 0  # bytes
        self.ended = False  # no more comes from here
        self.told = False  # the other side has been told that no more comes
        self.lost = False
        self._waiting, self._since = 0, 0.0

    # --- what the loop calls -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        tunnel = self._tunnel
        if tunnel.leaving:
            self._last(data)
            return
        tunnel.moved = True
        self.frames.seen(data)
        self.passed += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """The other side's end too, as far as its transport can say so."""
        self.ended = True
        self._tunnel.because(self)
        there = self.other.transport
        if self.other.ended or not there.can_write_eof():
            there.close()
            return False
        if not there.is_closing():
            there.write_eof()
        return self.transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._owner.connection_lost(error)
        self._tunnel.because(self)
        other = self.other
        if other.lost:
            self._tunnel.over()
            del self.other, other.other, self._tunnel, other._tunnel  # they would wait for the collector
        else:
            other.transport.close()  # when what came from here has left there

    def pause_writing(self) -> None:
        if not (there := self.other.transport).is_closing():
            there.pause_reading()

    def resume_writing(self) -> None:
        if not (there := self.other.transport).is_closing():
            there.resume_reading()

    # --- the end -------------------------------------------------------------------------------------------

    def say(self, frame: bytes) -> None:
        """A frame of ours to this side, where one may stand."""
        if not self.other.ended and not self.transport.is_closing():
            self.transport.write(frame)

    def mask(self) -> bytes:
        return os.urandom(4) if self.server else b""

    def leave(self) -> None:
        """Tell the other side that no more comes from here, unless it is in the middle of a frame."""
        if self.frames.between:
            self.told = True
            if not self.frames.closed:
                self.other.say(close(RESTART, self.other.mask()))

    def _last(self, data: bytes) -> None:
        """What comes while we leave: the rest of a frame goes on, and then nothing does."""
        frames = self.frames
        closed, belongs = frames.closed, frames.seen(data)
        if not self.told:
            self.passed += belongs
            self.other.say(data[:belongs])
            if belongs < len(data) or frames.between:
                self.told = True
                if not closed:
                    self.other.say(close(RESTART, self.other.mask()))
        if frames.closed and self.other.told:
            self.transport.close()

    def stalled(self, now: float, patience: float) -> bool:
        """Whether nothing of what was written has been taken for so long."""
        waiting = 0 if self.lost else self.transport.get_write_buffer_size()
        if not waiting or waiting != self._waiting:
            self._waiting, self._since = waiting, now
            return False
        return now - self._since >= patience


class Passage:
    """Both sides of one tunnel. Ticked by the sweep."""

    def __init__(
        self, patience: Patience, sweep: Sweep, near: Near, far: asyncio.Transport, owner: Owner
    ) -> None:
        """ConnectionError where the caller is gone: the agent's side is cut then."""
        try:
            transport, self._early = near.hand_over()
        except ConnectionError:
            far.abort()
            raise
        self.patience, self._sweep = patience, sweep
        self.near = End(self, transport, near, server=False)
        self.far = End(self, far, owner, server=True)
        self.near.other, self.far.other = self.far, self.near
        self.moved = False  # bytes have come since the sweep looked
        self.leaving = False
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._quiet_since = self._loop.time()
        self._until = float("inf")
        self._why = ""

    async def run(self, head: bytes, held: list[bytes]) -> Ending:
        """The caller is told this head and what the agent has said already; then bytes pass until both are closed."""
        near, far = self.near, self.far
        for end in (near, far):
            end.transport.set_protocol(end)
        self._sweep.items.add(self)
        try:
            near.transport.write(head)
            for chunk in held:
                far.data_received(chunk)
            if self._early:
                near.data_received(self._early)
            near.transport.resume_reading()
            far.transport.resume_reading()
            await self._over
        except BaseException:
            self._cut()
            raise
        finally:
            self._sweep.items.discard(self)
        return self.ending

    @property
    def ending(self) -> Ending:
        """How it ended: well, where either side said that it closes."""
        well = self.near.frames.closed or self.far.frames.closed
        return "ok" if well and self._why in ("caller_left", "agent_broke_off") else self._why

    def because(self, end: End) -> None:
        """This side has ended; the one that ends first is the reason."""
        self._why = self._why or ("caller_left" if end is self.near else "agent_broke_off")

    def over(self) -> None:
        self._sweep.items.discard(self)  # whose ends let go of each other now
        if not self._over.done():
            self._over.set_result(None)

    def drain(self) -> None:
        """Close frames to both sides, each behind the frame that is on its way there; closed soon after."""
        if not (self.leaving or self._over.done()):
            self.leaving = True
            self._why = self._why or "draining"
            self._until = self._loop.time() + LAST_WORDS
            self.near.leave()
            self.far.leave()

    def tick(self, now: float) -> None:
        near, far = self.near, self.far
        if self.moved:
            self.moved, self._quiet_since = False, now
        if now >= self._until:
            self._until = float("inf")
            near.transport.close()
            far.transport.close()
        elif near.stalled(now, self.patience.caller):
            self._cut("caller_stalled")
        elif far.stalled(now, self.patience.agent):
            self._cut("agent_gap_timeout")
        elif near.ended or far.ended:
            if (
                now - self._quiet_since >= self.patience.caller
            ):  # one half is closed, and nothing comes of the other
                self._cut()
        elif self.patience.ping and now - self._quiet_since >= self.patience.ping and not self.leaving:
            self._quiet_since = now
            for end in (near, far):
                if end.frames.between and not end.frames.closed:
                    end.other.say(ping(end.other.mask()))

    def _cut(self, why: str = "") -> None:
        self._why = why or self._why
        self.near.transport.abort()
        self.far.transport.abort()
