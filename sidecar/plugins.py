"""Middleware that are not built in: found at start, made once, and kept to what they asked for."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from middleware.exchange import Middleware
from middleware.isolated import isolated
from middleware.kit import Kit
from policies.secret import Secret
from sidecar.loader import Unusable, load, words
from sidecar.telemetry.faults import without

GROUP = "sidecar.middleware"
NEEDS = frozenset({"user_token"})
KEY = 8  # characters of the shortest text that could be a secret


class Plugin(NamedTuple):
    """A middleware that is not built in, loaded but not yet made."""

    name: str  # names its variables (SIDECAR_PLUGIN_<NAME>__…) and its failures
    make: Callable[[Kit], Middleware]
    origin: str
    needs: frozenset[str]
    relays: bool

    def made(self, kit: Kit) -> Middleware:
        """The plug-in as a layer of the chain; Unusable where its constructor fails."""
        try:
            layer = self.make(kit)
        except Exception as error:
            why = without(words(error), [key.reveal() for key in secrets(kit.env)])
            raise Unusable(f"Plug-in {self.name!r} did not start: {why}") from error
        if not callable(layer):
            raise Unusable(f"Plug-in {self.name!r} made {type(layer).__name__}, which is no middleware.")
        return isolated(self.name, layer, kit.recorder, sees_token="user_token" in self.needs)


def plugins(names: Iterable[str], built_in: Collection[str]) -> tuple[dict[str, Plugin], list[str]]:
    """Of SIDECAR_MIDDLEWARE, what is not built in, by member; and what is wrong with it, a sentence each."""
    found: dict[str, Plugin] = {}
    problems = []
    for member in names:
        if member != "default" and member not in built_in:
            try:
                found[member] = _plugin(member, built_in)
            except Unusable as why:
                problems.append(str(why))
    return found, [*problems, *_sharing_a_section(found)]


def section(name: str) -> str:
    """What a plug-in's variables begin with."""
    return f"SIDECAR_PLUGIN_{re.sub('[^A-Z0-9]', '_', name.upper())}__"


def own(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """A plug-in's own variables, without what they begin with: all of the environment that it is shown."""
    start = section(name)
    return {key.removeprefix(start): value for key, value in environ.items() if key.startswith(start)}


def secrets(environ: Mapping[str, str]) -> list[Secret]:
    """What plug-ins' variables hold: any of them may be a key, if it is long enough to be one."""
    return [Secret(value) for value in environ.values() if len(value) >= KEY]


def _plugin(member: str, built_in: Collection[str]) -> Plugin:
    name, make, origin = load(member, GROUP, [*built_in, "default"])
    if not callable(make):
        raise Unusable(f"{name!r} of {origin} is no function that takes a kit and returns a middleware.")
    needs = frozenset(getattr(make, "needs", ()))
    if unknown := ", ".join(sorted(needs - NEEDS)):
        raise Unusable(f"{name!r} of {origin} needs {unknown}; a plug-in may need {', '.join(NEEDS)}.")
    return Plugin(name, make, origin, needs, relays=bool(getattr(make, "relays", False)))


def _sharing_a_section(found: Mapping[str, Plugin]) -> Iterator[str]:
    readers: dict[str, list[str]] = {}
    for member, plugin in found.items():
        readers.setdefault(section(plugin.name), []).append(member)
    for start, members in readers.items():
        if len(members) > 1:
            yield f"{' and '.join(members)} would both read {start}…: give one of them another name."
