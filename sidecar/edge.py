"""From a request at a door to a call, through the chain, and back to the caller, whatever happens on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

from middleware.dialects.dialect import Dialect
from middleware.exchange import Call, Handler, Pairs, Reply
from policies.agent import Agent, Caller
from policies.paths import Route
from policies.refusal import Refusal
from sidecar.answer import Answer, Patience
from sidecar.doors import Request
from sidecar.sweep import Sweep
from sidecar.telemetry import Record, Telemetry, owner
from sidecar.telling import Telling, told

NONE: dict[str, int] = {}
Retold = Callable[[Request, Call, Reply], Awaitable[Reply]]


class Asks(Protocol):
    """Makes calls of requests."""

    async def call(self, request: Request, route: Route, caller: Caller, request_id: str) -> Call: ...


class Edge:
    """Every exchange with an agent, of all doors; a door's own rules have been applied before.

    `chat`, `relay`  the two chains
    `inspected`      whether callers may look at their own calls through the front
    `in_hand`        whether a call to this agent has its credential at hand (or needs none)
    """

    def __init__(
        self,
        *,
        chat: Handler,
        relay: Handler,
        asking: Asks,
        dialects: Mapping[str, Dialect],
        telemetry: Telemetry,
        sweep: Sweep,
        patience: Patience,
        in_hand: Callable[[Agent], bool],
        inspected: bool = False,
    ) -> None:
        self.chat, self.relay, self.asking, self.dialects = chat, relay, asking, dialects
        self.telling = Telling(dialects, telemetry, self.told)
        self.telemetry, self.sweep, self.patience, self.in_hand = telemetry, sweep, patience, in_hand
        self.inspected = inspected
        self.time = (
            asyncio.get_running_loop().time
        )  # asking for the loop is a system call, so it is asked for once
        self.open: dict[str, Answer] = {}  # by request id: what is being answered now
        self.retold: Retold | None = None  # for answers of the gateway's that name our address
        self.idle = asyncio.Event()
        self.idle.set()

    async def exchange(
        self,
        request: Request,
        route: Route,
        caller: Caller,
        request_id: str,
        removed: dict[str, int] = NONE,
        common: Pairs = [],  # noqa: B006 - never changed
    ) -> Answer:
        """One request to an agent. Refusals before there is a call are the door's to tell.

        `request_id` is unique; `removed` counts the identity headers that were taken out; `common` goes onto
        every answer.
        """
        ours = [("x-request-id", request_id), ("Server", "sidecar"), *common]
        answer = self.begun(request, ours)
        record = self._opened(answer, route, caller, request_id, removed)
        call = None
        try:
            try:
                call = await self.asking.call(request, route, caller, request_id)
                agent, _, dialect, _, _, headers, _, wants_stream, _ = call
                if agent.name:
                    record.agent_request_id = headers["x-request-id"]
                    record.trace_id = headers["traceparent"][3:35]
                if wants_stream is None:
                    reply = await self.relay(call)
                    if self.retold is not None:
                        reply = await self.retold(request, call, reply)
                else:
                    if wants_stream:
                        answer.expect(self.dialects[dialect].opening, partial(self.in_hand, agent))
                    reply = await self.chat(call)
                return await self.telling.tell(answer, call, reply, record)
            except Refusal:  # there was no call yet: the door tells it, and ends the record
                raise
            except asyncio.CancelledError as left:
                if left.args != ("draining",) or answer.task is None:
                    raise
                answer.task.uncancel()
                unplanned = Refusal(503, "draining", retry_after=5)
            except Exception as error:  # a fault of ours, outside of the chain
                self.telemetry.broke(error, call)
                unplanned = Refusal(500, "internal_error")
            return await self._unplanned(answer, call, unplanned)
        finally:
            if call is not None:  # the chain has ended the record, unless it was never entered
                self.telemetry.finish(record, "caller_left")
            self.sweep.items.discard(answer)
            del self.open[request_id]
            if not self.open:
                self.idle.set()

    def begun(self, request: Request, ours: Pairs) -> Answer:
        """What the request will be answered with; `ours` goes onto it."""
        return Answer(request, self.patience, ours, self.time())

    def told(self, call: Call, reply: Reply) -> Pairs:
        """The headers with which a reply is told."""
        return told(call, reply)

    def _opened(
        self, answer: Answer, route: Route, caller: Caller, request_id: str, removed: dict[str, int]
    ) -> Record:
        request = answer.request
        if not self.open:
            self.idle.clear()
        self.open[request_id] = answer
        self.sweep.items.add(answer)
        record = self.telemetry.begin(request_id, caller.door, route.template, request.method)
        record.bytes_in = request.content_length
        if self.inspected:
            record.owner = owner(caller.email or "", request.remote or "")
        if removed:
            self.telemetry.identity(record, removed, believed=caller.believed)
        if removed or caller.believed:
            record.came = tuple(
                request.headers.keys()
            )  # names only; which of them tell who it is, is told later
        return record

    async def _unplanned(self, answer: Answer, call: Call | None, refusal: Refusal) -> Answer:
        if call is None:
            raise refusal
        if answer.state == "ended":  # all has been said
            return answer
        return await self.telling.last_word(answer, call, refusal)

    def unique(self, request_id: str) -> str:
        """An id that nobody has whose answer is still open: two callers may choose the same."""
        while request_id in self.open:
            request_id += ".2"
        return request_id

    def drain(self) -> None:
        """Ask every open answer for its last word."""
        for answer in list(self.open.values()):
            answer.drain()
