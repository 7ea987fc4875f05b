"""From variables to settings: everything that is wrong is said at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sidecar.settings.defaults import Command, resolved
from sidecar.settings.given import Given, no_agent, sort
from sidecar.settings.kinds import shown
from sidecar.settings.model import Settings
from sidecar.settings.notices import notices
from sidecar.settings.problems import Problem, SettingsError
from sidecar.settings.rules import problems
from sidecar.settings.variables import AGENT_KEYS, VARIABLES, Variable, agent_variable

_BY_PLACE: Final = {v.path: v for v in VARIABLES.values()} | {(v.name,): v for v in VARIABLES.values()}


def load(
    environ: Mapping[str, str],
    *,
    command: Command = "serve",
    env_file: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    also: Callable[[Settings], Iterable[Problem | str]] = lambda settings: (),
) -> Settings:
    """What these variables mean for this command. SettingsError with every problem there is.

    `env_file` and `flags` are variables as well: the environment wins over the first, the second over both.
    `also` may find further problems, and sentences to be said at start.
    """
    filed, flagged = env_file or {}, flags or {}
    given = sort({**filed, **environ, **flagged})
    settings, chosen = resolved(_validated(given), given, command)
    further = list(also(settings))
    found = [
        *given.problems,
        *problems(settings, given, command),
        *(x for x in further if isinstance(x, Problem)),
    ]
    if found:
        raise SettingsError(found)
    for path, name in given.named.items():
        if name in flagged:
            settings._sources[path] = "command line"
        else:
            settings._sources[path] = name if name in environ else f"{name} (env file)"
    settings._sources.update(chosen)
    settings._notices.extend(
        (*given.notices, *notices(settings, given), *(x for x in further if isinstance(x, str)))
    )
    return settings


def _validated(given: Given) -> Settings:
    """The settings as far as they are valid: what is not is noted, left out, and judged no further."""
    try:
        return Settings(**given.raw())
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)
    for detail in wrong:
        given.problems.append(_problem(given, detail))
        place = tuple(map(str, detail["loc"]))
        if place[0] == "agents":
            given.agents.pop(place[1], None)
        else:
            given.values.pop(_BY_PLACE[place].name, None)
            given.broken.add(_BY_PLACE[place].path[0])
    return Settings(**given.raw())


def _problem(given: Given, detail: ErrorDetails) -> Problem:
    place = tuple(map(str, detail["loc"]))
    variable = AGENT_KEYS[place[2].upper()] if place[0] == "agents" else _BY_PLACE[place]
    if detail["type"] == "missing":
        if place == ("agents", "default", "url"):
            return no_agent(given)
        name = agent_variable(place[1], place[2])
        return Problem(
            "missing_value", name, f"agent {place[1]!r} has no address", f"accepted: {variable.accepts.text}"
        )
    path = place if place[0] == "agents" else variable.path
    return Problem(
        "invalid_value", given.named[path], _wrong(variable, detail), f"accepted: {variable.accepts.text}"
    )


def _wrong(variable: Variable, detail: ErrorDetails) -> str:
    if detail["type"] == "literal_error":
        return f"{shown(str(detail['input']))} is not one of them"
    return detail["msg"].removeprefix("Value error, ")
