"""Hypothesis strategies for JSON as it is really sent: any whitespace, escapes, numbers beyond a double.

Texts and values are drawn from lists of what misleads scanners, which is many times faster than growing them.
"""

import json
from itertools import product
from typing import NamedTuple

from hypothesis import strategies as st

WORDS = [
    "",
    "a",
    '"',
    "\\",
    '\\"',
    '"\\\\',
    "{",
    "]}",
    "a,b:c",
    '{"stream":false}',
    '"messages"',
    "stream",
    "agent",
]
WORDS += ["é😀", "\u2028", "\x7f\x00\n", "\\u0069nput", "input"]
NUMBERS = [
    b"0",
    b"-0",
    b"1.10",
    b"1E5",
    b"2e-07",
    b"12345678901234567890123",
    b"9007199254740993",
    b"0.10000000000000001",
]


def spellings(text: str) -> list[bytes]:
    """A string as it is, with everything beyond ASCII escaped, and with everything escaped."""
    units = text.encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return [json.dumps(text, ensure_ascii=False).encode(), json.dumps(text).encode(), f'"{escaped}"'.encode()]


_STRINGS = [told for word in WORDS for told in spellings(word)]
_PLAIN = [*_STRINGS, *NUMBERS, b"true", b"false", b"null", b"[]", b"{ }"]
_AROUND = [b"[%b]", b"[ 1,%b , {} ]", b'{"a":%b}', b'{ "[" : %b\n, "\\\\" : ["}"] }']
_NESTED = [around % value for around, value in product(_AROUND, _PLAIN)]
_DEEPER = [around % value for around, value in product(_AROUND, _NESTED)]

WHITESPACE = st.sampled_from([b"", b" ", b"\n", b"\t ", b"\r\n  "])
VALUES = st.sampled_from(_PLAIN) | st.sampled_from(_NESTED) | st.sampled_from(_DEEPER)


def spelled(text: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from(spellings(text))


class Document(NamedTuple):
    """An object in pieces, so that a test can say what it must look like after a change."""

    members: list[tuple[str, bytes, bytes]]  # the key, and the bytes of the key and of the value
    around: bytes = b""
    gap: bytes = b""

    @property
    def raw(self) -> bytes:
        told = [key + self.gap + b":" + self.gap + value for _, key, value in self.members]
        inside = (self.gap + b"," + self.gap).join(told)
        return self.around + b"{" + self.gap + inside + self.gap + b"}" + self.around


def documents(keys: list[str] = WORDS) -> st.SearchStrategy[Document]:
    names = st.sampled_from([(key, told) for key in keys for told in spellings(key)])
    members = st.lists(st.tuples(names, VALUES), max_size=4, unique_by=lambda member: member[0][0])
    return st.builds(
        lambda members, around, gap: Document([(*name, value) for name, value in members], around, gap),
        members,
        WHITESPACE,
        WHITESPACE,
    )
