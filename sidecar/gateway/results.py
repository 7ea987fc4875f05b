"""An extended card inside the answer to a JSON-RPC call, told as every card is: so that it leads through us."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from middleware.exchange import Body, Call, Reply
from policies import cards, jsonrpc
from policies.agent import Door
from policies.refusal import Refusal
from sidecar.doors import Request
from sidecar.gateway.here import Here

LONGEST: Final = 1 << 20  # bytes of an answer with a card in it


def retold(
    doors: Mapping[Door, Here], origins: frozenset[str], refuse: Callable[[Refusal, Call], Reply]
) -> Callable[[Request, Call, Reply], Awaitable[Reply]]:
    """For `Edge.retold`. A card that cannot be told on is refused: 502 `agent_card_invalid`, `agent_card_elsewhere`."""

    async def told(request: Request, call: Call, reply: Reply) -> Reply:
        here, body = doors.get(call.caller.door), call.body
        if (
            here is None
            or reply.status != 200
            or not isinstance(body, Body)
            or not jsonrpc.asks_for_card(body.raw)
        ):
            return reply
        try:
            raw = reply.body.raw if isinstance(reply.body, Body) else await _whole(reply)
            return reply._replace(body=Body(raw=_told(raw, _way(here, request, call, origins))))
        except Refusal as refusal:
            await reply.close(refusal.code)
            return refuse(refusal, call)
        except BaseException:
            await reply.close("internal_error")
            raise

    return told


def _way(here: Here, request: Request, call: Call, origins: frozenset[str]) -> cards.Way:
    agent = call.agent
    door = f"{here.address(request, call.caller)}/api/agents/{agent.name}"
    prefix = here.prefix(request, call.caller, agent.name)
    return cards.Way(agent.url, agent.url + cards.WELL_KNOWN[0], prefix, door, origins)


def _told(raw: bytes, way: cards.Way) -> bytes:
    """The answer with its card rewritten; an error goes on in the agent's own words."""
    answer = _value(raw)
    if not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
        return raw
    return orjson.dumps(answer | {"result": cards.rewritten(answer["result"], way)})


def _value(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        raise Refusal(
            502, "agent_card_invalid", detail="The answer with the agent's card is no JSON."
        ) from None


async def _whole(reply: Reply) -> bytes:
    body = bytearray()
    async for chunk in reply.body.chunks():  # type: ignore[union-attr]
        body += chunk
        if len(body) > LONGEST:
            raise Refusal(502, "agent_card_invalid", detail="The agent's card is longer than 1 MiB.")
    return bytes(body)
