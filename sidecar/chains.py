"""The two chains of a process, folded once at start: one for chats, one for relays."""

from collections.abc import Callable, Mapping
from typing import Final

from middleware.access import access
from middleware.chain import compose
from middleware.contract import contract
from middleware.credentials import TokenSource, credentials
from middleware.dialects.dialect import Dialect
from middleware.dialects.tongues import inbound, outbound, relayed
from middleware.exchange import Call, Handler, Middleware, Reply
from middleware.guard import guard
from middleware.kit import Kit
from middleware.observe import Recorder, observe
from middleware.retry import retry
from middleware.streaming import streaming
from policies.order import DEFAULT, RELAYS, order
from policies.refusal import Refusal
from sidecar.plugins import Plugin
from sidecar.settings import Settings

BUILT_IN: Final = DEFAULT


def chains(
    settings: Settings,
    wire: Handler,
    *,
    recorder: Recorder,
    tokens: TokenSource,
    dialects: Mapping[str, Dialect],
    plugins: Mapping[str, Plugin],
    kit: Callable[[Plugin], Kit],
) -> tuple[Handler, Handler]:
    """(for chats, for relays). A relay meets the members of the one list that say `relays`; nothing else of it."""
    layers: dict[str, Middleware] = {
        "access": access,
        "contract": contract(recorder, settings.both_shapes),
        "streaming": streaming(recorder),
        "outbound": outbound(dialects),
        "retry": retry(recorder, budget=settings.cold_start_budget, waiting=settings.waiting),
        "credentials": credentials(tokens, recorder),
    }
    for name, plugin in plugins.items():
        layers[name] = plugin.made(kit(plugin))
    names = order(settings.middleware, settings.without)
    rim = (observe(recorder), guard(dialects, recorder), inbound(dialects))
    walked_around = [name for name in names if name in plugins and not plugins[name].relays]
    chat = compose([*rim, *(layers[name] for name in names)], wire)
    layers["outbound"] = relayed(dialects)
    relaying = [
        layers[name] for name in names if name in RELAYS or (name in plugins and plugins[name].relays)
    ]
    if walked_around and settings.relay == "closed":
        relaying = [closed(walked_around[0])]
    return chat, compose([*rim, *relaying], wire)


def closed(name: str) -> Middleware:
    """Relays to agents end here, because a plug-in would not see them."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        raise Refusal(
            403,
            "relay_closed",
            detail=f"Plug-in {name!r} does not see relays, so none passes.",
            hint="SIDECAR_RELAY=open lets relays pass it by; a plug-in that handles them says `relays = True`.",
            sent="none",
        )

    return middleware
