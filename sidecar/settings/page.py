"""docs/settings.md, from the settings themselves."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic_core import PydanticUndefined

from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.model import NO_EFFECT_YET
from sidecar.settings.problems import CODES
from sidecar.settings.show import text, told
from sidecar.settings.variables import AGENT_KEYS, AGENTS, VARIABLES, Variable

INTRODUCTION: Final = """\
# Settings

This page is made from the code (`make docs`). A setting is a variable of the environment, read once, at
start. `sidecar config` shows what is in effect and where each value comes from; `sidecar check` judges the
settings and starts nothing; `--env-file` reads variables from a file, and those of the environment win.

- A name that begins with `SIDECAR_` and is no setting stops the start, with the nearest known name. So does a
  value that is not accepted. Everything that is wrong is said at once, and the exit code is 78.
- A setting whose text is empty is not set; a list whose text is empty is an empty list.
- Durations are seconds where they have no unit of their own (`10`, `10s`, `500ms`, `2m`), sizes are bytes
  (`65536`, `64KiB`, `16MiB`).
- A secret may stand in a file that `<NAME>_FILE` names. No secret is ever shown, not even a wrong one.
- `SIDECAR_PLUGIN_<NAME>__…` are the variables of the plug-in of that name. It judges them itself.
"""
BLOCKS: Final = """\
Each agent has a block of its own: `<NAME>` is its name in upper case, with `_` for `-`. An agent's name is a
lower-case letter or digit and up to 62 more of them or `-`. `AGENT_APP_URL` is the address of agent
`default`: `SIDECAR_AGENTS__DEFAULT__URL` wins over it, all other `SIDECAR_AGENTS__DEFAULT__…` apply to it.
Where there is one agent only, it is `default` as well, whatever its name.

`BUILDER_APP_URL` makes an agent `builder` of kind `builder`; `BUILDER_DATABRICKS_HOST`, `_TOKEN`, `_CLIENT_ID` and
`_CLIENT_SECRET` are its `WORKSPACE`, `TOKEN`, `CLIENT_ID` and `CLIENT_SECRET`. `SIDECAR_AGENTS__BUILDER__…` win."""
TITLES: Final = ("Setting", "Default", "Unit", "Accepted", "What it does", "What one sees at its limit")


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_settings(), *_agents(), *_problems()]) + "\n"


def _settings() -> Iterator[str]:
    group = None
    for variable in VARIABLES.values():
        if variable.group is not group:
            if group is not None:
                yield ""
            group = variable.group
            yield from _heading(group.__doc__ or "")
        yield _row(variable.name, variable)
    yield ""


def _agents() -> Iterator[str]:
    yield from _heading(AgentBlock.__doc__ or "", BLOCKS)
    for variable in AGENT_KEYS.values():
        yield _row(f"{AGENTS}<NAME>__{variable.name}", variable)
    yield ""


def _problems() -> Iterator[str]:
    yield "## What can be wrong"
    yield ""
    yield from _cells(("Code", "Meaning"))
    yield from _cells(("---", "---"))
    for code, meaning in CODES.items():
        yield from _cells((f"`{code}`", meaning))


def _heading(title: str, introduction: str = "") -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if introduction:
        yield introduction
        yield ""
    yield from _cells(TITLES)
    yield from _cells("---" for _ in TITLES)


def _row(name: str, variable: Variable) -> str:
    effect = variable.field.description or ""
    without_effect = sorted(
        known.partition("=")[2] for known in NO_EFFECT_YET if known.partition("=")[0] == name
    )
    for value in without_effect:
        effect += f" **`{value}` is not offered yet.**" if value else " **No effect yet.**"
    accepts = variable.accepts
    cells = (f"`{name}`", _default(variable), accepts.unit, accepts.text, effect, variable.fails)
    return "".join(_cells(cells))


def _default(variable: Variable) -> str:
    default: Any = variable.field.default
    if default is PydanticUndefined:
        return "required"
    shown = text(told(variable, default))
    return f"`{shown}`" if shown != "-" else ""


def _cells(cells: Iterable[str]) -> Iterator[str]:
    yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
