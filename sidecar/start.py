"""What is said at start: who is believed, which agents there are, through what a call goes; in one block."""

import platform
from collections.abc import Iterable, Iterator, Mapping

import aiohttp

from policies.agent import Agent, Door
from policies.discovery import is_loopback
from policies.identity import Belief
from policies.order import order
from sidecar.layers import RIM
from sidecar.settings import Settings
from sidecar.version import COMPILED, VERSION


def block(
    command: str,
    settings: Settings,
    addresses: Mapping[Door, str],
    beliefs: Mapping[Door, Belief],
    agents: Iterable[Agent],
    notices: Iterable[str],
    frontend: str = "",
) -> str:
    """Lines for a person, ending with `ready`; nothing in it is secret. `frontend`: what has the front's paths."""
    return "\n".join(
        [
            f"agent-sidecar {VERSION} · {command} · Python {platform.python_version()}, aiohttp {aiohttp.__version__}"
            + (", compiled" if COMPILED else ""),
            *_platform(settings),
            *_doors(settings, addresses, beliefs, frontend),
            *_agents(agents, settings),
            f"  chain       {' → '.join((*RIM, *order(settings.middleware, settings.without), 'wire'))}",
            *(f"  note        {notice}" for notice in notices),
            "",
        ]
    )


def _platform(settings: Settings) -> Iterator[str]:
    if settings.on_platform:
        why = "SIDECAR_PLATFORM=on" if settings.platform else f"app {settings.app_name}"
        yield f"  platform    on ({why}): the front listens for the platform's proxy and believes its headers"
    elif settings.platform:
        yield "  platform    off (SIDECAR_PLATFORM=off): the front believes no platform's headers"
    else:
        yield "  platform    off: this is no Databricks App, as far as its variables say"


def _doors(
    settings: Settings, addresses: Mapping[Door, str], beliefs: Mapping[Door, Belief], frontend: str
) -> Iterator[str]:
    rest = ["the chat page at /"] if settings.page else [f"all else: {frontend}"] if frontend else []
    serves = {
        "front": ", ".join([*settings.front_routes, *rest]).removeprefix("all else: "),
        "egress": "every path of an agent: /agents/<agent>/…, /invocations, /responses, /api/chat; "
        "/api/agents, /docs",
        "admin": "/healthz, /readyz, /metrics"
        + (", /agents, /calls" if is_loopback(settings.admin_host) else ""),
    }
    for door in ("front", "egress", "admin"):
        yield f"  {door:<11} {addresses[door]}  {serves[door]}"
        if door != "admin":
            yield f"              believes {beliefs[door]}"


def _agents(agents: Iterable[Agent], settings: Settings) -> Iterator[str]:
    known = list(agents)
    if settings.uc_discovery:
        named = f"whose name ends with {settings.uc_suffix}" if settings.uc_suffix else "of any name"
        yield f"  discovery   connections {named} at {settings.workspace_host}, with each caller's own token"
    if not known and not settings.uc_discovery:
        yield "  agents      none: AGENT_APP_URL is not set"
    for number, agent in enumerate(known):
        trust = "trusted" if agent.trusted else "not trusted"
        yield (
            f"  {'agents' if not number else '':<11} {agent.name}  {agent.url}  kind {agent.kind}, auth {agent.auth}, "
            f"{trust}: {agent.why_trusted}"
        )
