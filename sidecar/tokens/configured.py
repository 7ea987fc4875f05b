"""Which credential each agent is called with, as the settings have it."""

from collections.abc import Iterable

from policies.agent import Agent
from sidecar.settings.model import Settings
from sidecar.tokens.credential import Credential


def credentials(settings: Settings, agents: Iterable[Agent]) -> dict[str, Credential]:
    """Agent's name → credential, for `Tokens`. Agents of mode `user` and `none` need none of ours."""
    own = workspace(settings)
    found = {}
    for agent in agents:
        if agent.auth == "app" and own is not None:
            found[agent.name] = own
        elif agent.auth == "static" and (block := settings.agents.get(agent.name)) is not None:
            found[agent.name] = Credential(
                f"agent {agent.name}", token=block.token, token_file=str(block.token_file or "")
            )
    return found


def workspace(settings: Settings) -> Credential | None:
    """The app's own: its service principal before a token, and a profile where there is neither."""
    host, name = settings.workspace_host or "", "workspace"
    if host and settings.client_id and settings.client_secret:
        return Credential(
            name,
            host=host,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            client_secret_file=str(settings.client_secret_file or ""),
        )
    if host and settings.workspace_token:
        token_file = str(settings.workspace_token_file or "")
        return Credential(name, host=host, token=settings.workspace_token, token_file=token_file)
    if settings.profile:
        return Credential(name, profile=settings.profile, config_file=settings.profile_file or "")
    return None
