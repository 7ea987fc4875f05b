"""Who can be called: what the settings name, at once; what Unity Catalog has, with the caller's own rights."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from policies.agent import Agent, Caller
from policies.connections import Registered
from policies.discovery import is_agent_name
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.agents import Snapshot
from sidecar.unity.catalog import Found

MOST_WARNED: Final = 100  # names of which it is said that the settings win
Settle = Callable[[Agent, Caller], Awaitable[Agent]]


class Shelf(Protocol):
    """Where further agents are looked for: `sidecar.unity.Catalog`."""

    async def find(self, name: str, token: Secret | None) -> Registered: ...

    async def offered(self, token: Secret | None, taken: Callable[[str], bool]) -> list[Found]: ...


class Registry:
    """Satisfies `middleware.kit.Agents` with the agents of the settings; `find` knows of the others too.

    `get(name)` never waits. `await find(name, caller)` is for what `get` does not have, or has not settled yet: an
    agent whose address or kind has to be asked for (`Agent.settled`), once, before its first call.

    `settle`  asks for it
    `shelf`   None without SIDECAR_UC_DISCOVERY
    `adopt`   makes an agent callable that was found there: keeps the credential that its connection carries
    `warn`    says what an operator should know, once
    """

    get: Callable[[str], Agent | None]

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        settle: Settle,
        shelf: Shelf | None = None,
        adopt: Callable[[Registered], Agent] = lambda registered: registered.agent,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._settle, self.shelf, self._adopt, self._warn = settle, shelf, adopt, warn
        self._flights: dict[str, asyncio.Task[Agent]] = {}
        self._warned: set[str] = set()
        self._swap(snapshot)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.snapshot)

    def __len__(self) -> int:
        return len(self.snapshot)

    async def find(self, name: str, caller: Caller) -> Agent | None:
        """The agent of this name, ready to be called. None where nobody knows one; Refusal as the shelf says."""
        agent = self.get(name)
        if agent is not None:
            return agent if agent.settled else await self._settled(agent, caller)
        if self.shelf is None or not is_agent_name(name):
            return None
        return self._adopt(await self.shelf.find(name, caller.token or caller.bearer))

    async def offered(self, caller: Caller) -> list[Found]:
        """What the shelf has for this caller, without the names that the settings have. Refusal as the shelf says."""
        if self.shelf is None:
            return []
        return await self.shelf.offered(caller.token or caller.bearer, self._taken)

    async def about(self, name: str, caller: Caller) -> Found:
        """What is said of the agent of this name. Refusal 404 `unknown_agent`, or as the shelf says."""
        if self.get(name) is not None:
            return Found(name, "", "")
        if self.shelf is None or not is_agent_name(name):
            detail = f"No agent is named {name!r}."
            raise Refusal(404, "unknown_agent", detail=detail, hint="`GET /api/agents` lists them.")
        registered = await self.shelf.find(name, caller.token or caller.bearer)
        return Found(name, registered.description, registered.agent.connection)

    def _taken(self, name: str) -> bool:
        taken = self.get(name) is not None
        if taken and name not in self._warned and len(self._warned) < MOST_WARNED:
            self._warned.add(name)
            self._warn(f"agent {name}: a connection of Unity Catalog has its name; the settings win")
        return taken

    async def _settled(self, agent: Agent, caller: Caller) -> Agent:
        """Asked for once, whoever waits; what failed is asked for again by the next call."""
        if (flight := self._flights.get(agent.name)) is None:
            flight = self._flights[agent.name] = asyncio.create_task(self._settling(agent, caller))
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(flight)

    async def _settling(self, agent: Agent, caller: Caller) -> Agent:
        try:
            settled = await self._settle(agent, caller)
            known = (settled if one.name == agent.name else one for one in self.snapshot)
            self._swap(Snapshot(known))
            return settled
        finally:
            del self._flights[agent.name]

    def _swap(self, snapshot: Snapshot) -> None:
        """Another snapshot, whole. Its `get` is asked by every call: nothing may stand in between."""
        self.snapshot = snapshot
        self.get = snapshot.get

    async def aclose(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
