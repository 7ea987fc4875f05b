"""Which requests a browser may make: one rule for all doors, against other sites' pages and rebound names."""

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from policies.agent import Door
from policies.answers import is_json
from policies.discovery import is_loopback
from policies.header_table import IDENTITY
from policies.headers import Headers, Pairs, plain
from policies.refusal import Refusal

Asked = Mapping[str, str]  # names in lower case, or compared without case
To = Literal["ours", "relay", "frontend", "shown"]  # shown: a page that people open by its address

_HOST: Final = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::([0-9]{0,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://(.+)")
_PORTS: Final = {"http": "80", "https": "443"}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_CLOSED: Final = frozenset({*IDENTITY, "authorization", "cookie"})


class Gate(NamedTuple):
    """What one door lets in. Made once, at start; all of it in lower case."""

    door: Door
    loopback: bool = True  # bound to this machine only
    hosts: frozenset[str] = frozenset()  # SIDECAR_HOSTS: `name`, or `name:port`
    origins: frozenset[str] = frozenset()  # SIDECAR_ORIGINS: `scheme://host[:port]`


def browser(
    gate: Gate, headers: Asked, method: str, to: To = "ours", *, keyed: bool = False
) -> Refusal | None:
    """Why this request may not be made, or None. `keyed`: it came with the right egress key.

    Codes: 400 `bad_request`, 421 `misdirected_host`, 403 `cross_site`, 415 `unsupported_media_type`.
    """
    if keyed:  # a proxy inside the app hands on the browser's Host and Origin; no page can know the key
        return None
    host = headers.get("host", "").lower()
    return (
        _misdirected(gate, host)
        or (None if to == "frontend" else _cross_site(gate, headers, method, host, to))
        or (_untyped(headers) if to == "ours" else None)
    )


def preflight(gate: Gate, headers: Headers, method: str) -> Pairs | None:
    """The headers of the 204 that answers a preflight of an origin in SIDECAR_ORIGINS; None: it is none."""
    if (
        method != "OPTIONS"
        or "access-control-request-method" not in headers
        or not (pairs := cors(gate, headers))
    ):
        return None
    asked = headers.get("access-control-request-headers", "").split(",")
    names = sorted(
        {name for given in asked if (name := given.strip().lower()) and plain(name) not in _CLOSED}
    )
    pairs.append(("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"))
    if names:
        pairs.append(("access-control-allow-headers", ", ".join(names)))
    pairs.append(("access-control-max-age", "600"))
    return pairs


def cors(gate: Gate, headers: Headers) -> Pairs:
    """What an answer says to a page of an origin in SIDECAR_ORIGINS; nothing to any other."""
    origin = headers.get("origin", "")
    if not gate.origins or origin.lower() not in gate.origins:
        return []
    return [
        ("access-control-allow-origin", origin),
        ("access-control-expose-headers", "x-request-id, x-sidecar-stream"),
        ("vary", "origin"),
    ]


def _misdirected(gate: Gate, host: str) -> Refusal | None:
    match = _HOST.fullmatch(host)
    if match is None:
        return Refusal(400, "bad_request", detail="The Host header is missing, or is no host.")
    if not gate.loopback or host in gate.hosts:
        return None
    name = match[1].removesuffix(".")
    if name in _LOOPBACK or name in gate.hosts or is_loopback(name):
        return None
    return Refusal(
        421,
        "misdirected_host",
        detail=f"This door listens on this machine only, and {name} is not one of its names.",
        hint=f"SIDECAR_HOSTS={name} lets the name in.",
    )


def _cross_site(gate: Gate, headers: Asked, method: str, host: str, to: To) -> Refusal | None:
    origin = headers.get("origin")
    if origin is not None and origin.lower() in gate.origins:
        return None
    site = headers.get("sec-fetch-site")
    if site is not None:
        passes = site == "same-origin" or (
            site == "none" and (gate.door != "egress" or to == "shown") and method in ("GET", "HEAD")
        )
    else:
        passes = origin is None or _same(origin.lower(), host)
    if passes:
        return None
    return Refusal(
        403,
        "cross_site",
        detail=f"A page of another site asks (Origin: {origin or 'none'}, Sec-Fetch-Site: {site or 'none'}).",
        hint="SIDECAR_ORIGINS names the origins whose pages may call.",
    )


def _same(origin: str, host: str) -> bool:
    """Whether an Origin is the one a page has that was fetched with this Host."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    there, here, default = _HOST.fullmatch(match[2]), _HOST.fullmatch(host), _PORTS[match[1]]
    return (
        there is not None
        and here is not None
        and (there[1], there[2] or default) == (here[1], here[2] or default)
    )


def _untyped(headers: Asked) -> Refusal | None:
    """A form or plain text can be posted by any page without asking; JSON cannot."""
    if "transfer-encoding" not in headers and headers.get("content-length", "0").strip("0") == "":
        return None
    if is_json(headers.get("content-type", "")):
        return None
    return Refusal(415, "unsupported_media_type", hint="Send `Content-Type: application/json`.")
