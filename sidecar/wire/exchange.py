"""One request and its answer on one connection: asked once, never repeated, ended exactly once."""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from middleware.exchange import EMPTY, NO_HEADERS, Body, Call, Reply, Upload, as_reply, nothing
from middleware.watch import OPAQUE, Frames, Watch
from policies import answers
from policies.agent import FRONTEND, Agent, Caller
from policies.names import CONTENT_TYPE
from policies.outcome import Ending
from policies.refusal import Sent
from sidecar.sweep import Sweep
from sidecar.tunnel import Patience
from sidecar.wire.arriving import NEVER, Arriving
from sidecar.wire.connection import Connection
from sidecar.wire.faults import Fault, told
from sidecar.wire.pool import Pool
from sidecar.wire.reading import Reading
from sidecar.wire.upload import pieces

LARGE: Final = 65536  # bytes of a body that are not copied behind their head
ASKED: Final = Call(
    Agent("", ""), Caller(), "", "", "", NO_HEADERS, EMPTY, None, ""
)  # a question that is let go


class Limits(NamedTuple):
    """Seconds to connect, to the first byte, between bytes, in all; and bytes of a whole answer.

    Of WebSockets: seconds for a caller that takes nothing, and of silence before a ping (0: none).
    """

    connect: float = 10.0
    first_byte: float = 60.0
    gap: float = 90.0
    total: float = 120.0
    whole: int = 64 << 20
    stall: float = 30.0
    ping: float = 25.0


class Setting:
    """What all exchanges of one wire share. `terminals`: what proves a stream whole, by the agent's kind."""

    __slots__ = ("first_byte", "gap", "limits", "proxied", "sweep", "terminals", "total", "tunnels", "whole")

    def __init__(
        self, limits: Limits, sweep: Sweep, terminals: Mapping[str, tuple[bytes, ...]], *, proxied: bool
    ) -> None:
        self.limits, self.sweep, self.terminals, self.proxied = limits, sweep, terminals, proxied
        self.first_byte, self.gap, self.total, self.whole = limits[1:5]  # what every exchange looks at
        self.tunnels = Patience(limits.stall, limits.gap, limits.ping)


class Exchange:
    """`await ask()` on a connection: the reply as soon as there is one to hand on.

    That is the whole answer for a chat that was not answered as a stream, else its head. Ticked by the sweep.
    It lets go of the reply and of the stream when it is done with them, so that no cycle is left behind.
    """

    __slots__ = (
        "_arriving", "_call", "_clock", "_code", "_connection", "_gap", "_parts", "_pool", "_reading", "_setting",
        "_size", "_uploading", "_waiter", "agent", "at", "heard", "moved", "reused", "sent",
    )  # fmt: skip

    def __init__(self, setting: Setting, call: Call, pool: Pool) -> None:
        self._setting, self._call, self._pool = setting, call, pool
        self.agent, self._clock = call.agent, pool.clock
        self._reading = Reading(call.method)
        self._waiter: asyncio.Future[Reply] | None = None
        self._connection: Connection | None = None
        self._arriving: Arriving | None = None
        self._uploading: asyncio.Task[None] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._code = "agent_first_byte_timeout"
        self._gap = setting.gap
        self.at = NEVER  # when the sweep ends it, saying that code
        self.moved = False  # something came since the sweep looked
        self.sent: Sent = "none"
        self.heard = False  # whether a byte of an answer has come
        self.reused = False

    # --- asking --------------------------------------------------------------------------------------------

    def ask(self, connection: Connection, head: bytes, *, reused: bool) -> asyncio.Future[Reply]:
        """Write the request in one piece; an upload's body follows as the agent takes it."""
        transport, body = connection.transport, self._call.body
        if transport.is_closing():
            raise Fault("agent_broke_off")
        self._connection, self.reused = connection, reused
        connection.asking = self
        setting = self._setting
        self.at = self._clock() + setting.first_byte
        setting.sweep.items.add(self)
        if isinstance(body, Body):
            raw = body.raw
            self.sent = "full"
            if len(raw) < LARGE:
                transport.write(head + raw)
            else:
                transport.writelines((head, raw))
        else:
            self.sent = "partial"
            transport.write(head)
            self._uploading = asyncio.create_task(self._upload(connection, body))
        self._waiter = self._pool.future()
        return self._waiter

    async def _upload(self, connection: Connection, body: Upload) -> None:
        try:
            async for piece in pieces(body):
                connection.transport.write(piece)
                if connection.full:
                    self._expect(self._setting.first_byte)
                    await connection.room()
                self._expect(NEVER)  # now it is the caller who is waited for
            self.sent = "full"
            self._expect(self._setting.first_byte)
        except Exception as error:
            self.fail(error)

    def _expect(self, seconds: float) -> None:
        if not self.heard:
            self.at = self._clock() + seconds

    # --- what the connection calls -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        reading = self._reading
        try:
            if reading.status:
                chunk = reading.feed(data)
            else:
                self.heard = True
                chunk = reading.feed(data)
                if reading.status:
                    self._began()
            if chunk:
                if (arriving := self._arriving) is None:
                    self._collect(chunk)
                else:
                    arriving.take(chunk)
        except Exception as error:  # a Fault of the agent's; or the caller's side is gone
            self.fail(error)
        else:
            if reading.over:
                self._over()

    def ended(self) -> None:
        try:
            self._reading.eof()
        except Fault as fault:
            self.fail(fault)
        else:
            self._over()

    def lost(self) -> None:
        self.fail(Fault("agent_broke_off"))

    # --- the answer ----------------------------------------------------------------------------------------

    def _began(self) -> None:
        """The head is complete: either the whole answer is waited for now, or the reply is there."""
        call, head, setting = self._call, self._reading, self._setting
        judged = call.wants_stream is not None
        events = answers.is_sse(head.headers.get(CONTENT_TYPE, ""))
        if judged and not events:
            if head.length > setting.whole:
                raise Fault("agent_too_large")
            self._code, self.at = "agent_total_timeout", self._clock() + setting.total
            return
        if events and not judged and call.method == "GET":
            self._gap = NEVER  # who subscribes to events waits for them, however long
        self._code, self.at = "agent_gap_timeout", self._clock() + self._gap
        if judged:
            watch = Watch(setting.terminals.get(call.agent.kind, ()))
        elif not events:
            watch = OPAQUE
        else:
            watch = Frames() if call.agent.kind == FRONTEND else Watch()
        self._arriving = Arriving(self, watch)
        self._answer(as_reply((head.status, head.headers, self._arriving, self.close)))
        self._call, head.headers = ASKED, NO_HEADERS  # a stream may be open for long

    def _answer(self, reply: Reply) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)

    def _collect(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._setting.whole:
            raise Fault("agent_too_large")
        self._parts.append(chunk)

    def _over(self) -> None:
        """The answer is complete, and the connection another's."""
        connection, reading = self._release(), self._reading
        if connection is not None:
            if reading.reusable and self.sent == "full" and not connection.full:
                connection.flow(True)
                self._pool.give_back(connection)
            else:
                connection.transport.abort()
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            arriving.finish()
        else:
            parts = self._parts
            whole = parts[0] if len(parts) == 1 else b"".join(parts)
            self._answer(as_reply((reading.status, reading.headers, Body(whole), nothing)))

    # --- the end -------------------------------------------------------------------------------------------

    def _release(self) -> Connection | None:
        """Let go of the connection and of the clock; None where that has happened."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.asking = None
            self._setting.sweep.items.discard(self)
            if self._uploading is not None:
                self._uploading.cancel()
        return connection

    def abort(self) -> None:
        """Nobody waits for it any more: the agent is left at once."""
        if (connection := self._release()) is not None:
            connection.transport.abort()
        self._arriving = None

    async def close(self, ending: Ending) -> None:
        self.abort()

    def fail(self, error: Exception) -> None:
        if self._connection is None:
            return
        if isinstance(error, Fault):
            sent = "partial" if self._connection.full else self.sent
            stale = self.reused and not self.heard and error.code == "agent_broke_off"
            error = told(error, self.agent, sent, stale=stale, proxied=self._setting.proxied)
        arriving = self._arriving
        self.abort()
        if arriving is not None:
            arriving.finish(error)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def tick(self, now: float) -> None:
        if self.moved:
            self.moved, self.at = False, now + self._gap
        elif now >= self.at:
            self.fail(Fault(self._code))

    # --- what the stream's reader steers -------------------------------------------------------------------

    def flow(self, on: bool) -> None:
        """Waited for: read on, and be quick. Not waited for: the agent is not late, and comes no further."""
        if self._connection is not None:
            self._connection.flow(on)
            self.moved = False
            self.at = self._clock() + self._gap if on else NEVER
