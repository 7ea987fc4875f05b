"""From a request at a door to a call, through the chain, and back to the caller, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from middleware.dialects.dialect import Dialect
from middleware.dialects.told import Refused
from middleware.exchange import EMPTY, Body, Call, Handler, Headers, Pairs, Reply, Stream, headers
from middleware.kit import Agents
from policies import answers, body, identity, outcome, trace
from policies import headers as header_policy
from policies.agent import Agent, Caller
from policies.header_table import IDENTITY
from policies.outcome import Ending
from policies.paths import Route
from policies.refusal import Refusal
from sidecar.answer import Answer, Patience
from sidecar.noise import noise, uuid
from sidecar.sweep import Deadline, Sweep
from sidecar.telemetry import Record, Telemetry, owner

NOBODY = Agent("", "")
NONE: dict[str, int] = {}


class Uploading:
    """A relay's request body, read from the caller as the agent takes it."""

    __slots__ = ("_content", "length")

    def __init__(self, request: web.BaseRequest) -> None:
        self._content, self.length = request.content, request.content_length

    async def chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self._content.readany():
            yield chunk


class Edge:
    """Makes calls of requests and answers of replies. One for all doors; a door's rules come with each request."""

    def __init__(
        self,
        *,
        chat: Handler,
        relay: Handler,
        agents: Agents,
        dialects: Mapping[str, Dialect],
        telemetry: Telemetry,
        sweep: Sweep,
        patience: Patience,
        max_body: int,
        body_timeout: float,
    ) -> None:
        self.chat, self.relay, self.agents, self.dialects = chat, relay, agents, dialects
        self.telemetry, self.sweep, self.patience = telemetry, sweep, patience
        self.max_body, self.body_timeout = max_body, body_timeout
        self.open: dict[str, Answer] = {}  # by request id: what is being answered now
        self.idle = asyncio.Event()
        self.idle.set()

    # --- in ------------------------------------------------------------------------------------------------

    async def exchange(
        self,
        request: web.BaseRequest,
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
        answer = Answer(
            request, self.patience, [("x-request-id", request_id), ("Server", "sidecar"), *common]
        )
        self.open[request_id] = answer
        self.idle.clear()
        self.sweep.items.add(answer)
        record = self.telemetry.begin(request_id, caller.door, route.template, request.method)
        record.bytes_in = request.content_length
        record.owner = owner(caller.email or "", request.remote or "")
        if removed or caller.believed:
            came = {*removed, *(name for name in IDENTITY if name in request.headers)}
            self.telemetry.identity(record, removed, believed=caller.believed, came=came)
        call = None
        try:
            call = await self.call(request, route, caller, request_id)
            answer.opening = self.dialects[call.dialect].opening if call.wants_stream else None
            record.agent_request_id, record.trace_id = (
                call.headers["x-request-id"],
                call.headers["traceparent"][3:35],
            )
            reply = await (self.relay if call.wants_stream is None else self.chat)(call)
            return await self.tell(answer, call, reply, record)
        except asyncio.CancelledError as left:
            if left.args != ("draining",) or answer.task is None:
                raise
            answer.task.uncancel()
            refusal = Refusal(503, "draining", retry_after=5)
            if call is None:
                raise refusal from None
            return await self.last_word(answer, call, refusal)
        except Refusal:  # there was no call yet: the door tells it, and ends the record
            raise
        except BaseException:
            self.telemetry.finish(record, "caller_left")
            raise
        finally:
            self.sweep.items.discard(answer)
            del self.open[request_id]
            if not self.open:
                self.idle.set()

    def unique(self, request_id: str) -> str:
        """An id that nobody has whose answer is still open: two callers may choose the same."""
        while request_id in self.open:
            request_id += ".2"
        return request_id

    async def call(self, request: web.BaseRequest, route: Route, caller: Caller, request_id: str) -> Call:
        raw = await self.raw(request) if route.dialect else None
        wants: bool | None = None
        payload: Any = EMPTY
        name = route.agent
        if route.dialect == "chat":
            value = body.read(raw or b"")
            if (
                name is None
                and len(self.agents) > 1
                and isinstance(value, dict)
                and isinstance(value.get("agent"), str)
            ):
                name = value["agent"]
                raw = body.without(raw or b"", "agent")
                value = {key: part for key, part in value.items() if key != "agent"}
            wants = body.wants_stream(value, request.headers.get("Accept"), default=None)
            payload = Body(raw, value=value)
        elif route.dialect and raw:
            value = body.read(raw)
            if isinstance(value, dict) and ("input" in value or "messages" in value):
                agent = self.agent(name)
                wants = body.wants_stream(value, None, default=agent.stream_default == "sse")
            payload = Body(raw, value=value)
        elif request.body_exists:
            payload = Uploading(request)
        agent = self.agent(name)
        return Call(
            agent,
            caller,
            route.dialect or "responses",
            request.method,
            route.target,
            self.headers(request, agent, wants, request_id),
            payload,
            wants,
            request_id,
        )

    def agent(self, name: str | None) -> Agent:
        if name is None:
            if not len(self.agents):
                raise Refusal(500, "not_configured")
            name = "default"
        return self.agents.get(name) or NOBODY._replace(name=name)

    def headers(self, request: web.BaseRequest, agent: Agent, wants: bool | None, request_id: str) -> Headers:
        """What leaves for the agent, credentials aside."""
        given = request.headers
        pairs = (
            header_policy.relayed(given) if wants is None else header_policy.outbound(given, agent.headers)
        )
        parent = given.getall("traceparent", ())
        traced = trace.continued_or_new(
            ",".join(parent), ",".join(given.getall("tracestate", ())) if parent else None, noise(48)
        )
        pairs.append(("traceparent", traced.traceparent))
        if traced.tracestate:
            pairs.append(("tracestate", traced.tracestate))
        pairs.append(("x-request-id", identity.agent_request_id(request_id, "") or uuid()))
        return headers(*pairs)

    async def raw(self, request: web.BaseRequest) -> bytes:
        """The whole body of a chat, within the bound, as long as it keeps arriving."""
        if not request.body_exists:
            return b""
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refusal(415, "unsupported_media_type", detail="A chat's body must not be compressed.")
        if (request.content_length or 0) > self.max_body:
            raise self.too_large()
        if request.content.is_eof():  # it came with its head, as nearly every chat does
            return request.content.read_nowait()
        return await self.arriving(request)

    async def arriving(self, request: web.BaseRequest) -> bytes:
        deadline = Deadline(asyncio.current_task(), "body_timeout")
        self.sweep.items.add(deadline)
        raw = bytearray()
        try:
            while True:
                deadline.at = asyncio.get_running_loop().time() + self.body_timeout
                if not (chunk := await request.content.readany()):
                    return bytes(raw)
                raw += chunk
                if len(raw) > self.max_body:
                    raise self.too_large()
        except asyncio.CancelledError:
            if not deadline.caught():
                raise
            raise Refusal(408, "body_timeout", hint="SIDECAR_BODY_TIMEOUT moves the limit.") from None
        except web.RequestPayloadError:
            raise Refusal(400, "bad_request") from None
        finally:
            self.sweep.items.discard(deadline)

    def too_large(self) -> Refusal:
        return Refusal(
            413,
            "body_too_large",
            detail=f"The body is larger than {self.max_body} bytes.",
            hint="SIDECAR_MAX_BODY moves the limit.",
        )

    # --- out -----------------------------------------------------------------------------------------------

    async def tell(self, answer: Answer, call: Call, reply: Reply, record: Record) -> Answer:
        ending = "internal_error"
        try:
            body = reply.body
            if isinstance(body, Body):
                if answer.early:
                    return await self.last_word(answer, call, said(reply, body))
                answer.head(
                    reply.status,
                    header_policy.answer(
                        reply.headers, call.agent.url, call.target if call.wants_stream is None else ""
                    ),
                )
                await answer.end(body.raw)
                ending = "ok"
            else:
                record.streaming = answers.is_sse(reply.headers.get("Content-Type", ""))
                ending = await self.pumped(answer, call, reply, body)
            return answer
        except asyncio.CancelledError as left:
            ending = (
                "caller_stalled" if answer.stalled else (left.args[0] if left.args else gone(answer, reply))
            )
            raise
        except Refusal as refusal:  # what the agent said cannot be told on
            ending = refusal.code
            return await self.last_word(answer, call, refusal)
        except ConnectionError:  # the caller's side: its connection is gone
            ending = "caller_stalled" if answer.stalled else "caller_left"
            return answer.break_off()
        finally:
            record.first_byte, record.bytes, record.status = answer.first_byte, answer.size, answer.status
            await reply.close(ending)

    async def pumped(self, answer: Answer, call: Call, reply: Reply, stream: Stream) -> str:
        """Everything the stream brings, and how it ended."""
        answer.head(
            reply.status,
            header_policy.answer(
                reply.headers, call.agent.url, call.target if call.wants_stream is None else ""
            ),
        )
        answer.watch = stream.watch
        try:
            await stream.pump(answer)
        except Refusal as refusal:
            await self.last_word(answer, call, refusal)
            return refusal.code
        if stream.watch.verdict == "truncated" and answers.is_sse(reply.headers.get("Content-Type", "")):
            await self.last_word(answer, call, Refusal(502, "truncated"))
            return "truncated"
        await answer.end()
        return stream.watch.verdict

    async def last_word(self, answer: Answer, call: Call | None, refusal: Refusal) -> Answer:
        """Whatever can still be said: a whole refusal, a typed last frame, or a visible break."""
        if call is not None:
            self.telemetry.refused(call, refusal)
        dialect = self.dialects[call.dialect if call else "responses"]
        if answer.state == "uncommitted" and call is not None:
            reply = dialect.refuse(refusal, call)
            answer.head(reply.status, list(reply.headers.items()))
            return await answer.end(reply.body.raw if isinstance(reply.body, Body) else b"")
        frame = (
            dialect.last_word(refusal, call.request_id)
            if call and call.wants_stream and dialect.terminal
            else None
        )
        if frame is None or not (answer.watch is None or answer.watch.between_frames):
            return answer.break_off()
        return await answer.end(frame)

    def drain(self) -> None:
        """Ask every open answer for its last word."""
        for answer in list(self.open.values()):
            if answer.task is not None and answer.state != "ended":
                answer.task.cancel("draining")


def gone(answer: Answer, reply: Reply) -> Ending:
    """How an answer ended whose caller has left: as it said itself, where the caller had got as far as that."""
    watch = None if isinstance(reply.body, Body) else reply.body.watch
    said = watch.verdict if watch and watch.terminal and not answer.waiting else "truncated"
    return "caller_left" if said == "truncated" else said


def said(reply: Reply, body: Body) -> Refusal:
    """A whole reply, put as a refusal: what a stream that has begun can still say of it."""
    if isinstance(body, Refused):
        return body.refusal
    text = body.raw[:500].decode("utf-8", "replace")
    return Refusal(
        reply.status, outcome.of_answer(reply.status), detail=f"The agent answered {reply.status}: {text}"
    )
