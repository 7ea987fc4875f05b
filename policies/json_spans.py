"""Where the members of a JSON object stand in its bytes, so that one is changed and the rest left alone."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

_MEMBER: Final = re.compile(rb'[\s,]*("[^"]*+")\s*:\s*')
_PLAIN: Final = re.compile(rb'"[^"]*+"|[^\s,{}\[\]]++')  # a string, number or word
_OUTSIDE: Final = rb'[^"%b]*+(?:"[^"]*+"[^"%b]*+)*+([%b])'  # up to one of these characters outside of strings
_BRACKET: Final = re.compile(_OUTSIDE % ((rb"{}\[\]",) * 3))
_COLON: Final = re.compile(_OUTSIDE % ((rb":",) * 3))
_OPENING: Final = re.compile(_OUTSIDE % ((rb"{\[",) * 3))


class Member(NamedTuple):
    """One member of an object: its name, and where it begins, where its value begins, where both end."""

    key: str
    start: int
    value: int
    end: int


def members(raw: bytes) -> Iterator[Member]:
    """The members of the outermost object, in order; `raw` is valid JSON and an object."""
    text = _without_escapes(raw)
    at = text.index(b"{") + 1
    while found := _MEMBER.match(text, at):
        start, stop = found.span(1)
        at = _end(text, found.end())
        yield Member(orjson.loads(raw[start:stop]), start, found.end(), at)


def has_more_than(raw: bytes, limit: int) -> bool:
    """Whether all objects hold more members than this, or there are more objects and arrays; of any bytes."""
    if raw.count(b":") > limit and _occurs_more(_COLON, raw, limit):
        return True
    return raw.count(b"[") + raw.count(b"{") > limit and _occurs_more(_OPENING, raw, limit)


def _occurs_more(mark: re.Pattern[bytes], raw: bytes, limit: int) -> bool:
    text, at = _without_escapes(raw), 0
    for _ in range(limit + 1):  # no finditer: behind the last mark it would look for more inside of strings
        if not (found := mark.match(text, at)):
            return False
        at = found.end()
    return True


def _without_escapes(raw: bytes) -> bytes:
    """The same length, but every quotation mark that is left opens or closes a string."""
    if b"\\" not in raw:
        return raw
    return raw.replace(rb"\\", b"__").replace(rb"\"", b"__")


def _end(text: bytes, at: int) -> int:
    """Where the value that begins here ends."""
    if plain := _PLAIN.match(text, at):
        return plain.end()
    depth = 0
    for bracket in _BRACKET.finditer(text, at):
        depth += 1 if bracket[1] in b"{[" else -1
        if not depth:
            return bracket.end()
    raise ValueError("the JSON text ends inside a value")
