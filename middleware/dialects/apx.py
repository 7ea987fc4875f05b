"""`apx`: agents made with apx, of both generations (`/responses`, and before it `/invocations`).

Request: `{"input", "stream", "custom_inputs"}`, each turn a role and one text; `messages` and parts are told so.
Answer: its own event stream (see `policies.apx_events`), or JSON without custom outputs and calls of tools.
Therefore a whole answer is asked for as a stream where the agent tells more in it, and collected.
An agent's tongue only: on its paths callers speak Responses, like everywhere.
"""

import time
from collections.abc import AsyncIterator
from typing import Final

from middleware.closing import closing
from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json, last_frame
from middleware.exchange import EMPTY, Body, Call, Handler, Middleware, Reply, Stream
from middleware.sse import DONE, frame
from middleware.streams import Translated
from policies import apx as policy
from policies import apx_events
from policies.answers import is_json
from policies.apx_items import identified
from policies.body import with_stream
from policies.decoding import is_plain
from policies.json_exact import dumps, loads
from policies.refusal import Refusal

NEWER, OLDER = policy.QUESTIONS
OTHER: Final = {NEWER: OLDER, OLDER: NEWER}
ABSENT: Final = frozenset({404, 405})
KEPT: Final = 1_000  # agents whose path is remembered; that of the oldest is found again


def apx(errors: str | None = None, *, mcp: Middleware) -> Dialect:
    """`mcp` is what relays to its MCP server, under `/mcp`, go through."""
    learned: dict[tuple[str, str], str] = {}

    async def outbound(call: Call, forward: Handler) -> Reply:
        if call.wants_stream is None or not isinstance(call.body, Body):
            return await forward(call)
        _may(call, call.body)
        value = call.body.value
        told = policy.question(value)
        if told is not value:
            exact = policy.question(loads(call.body.raw))
            call = call._replace(body=Body(dumps(exact), value=exact))
        reply = await asked(call, forward)
        if reply.status != 200:
            return reply
        if isinstance(reply.body, Body):
            return reply._replace(body=_whole(reply, reply.body, call.request_id))
        answer = apx_events.Answer(call.request_id, int(time.time()))
        return reply._replace(body=Translated(_frames(reply.body, answer)))

    async def asked(call: Call, forward: Handler) -> Reply:
        """At the path where this agent takes questions: the one that is known, else the newer, else the other."""
        agent = call.agent.name, call.agent.url
        once = call.agent.replay == "never"
        if agent not in learned and once:
            remember(agent, await found(call, forward))
        path = learned.get(agent, NEWER)
        reply = await forward(_at(call, path))
        if once or reply.status not in ABSENT:
            return reply
        other = await forward(_at(call, OTHER[path]))
        if other.status in ABSENT:
            await other.close("agent_refused")
            return reply
        await reply.close("agent_refused")
        remember(agent, OTHER[path])
        return other

    async def found(call: Call, forward: Handler) -> str:
        """Asked for without a question, for an agent that must not be asked twice."""
        reply = await forward(call._replace(method="GET", target=NEWER, body=EMPTY, wants_stream=None))
        await reply.close("ok")
        return OLDER if reply.status == 404 else NEWER

    def remember(agent: tuple[str, str], path: str) -> None:
        learned[agent] = path
        if len(learned) > KEPT:
            del learned[next(iter(learned))]

    async def relay(call: Call, forward: Handler) -> Reply:
        concerns = policy.concerns(call.target)
        if concerns == "mcp":
            return await mcp(call, forward)
        if concerns == "question":
            if isinstance(call.body, Body):
                _may(call, call.body)
            elif call.method == "POST" and not {"instructions", "identity"} <= set(call.agent.allow):
                raise _closed(call, "questions are asked at /responses and /invocations, spelled so")
        elif concerns is not None and concerns not in call.agent.allow:
            raise _closed(call, *CLOSED[concerns])
        return await forward(call)

    async def inbound(call: Call, forward: Handler) -> Reply:
        raise Refusal(500, "not_configured", detail="No caller speaks `apx`; it is an agent's tongue.")

    return Dialect(inbound, outbound, OPENING, as_json(errors), last_frame(errors), (), relay)


CLOSED: Final = {
    "dev": ("its development pages run tools and fetch any URL", "dev"),
    "tools": ("its tools are called by the agent", "tools"),
}


REFUSED: Final = {
    "instructions": ("instructions_closed", "would replace the system prompt of agent"),
    "identity": (
        "identity_in_body",
        "would be believed before the headers that tell who the user is, by agent",
    ),
}


def _may(call: Call, body: Body) -> None:
    """Refusal 403 where the body would do what is not for every caller."""
    if not body.raw or (found := policy.privileged(body.value, call.agent.allow)) is None:
        return
    name, word = found
    code, does = REFUSED[word]
    detail = f"`custom_inputs.{name}` {does} {call.agent.name!r}."
    raise Refusal(403, code, detail=detail, hint=_opens(call, word), sent="none")


def _closed(call: Call, why: str, word: str = "") -> Refusal:
    detail = f"This path of agent {call.agent.name!r} is closed: {why}."
    return Refusal(403, "relay_closed", detail=detail, hint=_opens(call, word) if word else None, sent="none")


def _opens(call: Call, word: str) -> str:
    return f"SIDECAR_AGENTS__{call.agent.name.upper().replace('-', '_')}__ALLOW={word} opens it."


def _at(call: Call, path: str) -> Call:
    """The call at this path, its answer wished in the form that tells most there."""
    if not isinstance(call.body, Body):
        return call
    raw, value = call.body.raw, call.body.value
    streamed = bool(call.wants_stream) or (path == NEWER and call.agent.streaming != "off")
    _, mark, query = call.target.partition("?")
    body = Body(with_stream(raw, value, streamed), value=value | {"stream": streamed})
    return call._replace(target=path + mark + query, body=body)


def _whole(reply: Reply, body: Body, ident: str) -> Body:
    coding = reply.headers.get("Content-Encoding", "")
    if not is_json(reply.headers.get("Content-Type", "")) or not is_plain(coding):
        return body
    try:
        value = loads(body.raw)
        told = identified(value, ident)
        return body if told is value else Body(dumps(told), value=told)
    except ValueError:
        return body  # it is said further out that it cannot be read


async def _frames(inner: Stream, answer: apx_events.Answer) -> AsyncIterator[bytes]:
    async with closing(inner.events()) as events:
        async for event in events:
            if event.data == "[DONE]":
                break
            try:
                value = event.value()
            except ValueError:
                continue  # a heartbeat in words
            if told := answer.hear(value, event.event):
                yield _framed(*told)
    yield _framed(*answer.end()) + DONE


def _framed(*events: dict[str, object]) -> bytes:
    try:
        return b"".join(map(frame, events))
    except ValueError:
        detail = "The agent's event is nested too deeply."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None
