"""Who calls: whose word a door takes for it, what of it is well-formed, and the request's id."""

import hmac
import re
from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple, cast

import orjson
from multidict import istr

from policies.agent import Caller, Door
from policies.digits import is_hex
from policies.discovery import is_loopback
from policies.header_table import IDENTITY
from policies.headers import LONGEST_NAMES, Headers, plain
from policies.refusal import Refusal
from policies.secret import Secret

Networks = tuple[IPv4Network | IPv6Network, ...]

LONGEST_EMAIL: Final = 254  # bytes
LONGEST_TOKEN: Final = 16_384

NOT_OF_A_PROXY: Final = "x-app-user-email"  # a frontend tells it at egress; at the front nobody may

ODD: Final[tuple[int, tuple[str, ...]]] = (-1, ())
_AS_CALLER: Final = cast(  # a NamedTuple's own constructor is Python
    "Callable[[tuple[Door, bool, str | None, str | None, Secret | None, None]], Caller]",
    partial(tuple.__new__, Caller),
)
_BEARER: Final = re.compile(r"bearer +", re.IGNORECASE)
_NAMES: Final = frozenset(IDENTITY)
_VISIBLE: Final = bytes(code for code in range(0x21, 0x7F) if code != ord(","))  # a list is not one token
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_NAME: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,252}[\x21-\x7e])?")
_KEYED: Final = re.compile(r"/~([0-9a-f]{32})(?=/|\Z)")
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Belief(NamedTuple):
    """Whose word one door takes for who the user is. Made once, at start."""

    door: Door
    platform: bool = False  # front: only the platform's proxy reaches it
    networks: Networks = ()  # front: SIDECAR_TRUST
    key_required: bool = True  # egress: callers on this machine need the key as well
    played: str = ""  # front: SIDECAR_DEV_USER, who everybody is
    keyed: bool = True  # egress: there is a key

    def __str__(self) -> str:
        """One sentence for the start-up block."""
        if self.door == "egress":
            if self.key_required:
                return "callers that hold the egress key; others are refused"
            here = "callers on this machine that are no other site's page"
            return (
                f"callers that hold the egress key, and {here}" if self.keyed else f"{here}; there is no key"
            )
        if self.door == "admin":
            return "nobody"
        if self.played:
            return f"nobody: whoever comes is {self.played} (SIDECAR_DEV_USER)"
        if self.platform:
            return "everybody: only the platform's proxy reaches this port, and it sets the headers itself"
        if self.networks:
            return f"callers from {', '.join(map(str, self.networks))} (SIDECAR_TRUST)"
        return "nobody: not on the platform, and SIDECAR_TRUST is not set"


def believed(belief: Belief, peer: str | None, *, keyed: bool = False) -> bool:
    """Whether identity headers of this request are taken for true. `peer` is the address of the connection.

    Refusal 403 `egress_key_required` at the egress door, whose callers spend the app's own credentials.
    """
    if belief.door == "front":
        return belief.platform or (
            bool(belief.networks) and peer is not None and within(peer, belief.networks)
        )
    if belief.door == "admin":
        return False
    if keyed or (not belief.key_required and peer is not None and here(peer)):
        return True
    raise Refusal(
        403,
        "egress_key_required",
        detail="The path does not begin with this start's egress key."
        if belief.key_required
        else "Without the egress key only callers on this machine are served.",
        hint="Call the agent at the address in AGENT_APP_URL, key included.",
    )


@lru_cache(1024)
def here(peer: str) -> bool:
    """Whether a connection's other end is this machine."""
    return is_loopback(peer)


@lru_cache(1024)
def within(peer: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((mapped or address) in network for network in networks)


def caller(
    headers: Headers, door: Door, believed: bool, spelled: str | None = None
) -> tuple[Caller, dict[str, int]]:
    """Who calls, and how often each identity header was taken out, as not believed or not well-formed.

    `spelled`: the names of the headers, a line each, where somebody has them.
    Refusal 400 `duplicate_identity_header` where one that is believed came twice, or spelled with `_`, and
    `bad_request` for two `Authorization` headers at the front.
    """
    if spelled is None:
        spelled = "\n".join(headers.keys())
    count, names = _plainly(spelled) if len(spelled) <= LONGEST_NAMES else ODD
    if count != len(headers):  # a name is odd, or came twice
        return _examined(headers, door, believed)
    removed: dict[str, int] = {}
    if not names:
        return Caller(door, believed), removed
    found: dict[str, str] = {}
    for known in names:
        if not believed or (known == NOT_OF_A_PROXY and door == "front"):
            removed[known] = 1
        elif _WELL_FORMED[known](value := headers[known].strip(" \t")):
            found[known] = value
        elif value:
            removed[known] = 1
    return _caller(door, believed, found), removed


@lru_cache(512)
def _plainly(spelled: str) -> tuple[int, tuple[str, ...]]:
    """How many different names there are (a line each), and the identity headers among them; `ODD` where one is
    spelled so that it has to be looked at. The same client sends the same names again and again.
    """
    if "_" in spelled or " " in spelled or "\t" in spelled:
        return ODD
    names = set(spelled.lower().split("\n"))
    return len(names), tuple(istr(name) for name in IDENTITY if name in names)


def _examined(headers: Headers, door: Door, believed: bool) -> tuple[Caller, dict[str, int]]:
    """The same for names that are not as usual."""
    found: dict[str, str] = {}
    removed: dict[str, int] = {}
    spelled = "\n".join(headers.keys()).lower()
    if "_" in spelled or " " in spelled or "\t" in spelled:
        _odd(headers, found, removed, door, believed)
    elif "x-forwarded-" in spelled or "x-app-user-email" in spelled:
        for known in IDENTITY:
            if known in spelled and (values := headers.getall(known, ())):
                _take(known, list(values), found, removed, door, believed)
    if door == "front" and "authorization" in spelled and len(list(headers.getall("authorization", ()))) > 1:
        raise Refusal(400, "bad_request", detail="Two Authorization headers came.")
    for known, value in list(found.items()):
        if not _WELL_FORMED[known](value):
            del found[known]
            if value:
                removed[known] = removed.get(known, 0) + 1
    return _caller(door, believed, found), removed


def _caller(door: Door, believed: bool, found: dict[str, str]) -> Caller:
    """From identity headers that are believed and well-formed."""
    token = found.get("x-forwarded-access-token")
    email = found.get("x-forwarded-email") or found.get("x-app-user-email")
    who = found.get("x-forwarded-preferred-username") or found.get("x-forwarded-user")
    return _AS_CALLER((door, believed, who, email, Secret(token) if token else None, None))


def _take(
    known: str, values: list[str], found: dict[str, str], removed: dict[str, int], door: Door, believed: bool
) -> None:
    """One identity header, under its one spelling, with every value that came."""
    if not believed or (door == "front" and known == NOT_OF_A_PROXY):
        removed[known] = removed.get(known, 0) + len(values)
    elif known in found or len(values) > 1:
        raise _ambiguous(known)
    else:
        found[known] = values[0].strip(" \t")


def _odd(
    headers: Headers, found: dict[str, str], removed: dict[str, int], door: Door, believed: bool
) -> None:
    """Some name has an underscore or a space: each is looked at in its plain spelling."""
    for name, value in headers.items():
        known = plain(name)
        if known in _NAMES:
            _take(known, [value], found, removed, door, believed)
            if known in found and known != name.lower():
                raise _ambiguous(known)


def _ambiguous(known: str) -> Refusal:
    return Refusal(
        400, "duplicate_identity_header", detail=f"{known} came twice, or spelled with an underscore."
    )


def bearing(caller: Caller, headers: Headers) -> Caller:
    """The caller with the bearer that it showed, on the paths where that says who calls: a believed token goes first.

    It is for the workspace to judge. What is no bearer, or came twice, is none.
    """
    shown = headers.getall("authorization", ())
    if caller.token is not None or len(shown) != 1 or (scheme := _BEARER.match(shown[0])) is None:
        return caller
    token = shown[0][scheme.end() :].strip(" \t")
    return caller._replace(bearer=Secret(token)) if is_token(token) else caller


def named(caller: Caller) -> bool:
    """Whether somebody who is believed says who calls."""
    return caller.believed and any(said is not None for said in (caller.email, caller.name, caller.token))


def is_name(value: str) -> bool:
    """A user's name or id: visible ASCII with spaces inside, at most 254 bytes."""
    return _NAME.fullmatch(value) is not None


@lru_cache(1024)
def is_email(value: str) -> bool:
    """One address, of at most 254 bytes; no list, no display name."""
    return len(value) <= LONGEST_EMAIL and _EMAIL.fullmatch(value) is not None


def is_token(value: str) -> bool:
    """Something that can be sent as one token: visible ASCII. What it means is not looked at."""
    if not 0 < len(value) <= LONGEST_TOKEN or not value.isascii():
        return False
    if " " in value or "," in value or "\x7f" in value:
        return False
    # What JSON writes without an escape is visible: its writer looks at many bytes at once.
    return len(orjson.dumps(value)) == len(value) + 2 or not value.encode().translate(None, _VISIBLE)


_WELL_FORMED: Final[dict[str, Callable[[str], bool]]] = {
    "x-forwarded-access-token": is_token,
    "x-forwarded-email": is_email,
    "x-app-user-email": is_email,
    "x-forwarded-preferred-username": is_name,
    "x-forwarded-user": is_name,
}


def egress_key(path: str) -> tuple[str | None, str]:
    """`/~<32 hex>/rest` → (the hex, `/rest`); any other path → (None, the path)."""
    match = _KEYED.match(path)
    return (match[1], path[match.end() :] or "/") if match else (None, path)


def same_key(given: str | None, known: Secret | None) -> bool:
    """Whether the right key was presented, in a time that tells nothing about it."""
    return (
        given is not None
        and known is not None
        and hmac.compare_digest(given.encode(), known.reveal().encode())
    )


def request_id(given: str | None) -> str | None:
    """The caller's own id, if it is one that can be echoed and logged."""
    return given if given is not None and _ID.fullmatch(given) else None


def agent_request_id(given: str | None, fresh: str) -> str:
    """The id an agent gets: always a UUID, the caller's own where that is one."""
    return given if given is not None and is_uuid(given) else fresh


def is_uuid(value: str) -> bool:
    """Whether it is written as a UUID usually is."""
    return (
        len(value) == 36
        and value[8] == "-"
        and value[13] == "-"
        and value[18] == "-"
        and value[23] == "-"
        and is_hex(value.replace("-", ""), 16)
    )
