"""The cards of A2A agents: read where one is needed, kept for a while, and read again when they turn out stale.

Of an address in a card only what `policies.cards` lets through is ever called. An agent without a card is called
at its own address, as 0.3.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import EMPTY, Body, Call, Handler, Reply
from policies import a2a, cards
from policies.a2a import Tongue
from policies.agent import Agent
from policies.answers import is_html
from policies.discovery import origin
from policies.refusal import Refusal

FRESH: Final = 300.0  # seconds
FRESH_ABSENCE: Final = 60.0
ROOM: Final = 1_000
NONE_THERE: Final = frozenset({404, 405, 410})
CARRIED: Final = ("traceparent", "tracestate", "x-request-id", "via", "user-agent")

Key = tuple[str, str, str]


class Line(NamedTuple):
    """One endpoint: the agent as it is called there, the path, and what is spoken."""

    agent: Agent
    target: str
    tongue: Tongue


class Known(NamedTuple):
    """What an agent's card says of how to call it. `streams` is None where there is no card; `refused`: it was asked
    to, and did not.
    """

    lines: tuple[Line, ...]
    streams: bool | None
    etag: str = ""
    until: float = 0.0
    refused: bool = False

    def line(self, tongue: Tongue | None = None) -> Line:
        """The endpoint for this version where there is one, else the preferred one."""
        return next((line for line in self.lines if line.tongue is tongue), self.lines[0])


class Cards:
    """What is known of every agent. Calls that need the same card at once wait for one reading of it.

    `origins`: those beside an agent's own to which its card may lead (SIDECAR_UC_ORIGINS).
    """

    def __init__(self, origins: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._origins, self._clock = origins, clock
        self._known: dict[Key, Known] = {}
        self._reading: dict[Key, asyncio.Lock] = {}

    async def of(self, call: Call, forward: Handler) -> Known:
        """Refusal 502 `agent_card_invalid`, `agent_card_elsewhere`; and whatever becomes of a call."""
        key = _key(call.agent)
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            return known
        lock = self._reading.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = self._known.get(key)
                if known is None or self._clock() >= known.until:
                    known = await self._read(call, forward, known)
                    if known.until:
                        self._keep(key, known)
                return known
        finally:
            if not lock.locked():
                self._reading.pop(key, None)

    def forget(self, agent: Agent) -> None:
        self._known.pop(_key(agent), None)

    def streams_not(self, agent: Agent, known: Known) -> Known:
        """It said that it streams, or nothing, and does not."""
        known = known._replace(streams=False, refused=True)
        if _key(agent) in self._known:
            self._known[_key(agent)] = known
        return known

    def _keep(self, key: Key, known: Known) -> None:
        self._known.pop(key, None)
        self._known[key] = known
        if len(self._known) > ROOM:
            del self._known[next(iter(self._known))]

    async def _read(self, call: Call, forward: Handler, before: Known | None) -> Known:
        agent, now = call.agent, self._clock()
        absent = Known((Line(agent, "/" if agent.url == origin(agent.url) else "", a2a.OLD),), None)
        for path in (agent.card,) if agent.card else cards.WELL_KNOWN:
            etag = before.etag if before else ""
            reply = await forward(_asked(call, path, etag))
            if reply.status == 304 and before is not None:
                return before._replace(until=now + FRESH)
            if reply.status == 200:
                if (card := await _document(reply)) is None:
                    return absent  # a login page: the call itself is told so
                return self._of(card, agent, path)._replace(
                    etag=reply.headers.get("ETag", ""), until=now + FRESH
                )
            await reply.close("agent_refused")
            if reply.status not in NONE_THERE:
                return absent  # it cannot be read now; what the call itself is told says why
        return absent._replace(until=now + FRESH_ABSENCE)

    def _of(self, card: Any, agent: Agent, path: str) -> Known:
        way = cards.Way(agent.url, agent.url + path, origins=self._origins)
        found = [one for one in cards.endpoints(card, way) if one.binding.upper() == cards.JSONRPC]
        if not found:
            raise Refusal(
                502,
                "agent_card_invalid",
                detail="The agent's card names no JSON-RPC endpoint.",
                hint="Have the agent serve JSON-RPC; chats are told in it. HTTP+JSON is relayed only.",
            )
        lines = (_line(agent, one.url, a2a.of_card(one.version)) for one in found)
        return Known(tuple(lines), a2a.streams(card))


def _key(agent: Agent) -> Key:
    return agent.name, agent.url, agent.card


def _line(agent: Agent, url: str, tongue: Tongue) -> Line:
    own = origin(url)
    if own == origin(agent.url):
        return Line(agent._replace(url=own), url[len(own) :] or "/", tongue)
    # An operator has listed this origin, so it may be called; who the user is was promised to the agent's own.
    there = agent._replace(url=own, public=False, trusted=agent.trusted and bool(agent.connection))
    return Line(there, url[len(own) :] or "/", tongue)


def _asked(call: Call, path: str, etag: str) -> Call:
    carried = CIMultiDict((name, call.headers[name]) for name in CARRIED if name in call.headers)
    carried["accept"] = "application/json"
    if etag:
        carried["if-none-match"] = etag
    asked = call._replace(method="GET", target=path, body=EMPTY, wants_stream=False)
    return asked._replace(headers=CIMultiDictProxy(carried))


async def _document(reply: Reply) -> Any:
    """The card's JSON; None where a page for people came instead."""
    if not isinstance(reply.body, Body):
        await reply.close("agent_protocol_error")
    elif is_html(reply.headers.get("Content-Type", "")):
        return None
    else:
        try:
            return cards.read(reply.body.value)
        except ValueError:
            pass
    raise Refusal(
        502,
        "agent_card_invalid",
        detail="The agent's card is no JSON.",
        hint="`curl -i <address>/.well-known/agent-card.json` shows it.",
    )
