"""The names of all settings, as one reads and mistypes them."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from policies.secret import Secret
from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.beside import Beside
from sidecar.settings.calls import Chain, Limits, Telling
from sidecar.settings.doors import Believed, Doors
from sidecar.settings.finding import Finding
from sidecar.settings.group import Group
from sidecar.settings.kinds import Accepts
from sidecar.settings.model import PREFIX
from sidecar.settings.outside import Outside
from sidecar.settings.workspace import Workspace

AGENT_APP_URL: Final = "AGENT_APP_URL"  # the address of agent `default`
AGENTS: Final = f"{PREFIX}AGENTS__"
PLUGIN: Final = f"{PREFIX}PLUGIN_"
GROUPS: Final[tuple[type[Group], ...]] = (
    *(Doors, Believed, Beside, Finding, Chain, Limits, Telling),
    *(Outside, Workspace),
)


class Variable(NamedTuple):
    """One setting: what it is called, which group it stands in, what pydantic knows of it."""

    name: str
    group: type[Group]
    path: tuple[str, ...]
    field: FieldInfo

    @property
    def accepts(self) -> Accepts:
        """What the setting takes, as a person reads it."""
        return _accepts(self.field.annotation, self.field.metadata)

    @property
    def is_secret(self) -> bool:
        return Secret in _parts(self.field.annotation)

    @property
    def is_list(self) -> bool:
        return get_origin(self.field.annotation) is tuple

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty text says something, and is not as good as none."""
        extra = self.field.json_schema_extra
        return self.is_list or (isinstance(extra, dict) and extra.get("empty") is True)

    @property
    def fails(self) -> str:
        extra = self.field.json_schema_extra
        return str(extra["fails"]) if isinstance(extra, dict) else ""


def _walk(
    group: type[Group], fields: type[Group], prefix: str, path: tuple[str, ...] = ()
) -> Iterator[Variable]:
    for field_name, field in fields.model_fields.items():
        name = (
            field.validation_alias if isinstance(field.validation_alias, str) else prefix + field_name.upper()
        )
        here = (*path, field_name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield from _walk(group, field.annotation, f"{name}__", here)
        else:
            yield Variable(name, group, here, field)


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _accepts(annotation: Any, metadata: list[Any]) -> Accepts:
    for part in (*metadata, *_parts(annotation)):
        if isinstance(part, Accepts):
            return part
    words = next(get_args(part) for part in _parts(annotation) if get_origin(part) is Literal)
    return Accepts(", ".join(f"`{word}`" for word in words))


VARIABLES: Final = {v.name: v for group in GROUPS for v in _walk(group, group, PREFIX)}
"""Every setting but the agents' own, by name."""

AGENT_KEYS: Final = {v.name: v for v in _walk(AgentBlock, AgentBlock, "")}
"""What stands behind SIDECAR_AGENTS__<NAME>__, by name."""


def agent_variable(agent: str, key: str) -> str:
    """The whole name of one agent's setting."""
    return f"{AGENTS}{agent.upper().replace('-', '_')}__{key.upper()}"


def nearest(name: str) -> str:
    """The known name that was perhaps meant."""
    known = [*VARIABLES, *(f"{AGENTS}<NAME>__{key}" for key in AGENT_KEYS)]
    if name.upper().startswith(AGENTS) and "__" in (rest := name[len(AGENTS) :]):
        agent = rest.partition("__")[0]
        known = [f"{AGENTS}{agent}__{key}" for key in AGENT_KEYS]
    found = get_close_matches(name.upper(), known, n=1, cutoff=0.0)
    return found[0]
