"""What headers a call takes along, and which of an agent's come back: `policies.header_table`, obeyed."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from multidict import CIMultiDictProxy, istr

from policies import framing
from policies import header_table as table
from policies.names import CONNECTION, UPGRADE
from policies.names import VIA as PASSED
from policies.paths import location
from policies.refusal import Refusal

Headers = CIMultiDictProxy[str]
Pairs = list[tuple[str, str]]

PSEUDONYM: Final = "1.1 agent-sidecar"  # our mark in `Via`
VIA: Final = (PASSED, PSEUDONYM)
HANDSHAKE: Final = (("connection", "Upgrade"), ("upgrade", "websocket"))
IDENTITY_CODING: Final = (istr("accept-encoding"), "identity")
LONGEST_NAMES: Final = 2048  # of a request's headers together, for what they come to to be remembered


class _Names:
    """Names and beginnings of names, asked for in lower case."""

    __slots__ = ("begin", "exact")

    def __init__(self, names: Iterable[str]) -> None:
        listed = frozenset(names)
        self.exact = frozenset(name for name in listed if not name.endswith("*"))
        self.begin = tuple(sorted(name[:-1] for name in listed if name.endswith("*")))

    def __contains__(self, name: str) -> bool:
        return name in self.exact or name.startswith(self.begin)


_CHAT: Final = _Names(name for row in table.REQUEST if row.chat == "as it came" for name in row.names)
_KEPT_BACK: Final = _Names(name for row in table.REQUEST if row.relay != "as it came" for name in row.names)
_CLOSED: Final = _Names(name for row in table.REQUEST if row.chat != "as it came" for name in row.names)
_HOP: Final = _Names(table.HOP)
_ALL: Final = _Names(name for row in table.REQUEST for name in row.names)
_NOT_ANSWERED: Final = _Names(name for back in table.ANSWER for name in back.names)
_USUAL: Final = frozenset({"keep-alive", "close", "upgrade"})  # what `Connection` says nearly always
_NONE: Final[frozenset[str]] = frozenset()
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def plain(name: str) -> str:
    """The one spelling under which names are kept back: WSGI reads `X_Forwarded_Email` as the same."""
    return name.strip().lower().replace("_", "-")


def openable(name: str) -> bool:
    """Whether a setting may let this header out with chats; not what the table decides otherwise."""
    return plain(name) not in _CLOSED


def outbound(headers: Headers, extra: tuple[str, ...] = (), spelled: str | None = None) -> Pairs:
    """What a chat takes along: the allow-list, never a copy. `extra` adds lower-case names that are openable.

    `spelled`: the names of the headers, a line each, where somebody has them.
    Not among them: x-request-id, traceparent and tracestate, which the edge tells anew, and authorization and
    the user's headers, which `credentials` writes. Refusal: 400 `bad_request`, 508 `loop_detected`.
    """
    named = _nominated(headers) if CONNECTION in headers else _NONE
    if spelled is None:
        spelled = "\n".join(headers.keys())
    names = (
        _passing(spelled, extra) if len(spelled) <= LONGEST_NAMES else _passing.__wrapped__(spelled, extra)
    )
    kept = [(name, value) for name in names for value in headers.getall(name, ())]
    if named:
        kept = [pair for pair in kept if pair[0].lower() not in named]
    _sound(kept)
    kept += (IDENTITY_CODING, ((PASSED, _via(headers)) if PASSED in headers else VIA))
    return kept


@lru_cache(512)
def _passing(spelled: str, extra: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these names (a line each) go along, each once. The same client sends the same again and again."""
    allowed, begin = _with(extra) if extra else _CHAT.exact, _CHAT.begin
    names = {name.lower(): name for name in spelled.split("\n")}
    return tuple(istr(name) for low, name in names.items() if low in allowed or low.startswith(begin))


def relayed(headers: Headers) -> Pairs:
    """What a relay takes along: all that goes from end to end and is not kept back. Refusals as above."""
    exact, begin = _KEPT_BACK.exact, _KEPT_BACK.begin
    named = _nominated(headers)
    kept = [
        (name, value)
        for name, value in headers.items()
        if (low := plain(name) if "_" in name or " " in name else name.lower()) not in exact
        and not low.startswith(begin)
        and not (named and name.lower() in named)
    ]
    _sound(kept)
    kept.append(("via", _via(headers)))
    if UPGRADE in headers and handshake(headers):
        kept += HANDSHAKE
    return kept


def handshake(headers: Headers) -> bool:
    """Whether a request asks for a WebSocket: the one protocol to which a connection may change."""
    return framing.known(",".join(headers.getall("upgrade", ())).strip()) and "upgrade" in _listed(
        headers.getall("connection", ())
    )


def answer(headers: Headers, agent_url: str = "", target: str = "") -> Pairs:
    """What the caller sees of an agent's headers.

    `target` is what a relay asked for behind the agent's prefix; without it no `Location` is told. A value
    that is no UTF-8 is left out, because it cannot be told as it came. Refusal 502 `agent_protocol_error`
    where a value would split the answer.
    """
    spelled = "\n".join(headers.keys())
    if len(spelled) <= LONGEST_NAMES and (names := _told(spelled)) is not None:
        kept = [(name, value) for name in names for value in headers.getall(name, ())]
        text = "".join([value for _, value in kept])
        if text.isascii() and text.isprintable():
            return kept
    named = _listed(headers.getall("connection")) if CONNECTION in headers else _NONE
    kept = []
    for name, value in headers.items():
        low = name.lower()
        if low in _NOT_ANSWERED or (low in named and low not in _ALL):
            continue
        if low == "location":
            there = location(value, agent_url, target) if target else None
            if there is None:
                continue
            value = there
        elif low == "content-encoding" and value.strip().lower() == "none":
            continue
        if not (value.isascii() and value.isprintable()):
            if _CONTROL.search(value):
                raise Refusal(
                    502, "agent_protocol_error", detail=f"The agent's {name} holds a control character."
                )
            if not _is_utf8(value):
                continue
        kept.append((name, value))
    return kept


@lru_cache(512)
def _told(spelled: str) -> tuple[str, ...] | None:
    """Which of these names (a line each) are told, each once. None where that depends on what they say."""
    names = {name.lower(): name for name in spelled.split("\n")}
    if names.keys() & {"connection", "location", "content-encoding"}:
        return None
    return tuple(istr(name) for low, name in names.items() if low not in _NOT_ANSWERED)


@lru_cache(256)
def _with(extra: tuple[str, ...]) -> frozenset[str]:
    return _CHAT.exact | {name for name in extra if openable(name)}


def _nominated(headers: Headers) -> frozenset[str]:
    """What `Connection` names: it goes no further. A header that the table rules cannot be named away."""
    if CONNECTION not in headers:
        return _NONE
    values = headers.getall("connection")
    if len(values) == 1 and values[0].lower() in _USUAL:
        return _NONE
    named = _listed(values)
    for name in named:
        if (known := plain(name)) in _ALL and known not in _HOP:
            raise Refusal(
                400, "bad_request", detail=f"`Connection` names {known}, which goes from end to end."
            )
    return named


def _listed(values: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().lower() for value in values for name in value.split(","))


def _via(headers: Headers) -> str:
    """Our mark, once for each sidecar that the request has passed, and once more."""
    if PASSED not in headers:
        return PSEUDONYM
    passed = sum(value.count(PSEUDONYM) for value in headers.getall("via"))
    if passed >= table.LONGEST_CHAIN:
        raise Refusal(
            508,
            "loop_detected",
            detail=f"The request has passed {passed} sidecars already.",
            hint="An agent's URL leads back to a sidecar; `sidecar config` prints the addresses.",
            sent="none",
        )
    return ", ".join([PSEUDONYM] * (passed + 1))


def _sound(pairs: Pairs) -> None:
    """No value that would break a line, and none that would leave as other bytes than it came."""
    text = "".join([value for _, value in pairs])
    if text.isascii() and text.isprintable():
        return
    for name, value in pairs:
        if _CONTROL.search(value) or not _is_utf8(value):
            raise Refusal(400, "bad_request", detail=f"The value of {name} is not text.")


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8 are carried as lone surrogates
        return False
    return True
