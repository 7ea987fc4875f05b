"""Which agent an address is: its name, its one spelling, and whether it may be told who the user is."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from policies.agent import NAME

APPS_DOMAINS: Final = ("databricksapps.com", "apps.databricks.com")
CHAT_PATHS: Final = ("/invocations", "/responses")  # ours to add behind an agent's address
_PORTS: Final = {"http": 80, "https": 443}
_PLACE: Final = re.compile(
    r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::(.*))?"
)  # stricter than urlsplit: `0[::1]` is no host
_APP: Final = re.compile(r"apps/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_METADATA: Final = ("metadata.google.internal", "fd00:ec2::254")  # the ones that are not link-local
_CARRIES_IPV4: Final = (0, 0x64FF9B << 64)  # the first 96 bits of `::a.b.c.d` and `64:ff9b::a.b.c.d`


class AddressError(ValueError):
    """An address that cannot be an agent's; says what is wrong with it, never the address itself."""


class Address(NamedTuple):
    """An agent's address in its one spelling, and what was changed to get there."""

    url: str
    notices: tuple[str, ...] = ()


class Workspace(NamedTuple):
    """The workspace we belong to: its origin, its id, and whether we hold credentials for it.

    `developed`: the user's token is a developer's own (SIDECAR_DEV_TOKEN), which goes less far.
    """

    origin: str | None = None
    id: str | None = None
    credentials: bool = False
    developed: bool = False


class Trust(NamedTuple):
    """May this agent be told who the user is, and why: one sentence for people."""

    given: bool
    why: str


def is_agent_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def agent_url(text: str) -> Address:
    """The origin and base path of an agent, as an operator wrote it, in one spelling.

    Scheme and host in lower case, no default port, no slash at the end, no chat path behind it. AddressError
    for what is no plain http(s) address, and for addresses that only a machine's own metadata service has.
    """
    if not text:
        raise AddressError("it is empty")
    if not text.isascii() or not text.isprintable() or any(c in ' "<>\\^`{|}' for c in text):
        raise AddressError("it holds a character that an address cannot have")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise AddressError("its host is not readable") from None
    if parts.scheme not in _PORTS or not parts.netloc:
        raise AddressError("it does not begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise AddressError("it holds a user name or password in front of the host")
    if "#" in text:
        raise AddressError("it holds a fragment")
    if "?" in text:
        raise AddressError("it holds a query")
    place = _PLACE.fullmatch(parts.netloc.lower())
    if place is None:
        raise AddressError("its host is not readable")
    path, notices = _path(parts.path)
    return Address(f"{parts.scheme}://{_host(place[1])}{_port(parts.scheme, place[2] or '')}{path}", notices)


def endpoint(text: str) -> str:
    """One address to which something is posted, in one spelling: as `agent_url`, with its path as it is."""
    base, slash, path = text.partition("://")[2].partition("/")
    url = agent_url(text.partition("://")[0] + "://" + base).url
    agent_url(text)  # no query, no fragment, no dot segments
    return f"{url}{slash}{path}"


def origin(url: str) -> str:
    """`scheme://host[:port]` of an address that `agent_url` gave."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def is_loopback(host: str) -> bool:
    """This machine and nobody else: 127.0.0.0/8, ::1 or `localhost`, with or without brackets."""
    address = _address(host.strip("[]"))
    return address.is_loopback if address else host == "localhost"


def app_name(text: str) -> str | None:
    """The app of this workspace that `apps/<name>` stands for, in place of an address; None for an address."""
    app = _APP.fullmatch(text)
    return app[1] if app else None


def is_private(url: str) -> bool:
    """Whether an address is written as one of this machine or of some network that not everybody can reach."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return (
        host == "localhost"
        or host.endswith((".localhost", ".internal", ".local"))
        or (address is not None and not is_public(address))
    )


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether everybody can reach it: no loopback, private, link-local, shared, reserved or multicast address."""
    inner = _carried(address)
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def trust(url: str, workspace: Workspace, explicit: bool | None = None) -> Trust:
    """Whether an agent that stands in the settings may be told who the user is."""
    if explicit is None or (explicit and workspace.developed):
        found = _placed(url, workspace)
        if explicit and not found.given:
            return Trust(False, f"SIDECAR_DEV_TOKEN does not go so far, and {found.why}")
        return found
    return Trust(explicit, f"TRUSTED={'true' if explicit else 'false'} says so")


def _placed(url: str, workspace: Workspace) -> Trust:
    """The same, by where it is alone."""
    if app_name(url):
        return Trust(False, "the workspace has yet to say where it is")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return Trust(True, "it runs on this machine")
    if workspace.origin and origin(url) == workspace.origin:
        return Trust(True, "it has the origin of DATABRICKS_HOST")
    domain = next((known for known in APPS_DOMAINS if host.endswith("." + known)), None)
    if domain is None:
        return Trust(False, "its host is not this machine, the workspace, or under a known apps domain")
    if parts.scheme != "https":
        return Trust(False, f"it is under {domain}, but not https")
    if not workspace.id and workspace.developed:
        return Trust(
            False, "SIDECAR_DEV_TOKEN goes to this workspace only, and no DATABRICKS_WORKSPACE_ID says which"
        )
    if not workspace.id:
        return Trust(True, f"it is https under {domain}, and no DATABRICKS_WORKSPACE_ID narrows that")
    # `<app>-<workspace id>`: who names an app of another workspace chooses how this begins, never its end.
    if host.partition(".")[0].endswith("-" + workspace.id):
        return Trust(True, f"it is an app of this workspace, under {domain}")
    return Trust(False, f"it is under {domain}, but not an app of workspace {workspace.id}")


def auth(wanted: str, trusted: bool, credentials: bool, *, elsewhere: bool = False) -> str:
    """Whose credential an agent gets: `auto` is the app's own for a trusted agent, where we hold one.

    `elsewhere`: the settings name another workspace for it, whose credential it gets.
    """
    if wanted != "auto":
        return wanted
    if elsewhere:
        return "app"
    return "app" if trusted and credentials else "none"


def is_exposed(url: str) -> bool:
    """Whether what is sent there can be read on the way: plain http, and not to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _host(written: str) -> str:
    host = written.strip("[]").removesuffix(".")
    address = _address(host)
    if host in _METADATA or (address and address.is_link_local):
        raise AddressError("it is a link-local or metadata address, where no agent can be")
    if address and (address.is_unspecified or address.is_multicast):
        raise AddressError("it is an address to listen at, not one to call")
    if address:
        return f"[{host}]" if ":" in host else host
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("its host is not readable")
    # What only a C library reads as an address: `0xa9fea9fe`, `2852039166`, `169.254.43518`.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise AddressError("its host is a number, but no address in dotted form")
    return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, or carries within another."""
    if "%" in host:
        return None  # a zone: meaningful on one machine only, and no host of an URL
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return _carried(address)


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one carries, else itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if int(address) >> 32 in _CARRIES_IPV4 and int(address) > 1:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _port(scheme: str, digits: str) -> str:
    if not digits:
        return ""
    if not digits.isdecimal() or len(digits) > 5 or int(digits) > 65535:
        raise AddressError("its port is not a number from 1 to 65535")
    port = int(digits)
    if port == 0:
        raise AddressError("its port is 0")
    return "" if port == _PORTS[scheme] else f":{port}"


def _path(path: str) -> tuple[str, tuple[str, ...]]:
    if not {".", ".."}.isdisjoint(path.lower().replace("%2e", ".").split("/")):
        raise AddressError("its path holds a `.` or `..` segment")
    notices: list[str] = []
    path = path.rstrip("/")
    while path.endswith(CHAT_PATHS):
        path, _, chat = path.rpartition("/")
        path = path.rstrip("/")
        notices.append(f"/{chat} at the end was dropped: it is added to each call")
    return path, tuple(notices)
