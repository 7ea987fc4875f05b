"""Kinds that are lists, separated by commas: networks, hosts, origins, paths, names."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from policies import discovery
from policies.child import ADDRESSES, OURS, PERHAPS, PORTS, SECRETS
from policies.headers import openable
from sidecar.settings.kinds import Accepts, each, grammar, shown
from sidecar.settings.texts import email


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is no network{_meant(text)}") from None


def _meant(text: str) -> str:
    try:
        return f" (did you mean {ip_network(text, strict=False)}?)"
    except ValueError:
        return ""


def _origin(text: str) -> str:
    try:
        url = discovery.agent_url(text).url
    except discovery.AddressError as error:
        raise ValueError(f"one of its origins is none: {error}") from None
    if discovery.origin(url) != url:
        raise ValueError("one of its origins has a path")
    return url


_header_name = grammar(r"[a-z0-9-]{1,64}", "header name", fold=True)


def _header(text: str) -> str:
    if not openable(name := _header_name(text)):
        raise ValueError(f"`{name}` carries an identity, a credential or the framing, and stays closed")
    return name


def _variable(text: str) -> str:
    if text.upper().startswith(OURS) or _variable_name(text) in (*PORTS, *ADDRESSES, *PERHAPS, *SECRETS):
        raise ValueError(f"`{text}` has a meaning already")
    return text


_variable_name = grammar(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "variable's name")

Names = Annotated[tuple[str, ...], each(str), Accepts("names, separated by commas")]
Allowed = Annotated[
    tuple[str, ...],
    each(grammar("instructions|identity|tools|dev", "thing that can be allowed", fold=True)),
    Accepts("`instructions`, `identity`, `tools`, `dev`, separated by commas; empty: none of them"),
]
Routes = Annotated[
    tuple[str, ...],
    each(grammar(r"(/[A-Za-z0-9._~-]+)+/?", "path")),
    Accepts("paths, separated by commas: `/api/chat,/api/agents`; empty: none"),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    each(_network),
    Accepts("networks, separated by commas: `10.0.0.0/8,192.168.7.4,fd00::/8`"),
]
Hosts = Annotated[
    tuple[str, ...],
    each(grammar(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", "host", fold=True)),
    Accepts("hosts, separated by commas: `dev.example.org,box:8000`"),
]
Origins = Annotated[
    tuple[str, ...], each(_origin), Accepts("origins, separated by commas: `https://app.example.org`")
]
Emails = Annotated[tuple[str, ...], each(email), Accepts("e-mail addresses, separated by commas")]
VariableNames = Annotated[
    tuple[str, ...], each(_variable), Accepts("names of variables, separated by commas: `BILLING_APP_URL`")
]
HeaderNames = Annotated[
    tuple[str, ...], each(_header), Accepts("header names, separated by commas: `x-tenant,x-region`")
]
