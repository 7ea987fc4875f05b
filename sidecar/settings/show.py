"""The effective settings, for people and for programs; secrets are never among them."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from policies.agent import Agent
from policies.secret import Secret
from sidecar.settings.model import Settings
from sidecar.settings.variables import AGENT_KEYS, VARIABLES, Variable, agent_variable

_PLATFORM: Final = "by DATABRICKS_APP_NAME, DATABRICKS_HOST and DATABRICKS_CLIENT_ID"


class Row(NamedTuple):
    """One setting as it is in effect. A duration is a text (`10s`), and so is a size (`16MiB`)."""

    name: str
    value: Any
    source: str


def rows(settings: Settings, agents: Iterable[Agent]) -> Iterator[Row]:
    """Every setting, then the agents' (with what `auto` means for each), then the plug-ins' names."""
    for variable in VARIABLES.values():
        value: Any = settings
        for step in variable.path:
            value = getattr(value, step)
        source = settings.source(*variable.path)
        if variable.path == ("platform",) and value is None:
            value, source = "on" if settings.on_platform else "off", f"{source}: {_PLATFORM}"
        yield Row(variable.name, told(variable, value), source)
    for agent in agents:
        yield from _agent(settings, agent)
    for name in settings.plugin_env:
        yield Row(name, str(Secret("")), name)


def _agent(settings: Settings, agent: Agent) -> Iterator[Row]:
    block = settings.agents[agent.name]
    for variable in AGENT_KEYS.values():
        (key,) = variable.path
        value, source = told(variable, getattr(block, key)), settings.source("agents", agent.name, key)
        if key == "auth" and block.auth == "auto":
            value, source = agent.auth, f"auto, {source}"
        if key == "trusted" and block.trusted is None:
            value, source = told(variable, agent.trusted), f"{source}: {agent.why_trusted}"
        yield Row(agent_variable(agent.name, key), value, source)


def told(variable: Variable, value: Any) -> Any:
    """A value in the notation in which it is set."""
    match value:
        case None | int() | str() if not isinstance(value, bool) and variable.accepts.unit != "bytes":
            return value
        case bool():
            return "on" if value else "off"
        case int():
            return _size(value)
        case float():
            return f"{value:g}s"
        case tuple():
            return [str(item) for item in value]
    return str(value)


def text(value: Any) -> str:
    """A told value as one word of a line."""
    if value is None:
        return "-"
    return ",".join(value) or "-" if isinstance(value, list) else str(value)


def _size(size: int) -> str:
    for unit, of in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size % of == 0:
            return f"{size // of}{unit}"
    return str(size)
