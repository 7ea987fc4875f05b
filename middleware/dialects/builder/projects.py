"""The project in which a user's conversations are: found by its name, or made. Builders keep projects per user."""

import asyncio
from typing import Final

from middleware.dialects.builder.asking import Answered, asked, ident, told
from middleware.exchange import Call, Handler
from policies import builder_run as policy
from policies.mcp import owner
from policies.refusal import Refusal

ROOM: Final = 10_000  # users of all agents together; the oldest is asked about again

Key = tuple[object, str, str, str]


class Projects:
    """Of callers who want the same at once, one asks and the others wait for it."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._known: dict[Key, str] = {}
        self._asking: dict[Key, asyncio.Lock] = {}

    async def of(self, call: Call, forward: Handler) -> str:
        """The project's id. Raises Answered; Refusal where this is no builder."""
        key = _key(call)
        if known := self._known.get(key):
            return known
        turn = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with turn:
                if known := self._known.get(key):
                    return known
                found = self._known[key] = await _found(call, forward)
        finally:
            if not turn.locked():
                self._asking.pop(key, None)
        if len(self._known) > self.room:
            del self._known[next(iter(self._known))]
        return found

    def forget(self, call: Call) -> None:
        self._known.pop(_key(call), None)

    def __len__(self) -> int:
        return len(self._known)


async def _found(call: Call, forward: Handler) -> str:
    target = policy.path("projects")
    try:
        listed = await told(asked(call, "GET", target), forward)
    except Answered as answered:
        if answered.reply.status != 404:
            raise
        await answered.reply.close("agent_refused")
        name = call.agent.name
        raise Refusal(
            502,
            "agent_failed",
            detail=f"Agent {name!r} has no {target}, which every builder app has.",
            hint="Set its KIND to what it speaks; `auto` asks it.",
            agent_status=404,
        ) from None
    project = policy.project(listed, call.agent.project)
    return project or await ident(asked(call, "POST", target, {"name": call.agent.project}), forward)


def _key(call: Call) -> Key:
    return owner(call.caller), call.agent.name, call.agent.url, call.agent.project
