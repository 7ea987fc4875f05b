"""Whether a request's head says where its body ends, and what may follow, in a way that has one reading."""

from typing import Final

CHUNKED: Final = "chunked"
KNOWN: Final = "websocket"
DIGITS: Final = 18  # of a length; more are no size of anything


def clear(coding: str, *, modern: bool) -> bool:
    """Whether this `Transfer-Encoding` says the same to everybody: `chunked` alone, in HTTP/1.1 (`modern`).

    Of a list (`gzip, chunked`, `,chunked`) some servers read the last and some the first; in HTTP/1.0 some read none.
    """
    return modern and _is(coding, CHUNKED)


def length(value: str) -> int | None:
    """The bytes that this `Content-Length` says; None where it is not digits alone."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= DIGITS else None


def known(upgrade: str) -> bool:
    """Whether this `Upgrade` asks for the one protocol that is handed on."""
    return _is(upgrade, KNOWN)


def _is(value: str, word: str) -> bool:
    return value.isascii() and value.lower() == word  # beyond ASCII, other letters have these in lower case
