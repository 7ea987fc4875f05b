"""The list of middleware as it will run: each with where it comes from and what it is shown."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from policies.order import DEFAULT, RELAYS, objections, order
from sidecar.plugins import Plugin, plugins, section
from sidecar.settings import Problem, Settings

RIM: Final = ("observe", "guard", "inbound")  # pinned, outside of the list


class Layer(NamedTuple):
    """`source`: `rim`, `built in`, a distribution with its version, or a file with its SHA-256."""

    name: str
    source: str
    needs: tuple[str, ...] = ()
    relays: bool = True


def layers(settings: Settings) -> list[Layer]:
    """All of them, outermost first. Plug-ins that cannot be loaded are left out: `problems` says why."""
    found, _ = plugins(settings.middleware, DEFAULT)
    names = order(settings.middleware, settings.without)
    rim = [Layer(name, "rim") for name in RIM]
    return rim + [_layer(name, found.get(name)) for name in names if name in DEFAULT or name in found]


def findings(settings: Settings) -> Iterator[Problem | str]:
    """What is wrong with the list or with what it names; and, as sentences, what is worth saying about it."""
    found, unusable = plugins(settings.middleware, DEFAULT)
    for sentence in (*objections(settings.middleware, settings.without), *unusable):
        variable, _, rest = sentence.partition(" ")
        if not variable.startswith("SIDECAR_"):
            variable, rest = "SIDECAR_MIDDLEWARE", sentence
        yield Problem("invalid_value", variable, rest.rstrip("."))
    held = tuple(section(plugin.name) for plugin in found.values())
    for name in settings.plugin_env:
        if not name.startswith(held):
            yield f"{name} is read by nobody: its plug-in is not in SIDECAR_MIDDLEWARE"


def _layer(name: str, plugin: Plugin | None) -> Layer:
    if plugin is None:
        return Layer(name, "built in", relays=name in RELAYS)
    return Layer(plugin.name, plugin.origin, tuple(sorted(plugin.needs)), plugin.relays)
