"""Which credential each agent is called with, as the settings have it."""

from collections.abc import Iterable
from typing import Final

from policies.agent import Agent
from policies.connections import Registered
from policies.discovery import app_name
from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.model import Settings
from sidecar.tokens.credential import Credential

USER: Final = "SIDECAR_DEV_TOKEN"  # under which the token of SIDECAR_DEV_USER is kept; no agent's name
APP: Final = "the app's own"  # what `Agent.credential` says of agents that were found; no agent's name


def credentials(settings: Settings, agents: Iterable[Agent]) -> dict[str, Credential]:
    """Agent's name → credential, for `Tokens`. Agents of mode `user` and `none` need none of ours."""
    own = workspace(settings)
    found = {}
    for agent in agents:
        if (block := settings.agents.get(agent.name)) is None:
            continue
        unsettled = app_name(agent.url) is not None and block.auth == "auto"  # it will be `app`, or `none`
        if (agent.auth == "app" or unsettled) and (credential := elsewhere(agent.name, block) or own):
            found[agent.name] = credential
        elif agent.auth == "static":
            found[agent.name] = Credential(
                title(agent.name), token=block.token, token_file=str(block.token_file or "")
            )
        elif agent.auth == "oauth":
            found[agent.name] = Credential(
                title(agent.name),
                endpoint=block.token_endpoint or "",
                client_id=block.client_id or "",
                client_secret=block.client_secret,
                client_secret_file=str(block.client_secret_file or ""),
                scope=block.scope or "",
                basic=block.client_auth == "basic",
            )
    if settings.dev_token:
        profile, profile_file = settings.dev_token.removeprefix("profile:"), settings.profile_file or ""
        found[USER] = Credential("SIDECAR_DEV_USER", profile=profile, config_file=profile_file)
    if own is not None and (settings.uc_discovery or any(app_name(agent.url) for agent in agents)):
        found[APP] = own
    return found


def title(name: str) -> str:
    return f"agent {name}"


def elsewhere(name: str, block: AgentBlock) -> Credential | None:
    """Another workspace's: its own service principal or its own token, and nothing of this workspace's."""
    if not block.workspace:
        return None
    if block.client_id:
        return Credential(
            title(name),
            host=block.workspace,
            client_id=block.client_id,
            client_secret=block.client_secret,
            client_secret_file=str(block.client_secret_file or ""),
        )
    return Credential(title(name), token=block.token, token_file=str(block.token_file or ""))


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


def carried(registered: Registered) -> Credential | None:
    """What a connection carries for its agent; None where it carries nothing."""
    agent, oauth = registered.agent, registered.oauth
    name = f"connection {agent.connection}"
    if oauth is not None:
        return Credential(
            name,
            endpoint=oauth.token_endpoint,
            client_id=oauth.client_id,
            client_secret=oauth.client_secret,
            scope=oauth.scope,
            public=agent.public,
        )
    return None if registered.token is None else Credential(name, token=registered.token)
