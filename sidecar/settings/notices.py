"""What is worth saying at start although nothing is wrong."""

from collections.abc import Iterator
from typing import Final

from policies import discovery
from sidecar.settings.given import Given
from sidecar.settings.model import NO_EFFECT_YET, Settings
from sidecar.settings.variables import AGENTS, agent_variable

_PLATFORM: Final = {
    "DATABRICKS_APP_NAME": "app_name",
    "DATABRICKS_HOST": "workspace_host",
    "DATABRICKS_CLIENT_ID": "client_id",
}


def notices(settings: Settings, given: Given) -> Iterator[str]:
    """One sentence each, with the variable's name in it."""
    yield from _no_effect(given)
    if settings.dev_user:
        yield f"SIDECAR_DEV_USER: everybody who comes to the front is {settings.dev_user}"
    if settings.frontend_url and discovery.is_exposed(settings.frontend_url):
        yield "SIDECAR_FRONTEND_URL: who its visitors are passes over plain http to another machine"
    yield from _platform(settings)
    if settings.disabled:
        yield "SIDECAR_DISABLED has no effect here: it is `sidecar run` that obeys it"
    for network in settings.trust:
        if network.prefixlen == 0:
            yield f"SIDECAR_TRUST has {network}: everybody who reaches the front may say who they are"
    for name, block in settings.agents.items():
        written = given.agents[name]["url"].strip()
        for changed in () if discovery.app_name(written) else discovery.agent_url(written).notices:
            yield f"{given.named[('agents', name, 'url')]}: {changed}"
        if block.token and block.token.reveal().startswith("dapi"):
            yield (
                f"{agent_variable(name, 'token')} is a personal access token (`dapi…`): apps on the platform "
                "take OAuth tokens only"
            )
        if block.token and block.auth != "static" and not block.workspace:
            yield f"{agent_variable(name, 'token')} is not used: AUTH is `{block.auth}`, not `static`"


def _no_effect(given: Given) -> Iterator[str]:
    for path, name in given.named.items():
        known = f"{AGENTS}<NAME>__{path[2].upper()}" if path[0] == "agents" else name
        if known in NO_EFFECT_YET:
            yield f"{name} has no effect yet"
        if path[0] == "agents":
            value = given.agents.get(path[1], {}).get(path[2], "").strip().lower()
            if f"{known}={value}" in NO_EFFECT_YET:
                yield f"{name}={value} is not offered yet: calls to this agent are refused"


def _platform(settings: Settings) -> Iterator[str]:
    *others, last = [name for name, field in _PLATFORM.items() if not getattr(settings, field)] or [""]
    absent = f"{', '.join(others)} and {last} are not set" if others else f"{last} is not set"
    if settings.platform == "on" and last:
        yield f"SIDECAR_PLATFORM=on although {absent}: whoever reaches the front is believed"
    if settings.platform is None and settings.app_name and last:
        believed = "those in SIDECAR_TRUST are" if settings.trust else "nobody is"
        yield f"{absent}: this is not taken for the platform, and {believed} believed at the front"
    if settings.on_platform and settings.trust:
        yield "SIDECAR_TRUST has no effect on the platform: its proxy says who the user is"
