"""Whether a request's head says where its body ends, and what may follow, in a way that has one reading."""

from typing import Final

VERSIONS: Final = ((1, 0), (1, 1))
CHUNKED: Final = "chunked"
KNOWN: Final = "websocket"


def clear(coding: str | None, version: tuple[int, int]) -> bool:
    """Whether this `Transfer-Encoding`, if there is one, says the same to everybody: `chunked` alone, in HTTP/1.1.

    Of a list (`gzip, chunked`, `,chunked`) some servers read the last and some the first; in HTTP/1.0 some read none.
    """
    if coding is None:
        return version in VERSIONS
    return version == (1, 1) and _is(coding, CHUNKED)


def known(upgrade: str) -> bool:
    """Whether this `Upgrade` asks for the one protocol at which whoever reads the head stops, and loses nothing."""
    return _is(upgrade, KNOWN)


def _is(value: str, word: str) -> bool:
    return value.isascii() and value.lower() == word  # beyond ASCII, other letters have these in lower case
