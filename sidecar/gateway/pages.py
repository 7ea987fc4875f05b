"""Which page of the gateway's API answers at which path, of one door."""

from typing import Final

from policies import cards
from policies.agent import NAME
from sidecar.admin import READS
from sidecar.edge import Edge
from sidecar.gateway import docs, listing
from sidecar.gateway.card import Cards
from sidecar.gateway.here import Here
from sidecar.registry import Registry
from sidecar.whole import Page

AGENTS: Final = "/api/agents"
PREFIXES: Final = (f"{AGENTS}/", "/agents/")


class Gateway:
    """`page(method, path)` is what answers there, or None; made once for each door.

    `GET /api/agents`, `/api/agents/{name}`      who may be called
    `GET …/{name}/.well-known/agent-card.json`   and `agent.json`, behind `/api/agents` and `/agents`: its card
    `GET …/extendedAgentCard`, `…/v1/card`       the extended one, of agents of kind `a2a`
    `GET /docs`, `/openapi.json`                 all routes of ours
    """

    def __init__(self, agents: Registry, edge: Edge, here: Here, origins: frozenset[str]) -> None:
        self._agents = agents
        self._listing = listing.pages(agents, here)
        self._cards = Cards(edge, here, origins)
        self._docs = docs.pages()

    def page(self, method: str, path: str) -> Page | None:
        if (found := self._docs.get(path)) is not None:
            return found
        if path == AGENTS:
            return self._listing.all
        prefix = next((one for one in PREFIXES if path.startswith(one)), None)
        if prefix is None or method not in READS:
            return None
        name, _, rest = path[len(prefix) :].partition("/")
        if not NAME.fullmatch(name):
            return None
        if not rest:
            return (
                self._listing.one(name) if prefix == PREFIXES[0] and "/" not in path[len(prefix) :] else None
            )
        if f"/{rest}" in cards.WELL_KNOWN:
            return self._cards.page(prefix, name, f"/{rest}")
        if f"/{rest}".endswith(cards.EXTENDED) and self._speaks_a2a(name):
            return self._cards.page(prefix, name, f"/{rest}")
        return None

    def _speaks_a2a(self, name: str) -> bool:
        """What is found in Unity Catalog does; of the settings' agents those that say so, or have yet to be asked."""
        agent = self._agents.get(name)
        return agent.kind in ("a2a", "auto") if agent is not None else self._agents.shelf is not None
