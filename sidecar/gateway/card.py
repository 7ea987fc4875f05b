"""An agent's card, asked for like any relay and told so that every endpoint in it leads through us."""

from typing import Any, Final

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from middleware.dialects.told import Refused
from middleware.exchange import EMPTY, Body, Call, Reply
from policies import a2a_card, answers, cards, hints
from policies.agent import Agent, Caller
from policies.paths import Route
from policies.refusal import Refusal
from sidecar.admin import as_json
from sidecar.doors import Request
from sidecar.edge import Edge
from sidecar.gateway.here import Here
from sidecar.noise import uuid
from sidecar.whole import Page, Whole

LONGEST: Final = 1 << 20  # bytes of a card
OWN_CARDS: Final = frozenset({"a2a", "apx", "mcp"})  # kinds of which we have none to tell
# What would have the agent answer with something else than the card: it changes on the way, and has no tag of ours.
CONDITIONS: Final = (
    "if-none-match",
    "if-modified-since",
    "if-match",
    "if-unmodified-since",
    "range",
    "if-range",
)


class Cards:
    """`origins`: further ones that a card may lead to (SIDECAR_UC_ORIGINS)."""

    def __init__(self, edge: Edge, here: Here, origins: frozenset[str]) -> None:
        self._edge, self._here, self._origins = edge, here, origins

    def page(self, prefix: str, name: str, asked: str) -> Page:
        """What answers where an agent's card is asked for: behind this prefix, at this path of the agent's."""

        async def page(request: Request, caller: Caller) -> Whole:
            route = Route("other", None, name, asked)
            call = await self._edge.asking.call(request, route, caller, uuid())
            call = call._replace(method="GET", body=EMPTY, headers=_plain(call))
            if asked not in cards.WELL_KNOWN and call.agent.kind != "a2a":
                return await self._passed(call)
            try:
                path, card = await self._fetched(call, _paths(call.agent, asked))
            except Refusal as refusal:
                if refusal.code != "no_such_route" or call.agent.kind in OWN_CARDS:
                    raise
                door = self._way(request, caller, call.agent, prefix, "").door
                return as_json(a2a_card.card(call.agent.name, door))
            return as_json(cards.rewritten(card, self._way(request, caller, call.agent, prefix, path)))

        return page

    async def _passed(self, call: Call) -> Whole:
        """As it came: the path means something else to an agent that turned out to speak another tongue."""
        reply = await self._edge.relay(call)
        try:
            raw = reply.body.raw if isinstance(reply.body, Body) else await _whole(call.agent, reply)
            headers = {"Content-Type": reply.headers.get("Content-Type", "application/octet-stream")}
            return Whole(status=reply.status, body=raw, headers=headers)
        finally:
            await reply.close("ok")

    def _way(self, request: Request, caller: Caller, agent: Agent, prefix: str, path: str) -> cards.Way:
        here = self._here.address(request, caller)
        door = f"{here}/api/agents/{agent.name}"
        return cards.Way(agent.url, agent.url + path, f"{here}{prefix}{agent.name}", door, self._origins)

    async def _fetched(self, call: Call, paths: tuple[str, ...]) -> tuple[str, Any]:
        """(path, card) of the first path at which there is one."""
        for path in paths:
            reply = await self._edge.relay(call._replace(target=path, request_id=uuid()))
            try:
                if isinstance(reply.body, Refused):  # it was not asked at all
                    raise reply.body.refusal
                if reply.status not in (404, 405):
                    return path, await _read(call.agent, reply)
            finally:
                await reply.close("ok")
        raise Refusal(
            404,
            "no_such_route",
            detail=f"Agent {call.agent.name!r} has no card at {' or '.join(paths)}.",
            hint="Only agents that speak A2A or apx have one.",
        )


def _plain(call: Call) -> CIMultiDictProxy[str]:
    headers = CIMultiDict(call.headers)
    for name in CONDITIONS:
        headers.popall(name, None)
    headers["accept"], headers["accept-encoding"] = "application/json", "identity"
    return CIMultiDictProxy(headers)


def _paths(agent: Agent, asked: str) -> tuple[str, ...]:
    """Where its card may be: where it was registered, else where it was asked for, else at the other path."""
    if asked not in cards.WELL_KNOWN:
        return (asked,)  # the extended one
    return (agent.card,) if agent.card else (asked, *(path for path in cards.WELL_KNOWN if path != asked))


async def _read(agent: Agent, reply: Reply) -> Any:
    """The JSON of an answer. Refusal `agent_card_invalid`, or what the answer's status means."""
    kind = reply.headers.get("Content-Type", "")
    if reply.status != 200 or answers.is_html(kind):
        raise answers.refused(agent, reply.status, kind) or _invalid(agent, f"status {reply.status}")
    raw = reply.body.raw if isinstance(reply.body, Body) else await _whole(agent, reply)
    try:
        return orjson.loads(raw)
    except ValueError:
        raise _invalid(agent, "it is no JSON") from None


async def _whole(agent: Agent, reply: Reply) -> bytes:
    body = bytearray()
    async for chunk in reply.body.chunks():  # type: ignore[union-attr]
        body += chunk
        if len(body) > LONGEST:
            raise _invalid(agent, "it is longer than 1 MiB")
    return bytes(body)


def _invalid(agent: Agent, why: str) -> Refusal:
    detail, hint = hints.explain("agent_card_invalid", agent=agent, reason=why)
    return Refusal(502, "agent_card_invalid", detail=detail, hint=hint)
