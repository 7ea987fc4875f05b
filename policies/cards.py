"""An A2A card: which endpoints it names, which of them may be called, and how a caller of ours is told of them.

A client takes the endpoint from the card and never from where it got the card: one that is told on as it came
leads every request past us. A card is somebody's words: an address in it is followed to the agent's own origin
or to one that an operator has listed, and nowhere else.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from policies import paths
from policies.discovery import origin
from policies.refusal import Refusal

WELL_KNOWN: Final = ("/.well-known/agent-card.json", "/.well-known/agent.json")  # since 0.3, and before
EXTENDED: Final = ("/extendedAgentCard", "/v1/card", "/v1/extendedAgentCard")  # HTTP+JSON: 1.0, 0.3
JSONRPC: Final = "JSONRPC"
# Names in both spellings: SDKs that are no JavaScript's write snake case.
_LISTS: Final = {
    "additionalInterfaces": "transport",
    "additional_interfaces": "transport",
    "supportedInterfaces": "protocolBinding",
    "supported_interfaces": "protocol_binding",
}
_PREFERRED: Final = ("preferredTransport", "preferred_transport")
_MCP: Final = ("mcpEndpoint", "mcp_endpoint")  # an apx card's
# What cannot hold once an address is another, and what describes how to get past us: a caller of ours is
# let in by us, with what the agent wants to see added behind us.
_DROPPED: Final = ("signatures", "securitySchemes", "security_schemes", "security", "securityRequirements")
_PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 2048


class Way(NamedTuple):
    """Where an agent is, and where we are for those who ask us.

    `own`      the agent's URL, as in `Agent.url`: origin and base path
    `at`       where its card was fetched: relative addresses are meant from there
    `prefix`   our URL for what lies behind `own`, without a slash at the end
    `door`     our JSON-RPC endpoint for this agent
    `origins`  further origins to which a card may lead (SIDECAR_UC_ORIGINS)
    """

    own: str
    at: str
    prefix: str = ""
    door: str = ""
    origins: frozenset[str] = frozenset()


class Endpoint(NamedTuple):
    """One address that a card names and that may be called: `JSONRPC` or `HTTP+JSON`, and its A2A version."""

    url: str
    binding: str
    version: str


def read(card: Any) -> dict[str, Any]:
    """The card, if it is one at all: a JSON object. Refusal 502 `agent_card_invalid`."""
    if not isinstance(card, dict):
        raise Refusal(
            502,
            "agent_card_invalid",
            detail="The agent's card is no JSON object.",
            hint="`curl -i <agent>/.well-known/agent-card.json` shows what it is.",
        )
    return card


def endpoints(card: Any, way: Way) -> list[Endpoint]:
    """What may be called of all that the card names, the preferred one first; gRPC is not among it.

    Refusal 502: `agent_card_invalid`, or `agent_card_elsewhere` where it names addresses and none is allowed.
    """
    named = list(_named(read(card)))
    found = [
        Endpoint(url, binding, version)
        for given, binding, version in named
        if binding != "GRPC" and (url := _allowed(given, way)) is not None
    ]
    if named and not found:
        raise _elsewhere(way)
    return found


def rewritten(card: Any, way: Way) -> dict[str, Any]:
    """The card as our callers get it: every endpoint leads to us, and what would not hold is left out.

    An endpoint behind the agent's own URL is told as `prefix` and what lies behind; a JSON-RPC endpoint that may
    be called and lies elsewhere, as `door`; one that leads to us already stays. gRPC, and what may not be called,
    is left out. Refusal 502: `agent_card_invalid`, `agent_card_elsewhere` where no endpoint is left.
    """
    told = {name: value for name, value in read(card).items() if name not in _DROPPED}
    named = any(True for _ in _named(told))
    kept: list[tuple[str, str]] = []  # (our URL, binding)
    for name, key in _LISTS.items():
        if told.get(name) is None:
            continue
        interfaces = []
        for interface in _interfaces(told, name):
            binding = _text(interface.get(key)) or JSONRPC
            if (url := _ours(interface.get("url"), binding, way)) is not None:
                interfaces.append({**interface, "url": url})
                kept.append((url, binding))
        told[name] = interfaces
    if told.get("url") is not None:
        binding = _preferred(told)
        if (url := _ours(told["url"], binding, way)) is None and kept:
            url, binding = kept[0]
            told["preferredTransport"] = binding
            told.pop("preferred_transport", None)
        told["url"] = url
        kept += [(url, binding)] if url else []
    if named and not kept:
        raise _elsewhere(way)
    for name in _MCP:
        if told.get(name) is not None:
            told[name] = _ours(told[name], "MCP", way)
    if isinstance(skills := told.get("skills"), list):
        told["skills"] = [_unsecured(skill) for skill in skills]
    return told


def _named(card: Mapping[str, Any]) -> Iterator[tuple[Any, str, str]]:
    """Every address of the card as it stands there, with its binding and version."""
    if card.get("url") is not None:
        yield card["url"], _preferred(card), _text(card.get("protocolVersion", card.get("protocol_version")))
    for name, key in _LISTS.items():
        for interface in _interfaces(card, name):
            version = interface.get("protocolVersion", interface.get("protocol_version"))
            version = card.get("protocolVersion") if version is None else version
            yield interface.get("url"), _text(interface.get(key)) or JSONRPC, _text(version)


def _interfaces(card: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = card.get(name)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _preferred(card: Mapping[str, Any]) -> str:
    return next((text for name in _PREFERRED if (text := _text(card.get(name)))), JSONRPC)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _unsecured(skill: Any) -> Any:
    """A skill without what it says of the schemes that are gone."""
    if not isinstance(skill, dict):
        return skill
    return {name: value for name, value in skill.items() if name not in _DROPPED}


def _absolute(given: Any, at: str) -> str | None:
    """An address in one spelling: no user, no fragment, no default port, no dot segments; None for what is none."""
    if not isinstance(given, str) or not given or len(given) > _LONGEST:
        return None
    try:
        parts = urlsplit(urljoin(at, given))
        host, port = parts.hostname, parts.port
        if parts.scheme not in _PORTS or not host or "@" in parts.netloc or parts.fragment:
            return None
        target = paths.split(parts._replace(scheme="", netloc="").geturl() or "/")
    except (ValueError, Refusal):
        return None
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{place}{target.path}{target.query}"


def _allowed(given: Any, way: Way) -> str | None:
    """The address, if it may be called. An agent behind TLS that takes itself for plain http is kept at https."""
    url = _absolute(given, way.at)
    if url is None:
        return None
    own = origin(way.own)
    if own.startswith("https:") and url.startswith("http:"):
        secure = "https" + url.removeprefix("http")
        return secure if origin(secure) == own else None
    return url if origin(url) == own or origin(url) in way.origins else None


def _ours(given: Any, binding: str, way: Way) -> str | None:
    """How a caller of ours gets there; None where it does not."""
    if binding == "GRPC":
        return None
    already = _absolute(given, way.at)
    if already is not None and any(_behind(already, ours) is not None for ours in (way.prefix, way.door)):
        return already
    if (url := _allowed(given, way)) is None:
        return None
    if (rest := _behind(url, way.own)) is not None:
        return way.prefix + ("" if rest == "/" else rest)
    return way.door if binding == JSONRPC and way.door else None


def _behind(url: str, base: str) -> str | None:
    """What of an address lies behind another one, the query included; None where it does not lie there."""
    if not base or not url.startswith(base):
        return None
    rest = url[len(base) :]
    return rest if not rest or rest[0] in "/?" else None


def _elsewhere(way: Way) -> Refusal:
    return Refusal(
        502,
        "agent_card_elsewhere",
        detail=f"No endpoint of the agent's card is at {origin(way.own)}, behind its own address.",
        hint="Have the agent say its own address in its card (`url`, `supportedInterfaces`); "
        "SIDECAR_UC_ORIGINS lists further origins to which a card may lead.",
    )
