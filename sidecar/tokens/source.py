"""The owner of all bearers: one keeper for each credential, and which agent is called with which."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from policies import credentials as policy
from policies.agent import Agent
from policies.refusal import Refusal
from sidecar.tokens import helper
from sidecar.tokens.credential import Credential
from sidecar.tokens.keeper import Clock, Facts, Fetch, Keeper

DEADLINE: Final = 10.0  # seconds for one refresh, the start of the helper included
CLOCK: Final = Clock()


class Tokens:
    """Satisfies `middleware.credentials.TokenSource`.

    `credentials` says with which credential each agent (by name) is called; agents that share one share its
    keeper, and two credentials never meet. Nothing is fetched before `start()` or a first `bearer()`.
    """

    def __init__(
        self,
        credentials: Mapping[str, Credential],
        *,
        deadline: float = DEADLINE,
        fetch: Fetch | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        fetching = fetch or partial(helper.fetch, deadline=deadline)
        kept: dict[Credential, Keeper] = {}
        self._by_agent: dict[str, Keeper] = {}
        for agent, credential in credentials.items():
            if credential not in kept:
                kept[credential] = Keeper(credential, fetching, clock)
            self._by_agent[agent] = kept[credential]
        self._keepers = tuple(kept.values())
        self._clock = clock

    def start(self) -> None:
        """Fetch what will be needed, before it is; from then on each is kept fresh in the background."""
        for keeper in self._keepers:
            keeper.start()

    def ready(self, agent: Agent) -> str | None:
        """What goes into `Authorization` for this agent, where it is at hand: no wait, no await."""
        keeper = self._by_agent.get(agent.name)
        return keeper.ready() if keeper else None

    async def bearer(self, agent: Agent) -> str:
        """The same, fetched where that may help. Refusal 503 `credential_unavailable`, with `Retry-After`."""
        return await self._keeper(agent).bearer()

    async def refused(self, agent: Agent, bearer: str) -> str | None:
        """The agent did not accept this one: another, or None. At most one refresh in 5 s comes of it."""
        return await self._keeper(agent).refused(bearer)

    def facts(self) -> list[Facts]:
        """One row for each credential."""
        return [keeper.facts() for keeper in self._keepers]

    def troubles(self) -> list[str]:
        """What keeps us from being ready, a sentence each, for `/readyz`; empty is good."""
        now = self._clock.now()
        found = (policy.trouble(keeper.credential.title, keeper.state, now) for keeper in self._keepers)
        return [trouble for trouble in found if trouble]

    async def aclose(self) -> None:
        """Stop, and leave no helper behind."""
        await asyncio.gather(*(keeper.aclose() for keeper in self._keepers))

    def _keeper(self, agent: Agent) -> Keeper:
        if (keeper := self._by_agent.get(agent.name)) is not None:
            return keeper
        raise Refusal(
            503,
            "credential_unavailable",
            detail=f"Agent {agent.name!r} is called with a credential of its own, and none is configured.",
            hint="Set DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or another AUTH.",
            sent="none",
        )
