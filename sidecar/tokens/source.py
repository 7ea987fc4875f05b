"""The owner of all bearers: one keeper for each credential, and which agent is called with which."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from policies import credentials as policy
from policies.agent import Agent
from policies.refusal import Refusal
from sidecar.tokens.credential import Credential
from sidecar.tokens.fetching import Fetching
from sidecar.tokens.keeper import Clock, Facts, Fetch, Keeper

DEADLINE: Final = 10.0  # seconds for one refresh, the start of the helper included
CLOCK: Final = Clock()
LEARNT: Final = 256  # credentials of agents that were found, kept at once
UNUSED: Final = 3600.0  # seconds after which one is forgotten


class Learnt(NamedTuple):
    name: str
    keeper: Keeper
    used: float


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
        self._own = Fetching(deadline) if fetch is None else None
        fetching: Fetch = fetch or self._own  # type: ignore[assignment]
        kept: dict[Credential, Keeper] = {}
        self._by_agent: dict[str, Keeper] = {}
        for agent, credential in credentials.items():
            if credential not in kept:
                kept[credential] = Keeper(credential, fetching, clock)
            self._by_agent[agent] = kept[credential]
        self._keepers = tuple(kept.values())
        self._learnt: OrderedDict[Credential, Learnt] = OrderedDict()  # the one used last at the end
        self._number = 0
        self._leaving: list[asyncio.Future[None]] = []
        self._fetching, self._clock = fetching, clock

    def start(self) -> None:
        """Fetch what will be needed, before it is; from then on each is kept fresh in the background."""
        for keeper in self._keepers:
            keeper.start()

    def learn(self, credential: Credential) -> str:
        """Keeps a credential that came with an agent found later, and gives what `Agent.credential` is to say.

        What nobody has used for an hour is forgotten, and of too many the oldest: whoever registers connections
        cannot fill the process.
        """
        now = self._clock.mono()
        if (known := self._learnt.pop(credential, None)) is None:
            self._number += 1  # never given twice: a call under way must not meet another's credential
            known = Learnt(f"learnt {self._number}", Keeper(credential, self._fetching, self._clock), now)
            self._by_agent[known.name] = known.keeper
        self._learnt[credential] = known._replace(used=now)
        while len(self._learnt) > LEARNT or next(iter(self._learnt.values())).used < now - UNUSED:
            _, oldest = self._learnt.popitem(last=False)
            del self._by_agent[oldest.name]
            self._leaving = [one for one in self._leaving if not one.done()]
            self._leaving.append(asyncio.ensure_future(oldest.keeper.aclose()))
        return known.name

    def ready(self, agent: Agent) -> str | None:
        """What goes into `Authorization` for this agent, where it is at hand: no wait, no await."""
        keeper = self._by_agent.get(agent.credential or agent.name)
        return keeper.ready() if keeper else None

    async def bearer(self, agent: Agent) -> str:
        """The same, fetched where that may help. Refusal 503 `credential_unavailable`, with `Retry-After`."""
        return await self._keeper(agent).bearer()

    async def refused(self, agent: Agent, bearer: str) -> str | None:
        """The agent did not accept this one: another, or None. At most one refresh in 5 s comes of it."""
        return await self._keeper(agent).refused(bearer)

    def facts(self) -> list[Facts]:
        """One row for each credential of the settings."""
        return [keeper.facts() for keeper in self._keepers]

    def troubles(self) -> list[str]:
        """What keeps us from being ready, a sentence each, for `/readyz`; empty is good."""
        now = self._clock.now()
        found = (policy.trouble(keeper.credential.title, keeper.state, now) for keeper in self._keepers)
        return [trouble for trouble in found if trouble]

    async def aclose(self) -> None:
        """Stop, and leave no helper behind."""
        await asyncio.gather(
            *(keeper.aclose() for keeper in (*self._keepers, *(one.keeper for one in self._learnt.values())))
        )
        await asyncio.gather(*self._leaving)
        if self._own is not None:
            await self._own.aclose()

    def _keeper(self, agent: Agent) -> Keeper:
        if (keeper := self._by_agent.get(agent.credential or agent.name)) is not None:
            return keeper
        raise Refusal(
            503,
            "credential_unavailable",
            detail=f"Agent {agent.name!r} is called with a credential of its own, and none is configured.",
            hint="Set DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or another AUTH.",
            sent="none",
        )
