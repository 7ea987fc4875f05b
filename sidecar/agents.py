"""The agents that are known now: made from the settings, immutable, swapped whole."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from policies import discovery
from policies.agent import Agent
from sidecar.settings import AgentBlock, Settings


class Snapshot:
    """Agents by name. Never changes: another set of agents is another snapshot."""

    __slots__ = ("_agents", "_by_name")

    def __init__(self, agents: Iterable[Agent]) -> None:
        named = {agent.name: agent for agent in agents}
        self._agents = tuple(named.values())
        if len(named) == 1:  # the only one there is, is meant where none is named
            named["default"] = self._agents[0]
        self._by_name = MappingProxyType(named)

    def get(self, name: str) -> Agent | None:
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)


def snapshot(settings: Settings) -> Snapshot:
    """The agents of the settings, with `auto` resolved and trust decided."""
    return Snapshot(_agent(name, block, settings) for name, block in settings.agents.items())


def at(settings: Settings, name: str, url: str) -> Agent:
    """The agent of this name as the settings have it, at this address: for `apps/<name>`, once it is known."""
    return _agent(name, settings.agents[name].model_copy(update={"url": url}), settings)


def _agent(name: str, block: AgentBlock, settings: Settings) -> Agent:
    trust = discovery.trust(block.url, settings.workspace, block.trusted)
    return Agent(
        name=name,
        url=block.url,
        kind=block.kind,
        auth=discovery.auth(
            block.auth, trust.given, settings.workspace.credentials, elsewhere=bool(block.workspace)
        ),
        trusted=trust.given,
        streaming=block.streaming,
        stream_default=block.stream_default,
        shape=block.shape,
        replay=block.replay,
        headers=block.headers,
        project=block.project,
        allow=block.allow,
        why_trusted=trust.why,
        settled=block.kind != "auto" and not discovery.app_name(block.url),
    )


def notices(agents: Iterable[Agent]) -> Iterator[str]:
    """What is worth saying at start about who is told what."""
    for agent in agents:
        if not agent.trusted and agent.settled:
            yield f"agent {agent.name}: the user's identity is withheld from it, because {agent.why_trusted}"
            if agent.auth == "app":
                yield f"agent {agent.name}: it gets the app's credential all the same: AUTH=app"
