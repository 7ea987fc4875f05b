"""A request at a door, made into a call: its body read once, its headers picked, its agent found."""

from collections.abc import AsyncIterator
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import EMPTY, Body, Call, Headers, as_call
from policies import body, identity, jsonrpc, trace
from policies import headers as header_policy
from policies.agent import Agent, Caller
from policies.answers import is_json
from policies.names import ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, REQUEST_ID, TRACEPARENT, TRACESTATE
from policies.paths import JSONRPC, Route
from policies.refusal import Refusal
from sidecar import noise
from sidecar.arriving import arriving
from sidecar.doors import Request
from sidecar.registry import Registry
from sidecar.sweep import Sweep

NOBODY = Agent("", "")
SMALL: Final = 4096  # bytes of a JSON-RPC call that asks for a card


def small(request: Request) -> bool:
    """Whether a relay's body is so small that it may be read, and JSON."""
    known = request.content_length
    return bool(known and known <= SMALL and is_json(request.headers.get(CONTENT_TYPE, "")))


class Uploading:
    """A relay's request body, read from the caller as the agent takes it."""

    __slots__ = ("_asking", "_request", "length")

    def __init__(self, request: Request, asking: "Asking") -> None:
        self._request, self._asking, self.length = request, asking, request.content_length

    def chunks(self) -> AsyncIterator[bytes]:
        return self._asking.arriving(self._request)


class Asking:
    """Makes calls of requests. Whatever is wrong with one is a Refusal before any agent hears of it."""

    def __init__(self, agents: Registry, sweep: Sweep, *, max_body: int, body_timeout: float) -> None:
        self.agents, self.sweep = agents, sweep
        self.several = len(agents) > 1 or agents.shelf is not None
        self.max_body, self.body_timeout = max_body, body_timeout

    async def call(self, request: Request, route: Route, caller: Caller, request_id: str) -> Call:
        _, dialect, name, target = route
        raw = self.at_once(request) if dialect else None
        if dialect and raw is None:
            raw = await self.raw(request)
        wants: bool | None = None
        payload: Any = EMPTY
        if dialect == "chat":
            value = body.read(raw or b"")
            if (
                name is None
                and isinstance(value, dict)
                and isinstance(value.get("agent"), str)
                and self.several
            ):
                name = value["agent"]
                raw = body.without(raw or b"", "agent")
                value = {key: part for key, part in value.items() if key != "agent"}
            wants = body.wants_stream(value, request.headers.get(ACCEPT), default=None)
            payload = Body(raw, value=value)
        elif dialect == JSONRPC:  # whatever is wrong with it, is told in its own words
            raw, agent = raw or b"", await self.agent(name, caller)
            wants, payload = jsonrpc.wants_stream(raw, target, agent.kind), Body(raw)
        elif dialect and raw:
            value = body.read(raw)
            if isinstance(value, dict) and ("input" in value or "messages" in value):
                agent = await self.agent(name, caller)
                wants = body.wants_stream(value, None, default=agent.stream_default == "sse")
            payload = Body(raw, value=value)
        elif request.body_exists:
            payload = Uploading(request, self)
        known = self.agents.get(name or "default")
        agent = known if known is not None and known.settled else await self.agent(name, caller)
        if wants is None and agent.kind == JSONRPC and type(payload) is Uploading and small(request):
            payload = Body(await self.raw(request))  # it may ask for a card, which has to lead through us
        headers = self.headers(request, agent, wants, request_id)
        spoken = dialect or "responses"
        return as_call((agent, caller, spoken, request.method, target, headers, payload, wants, request_id))

    async def agent(self, name: str | None, caller: Caller) -> Agent:
        """The agent that is meant, settled; where nobody knows one, what `access` refuses."""
        if name is None and not len(self.agents) and self.agents.shelf is None:
            raise Refusal(500, "not_configured")
        return await self.agents.find(name or "default", caller) or NOBODY._replace(name=name or "default")

    def headers(self, request: Request, agent: Agent, wants: bool | None, request_id: str) -> Headers:
        """What leaves for the agent, credentials aside."""
        given = request.headers
        pairs = (
            header_policy.relayed(given)
            if wants is None
            else header_policy.outbound(given, agent.headers, request.spelled)
        )
        parent = given.getall(TRACEPARENT, None)
        state = ",".join(given.getall(TRACESTATE, ())) if parent and TRACESTATE in given else None
        traceparent, tracestate = trace.continued_or_new(
            ",".join(parent) if parent else None, state, noise.trace()
        )
        pairs.append((TRACEPARENT, traceparent))
        if tracestate:
            pairs.append((TRACESTATE, tracestate))
        if REQUEST_ID in given:
            request_id = identity.agent_request_id(request_id, "") or noise.uuid()
        pairs.append((REQUEST_ID, request_id))  # where none came, it is a UUID of ours
        return CIMultiDictProxy(CIMultiDict(pairs))

    def at_once(self, request: Request) -> bytes | None:
        """The whole body of a chat where it has come with its head, as nearly every one does; else None."""
        if not request.body_exists:
            return b""
        if request.headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
            raise Refusal(415, "unsupported_media_type", detail="A chat's body must not be compressed.")
        if (request.content_length or 0) > self.max_body:
            raise self.too_large()
        whole = request.content.at_hand()
        if whole is not None and len(whole) > self.max_body:
            raise self.too_large()
        return whole

    async def raw(self, request: Request) -> bytes:
        """The whole body of a chat, within the bound, as long as it keeps arriving."""
        if (whole := self.at_once(request)) is not None:
            return whole
        raw = bytearray()
        async for chunk in self.arriving(request):
            raw += chunk
            if len(raw) > self.max_body:
                raise self.too_large()
        return bytes(raw)

    def arriving(self, request: Request) -> AsyncIterator[bytes]:
        return arriving(request, self.sweep, self.body_timeout)

    def too_large(self) -> Refusal:
        return Refusal(
            413,
            "body_too_large",
            detail=f"The body is larger than {self.max_body} bytes.",
            hint="SIDECAR_MAX_BODY moves the limit.",
        )
