"""Who keeps each door: where it is, its rules, whom it believes, and what lies behind it."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from policies import access, identity
from policies.agent import Door
from policies.paths import JSONRPC
from sidecar.admin import Admin
from sidecar.edge import Edge
from sidecar.gate import Doorkeeper
from sidecar.gateway import Gateway, Here, retold
from sidecar.played import Player
from sidecar.registry import Registry
from sidecar.settings import Settings
from sidecar.telemetry import Telemetry
from sidecar.whole import Page


def places(settings: Settings) -> dict[Door, tuple[str, int]]:
    """Where each door listens, in the order in which they open."""
    return {
        "admin": (settings.admin_host, settings.admin_port),
        "egress": (settings.egress_host, settings.egress_port),
        "front": (settings.host, settings.port),
    }


def keepers(
    settings: Settings,
    edge: Edge,
    telemetry: Telemetry,
    registry: Registry,
    *,
    admin: Admin,
    address: Callable[[Door], str],
    pages: Callable[[str], Page | None],
    app: Edge | None,
    player: Player | None,
) -> dict[Door, Doorkeeper]:
    """One for each door. `address` says where a door is once it is open; the rest as `Doorkeeper` has it."""
    origins = frozenset(settings.uc_origins)
    doors: tuple[Door, ...] = ("front", "egress")
    ways = {door: here(settings, door, address) for door in doors}
    api = {door: Gateway(registry, edge, way, origins) for door, way in ways.items()}
    edge.retold = retold(ways, origins, edge.dialects[JSONRPC].refuse)

    def keeper(door: Door, **more: Any) -> Doorkeeper:
        judged, believed = rules(settings, door), belief(settings, door)
        return Doorkeeper(door, edge, telemetry, rules=judged, belief=believed, **more)

    return {
        "admin": keeper("admin", pages=lambda path: admin.handle),
        "egress": keeper("egress", key=settings.egress_secret, gateway=api["egress"].page),
        "front": keeper(
            "front",
            routes=settings.front_routes,
            pages=pages,
            app=app,
            player=player,
            full=settings.errors in ("full",),
            gateway=api["front"].page,
            known=lambda name: registry.get(name) is not None,
        ),
    }


def here(settings: Settings, door: Door, address: Callable[[Door], str]) -> Here:
    """How a caller of this door reaches us."""
    return Here(
        door,
        lambda: address(door),
        checked=is_loopback(places(settings)[door][0]),
        platform=settings.on_platform,
        public=settings.public_url,
        key=settings.egress_secret if door == "egress" else None,
    )


def rules(settings: Settings, door: Door) -> access.Gate:
    """Which browsers pass."""
    host, _ = places(settings)[door]
    return access.Gate(door, is_loopback(host), frozenset(settings.hosts), frozenset(settings.origins))


def belief(settings: Settings, door: Door) -> identity.Belief:
    """Whose word is taken for who the user is."""
    required, played = settings.egress_key == "required", settings.dev_user or ""
    keyed = settings.egress_secret is not None
    return identity.Belief(door, settings.on_platform, settings.trust, required, played, keyed)


def is_loopback(host: str) -> bool:
    """Whether a bind is for this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
