"""What is worth saying at start although nothing is wrong."""

from collections.abc import Iterable, Iterator
from typing import Final

from policies import discovery
from sidecar.settings.given import Given
from sidecar.settings.model import NO_EFFECT_YET, Settings
from sidecar.settings.variables import PLUGIN, agent_variable

_PLATFORM: Final = {
    "DATABRICKS_APP_NAME": "app_name",
    "DATABRICKS_HOST": "workspace_host",
    "DATABRICKS_CLIENT_ID": "client_id",
}


def notices(settings: Settings, given: Given) -> Iterator[str]:
    """One sentence each, with the variable's name in it."""
    yield from _no_effect(given)
    yield from _platform(settings)
    for network in settings.trust:
        if network.prefixlen == 0:
            yield f"SIDECAR_TRUST has {network}: everybody who reaches the front may say who they are"
    for name, block in settings.agents.items():
        for changed in discovery.agent_url(given.agents[name]["url"].strip()).notices:
            yield f"{given.named[('agents', name, 'url')]}: {changed}"
        if block.token and block.auth != "static":
            yield f"{agent_variable(name, 'token')} is not used: {agent_variable(name, 'auth')} is `{block.auth}`, not `static`"


def unclaimed(settings: Settings, plugins: Iterable[str]) -> Iterator[str]:
    """A sentence for each variable of a plug-in that is not in the list of middleware."""
    claimed = tuple(f"{PLUGIN}{name.upper().replace('-', '_')}__" for name in plugins)
    for name in settings.plugin_env:
        if not name.startswith(claimed):
            yield f"{name} is read by nobody: its plug-in is not in SIDECAR_MIDDLEWARE"


def _no_effect(given: Given) -> Iterator[str]:
    for path, name in given.named.items():
        known = f"SIDECAR_AGENTS__<NAME>__{path[2].upper()}" if path[0] == "agents" else name
        if known in NO_EFFECT_YET:
            yield f"{name} has no effect yet"


def _platform(settings: Settings) -> Iterator[str]:
    absent = [name for name, field in _PLATFORM.items() if not getattr(settings, field)]
    if settings.platform == "on" and absent:
        yield f"SIDECAR_PLATFORM=on although {' and '.join(absent)} is not set: whoever reaches the front is believed"
    if settings.platform is None and absent and settings.app_name:
        said = (
            "identity headers at the front are believed from SIDECAR_TRUST only"
            if settings.trust
            else "nobody is believed at the front"
        )
        yield f"DATABRICKS_APP_NAME is set, but {' and '.join(absent)} is not: this does not count as the platform, and {said}"
    if settings.on_platform and settings.trust:
        yield "SIDECAR_TRUST has no effect on the platform: its proxy says who the user is"
