"""Which variables were given: settings, agents' blocks, plug-ins' own, and names that nobody knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_settings import EnvSettingsSource

from policies.discovery import is_agent_name
from sidecar.settings.aliases import ALIASES, BUILDER, BUILDER_APP_URL
from sidecar.settings.model import PREFIX, Settings
from sidecar.settings.problems import Problem
from sidecar.settings.variables import AGENT_APP_URL, AGENT_KEYS, AGENTS, PLUGIN, VARIABLES, nearest

_LONGEST: Final = 65536  # bytes of a secret's file that are read


@dataclass
class Given:
    """The variables, sorted; what was wrong with them so far is noted beside them."""

    values: dict[str, str] = field(default_factory=dict)  # text, by variable
    agents: dict[str, dict[str, str]] = field(default_factory=dict)  # text, by agent and key
    plugins: dict[str, str] = field(default_factory=dict)
    named: dict[tuple[str, ...], str] = field(default_factory=dict)  # for each place, what a person wrote
    broken: set[str] = field(default_factory=set)  # fields that are wrong by themselves
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    empty: bool = False  # AGENT_APP_URL is there, and says nothing

    def raw(self) -> dict[str, Any]:
        """What pydantic is given."""
        source = EnvSettingsSource(Settings)
        source.env_vars = {name.lower(): text for name, text in self.values.items()}
        agents = {
            name: self.agents[name]
            for name in sorted(self.agents, key=lambda name: (name != "default", name))
        }
        return source() | {"agents": agents, "plugin_env": self.plugins}


def sort(environ: Mapping[str, str]) -> Given:
    """Sorts the variables; problems are names that nobody knows, and files that cannot be read."""
    given = Given()
    for name in sorted(environ):
        text = environ[name]
        if name in VARIABLES:
            if text.strip() or VARIABLES[name].may_be_empty:  # an empty text is as good as none
                given.values[name] = text
                given.named[VARIABLES[name].path] = name
        elif name.startswith(PLUGIN):
            given.plugins[name] = text
        elif name.startswith(AGENTS):
            _agent(given, name, text)
        elif name.upper().startswith(PREFIX):
            given.problems.append(_unknown(name))
    _default(given, environ.get(AGENT_APP_URL))
    _builder(given, environ)
    _known_as(given, environ)
    _files(given)
    return given


def _unknown(name: str) -> Problem:
    return Problem(
        "unknown_setting", name, "there is no such setting", f"the nearest known name is {nearest(name)}"
    )


def _agent(given: Given, name: str, text: str) -> None:
    written, _, key = name.removeprefix(AGENTS).partition("__")
    agent = written.lower().replace("_", "-")
    if not is_agent_name(agent):
        accepted = "letters, digits and `_`, up to 63, not `_` first"
        given.problems.append(
            Problem("invalid_agent_name", name, "it names no agent", f"accepted: {accepted}")
        )
    elif key not in AGENT_KEYS:
        given.problems.append(_unknown(name))
    elif first := given.named.get(path := ("agents", agent, key.lower())):
        wrong = f"it means the same as {first}"
        given.problems.append(Problem("conflict", name, wrong, "set one of them"))
    elif text.strip() or AGENT_KEYS[key].may_be_empty:
        given.agents.setdefault(agent, {})[key.lower()] = text
        given.named[path] = name


def no_agent(given: Given) -> Problem:
    """Nothing says where agent `default` is."""
    wrong = "no agent is configured"
    hint = f"set it to your agent's address: {AGENT_APP_URL}=https://agent.example.org sidecar serve"
    if given.empty:
        wrong = "it is empty"
        hint = (
            "set it to your agent's address, or, on the platform, "
            "give the app's resource the name that `valueFrom` in app.yaml says"
        )
    return Problem("missing_value", AGENT_APP_URL, wrong, hint)


def _default(given: Given, address: str | None) -> None:
    """AGENT_APP_URL is the address of agent `default`."""
    path = ("agents", "default", "url")
    if address is not None and not address.strip():
        given.empty = True
        given.notices.append(
            f"{AGENT_APP_URL} is empty: `valueFrom` in app.yaml and the name of the app's resource differ"
        )
    elif address is not None and path in given.named:
        given.notices.append(f"{given.named[path]} is set and wins over {AGENT_APP_URL}")
    elif address is not None:
        given.agents.setdefault("default", {})["url"] = address
        given.named[path] = AGENT_APP_URL


def _builder(given: Given, environ: Mapping[str, str]) -> None:
    """The variables with which apps call a builder app make an agent of that kind, unless settings of ours do."""
    path = ("agents", BUILDER, "url")
    if not environ.get(BUILDER_APP_URL, "").strip() and path not in given.named:
        return
    block = given.agents.setdefault(BUILDER, {})
    for name, key in ALIASES.items():
        if environ.get(name, "").strip() and key not in block and f"{key}_file" not in block:
            block[key] = environ[name]
            given.named["agents", BUILDER, key] = name
    if given.named.get(path) == BUILDER_APP_URL:
        block.setdefault("kind", BUILDER)
        block.setdefault("env", BUILDER_APP_URL)


def _known_as(given: Given, environ: Mapping[str, str]) -> None:
    """Where nothing says an agent's address, the app's own variable for it does."""
    for agent, block in given.agents.items():
        for name in map(str.strip, block.get("env", "").split(",")):
            if "url" not in block and environ.get(name, "").strip():
                block["url"] = environ[name]
                given.named["agents", agent, "url"] = name


def _files(given: Given) -> None:
    """What a `…_FILE` holds becomes the value of the secret it stands for."""
    for name, variable in VARIABLES.items():
        if variable.is_secret and (file := f"{name}_FILE") in given.values:
            _file(given, given.values, name, file, variable.path, given.named[VARIABLES[file].path])
    for agent, block in given.agents.items():
        for key, variable in AGENT_KEYS.items():
            if variable.is_secret and (file := f"{key}_FILE".lower()) in block:
                path = ("agents", agent, key.lower())
                _file(given, block, key.lower(), file, path, given.named[("agents", agent, file)])


def _file(
    given: Given, values: dict[str, str], name: str, file: str, path: tuple[str, ...], variable: str
) -> None:
    if path in given.named:
        wrong = f"{given.named[path]} is set as well"
        given.problems.append(Problem("conflict", variable, wrong, "set one of them"))
        return
    try:
        with Path(values[file].strip()).open("rb") as opened:
            text = opened.read(_LONGEST).decode().strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        text, wrong = "", f"its file cannot be read ({why})"
    else:
        wrong = "its file is empty"
    if text:
        values[name] = text
        given.named[path] = variable
    else:
        given.broken.add(path[0])
        given.problems.append(
            Problem("unreadable_file", variable, wrong, "accepted: a file with the secret in it")
        )
