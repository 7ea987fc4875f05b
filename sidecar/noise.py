"""Random hex digits, drawn from the system a page at a time: ids are wanted often, and few digits each."""

import os

PAGE = 2048  # bytes

_digits = ""
_at = 0


def noise(count: int) -> str:
    """So many random hex digits, never given twice."""
    global _digits, _at
    if _at + count > len(_digits):
        _digits, _at = os.urandom(PAGE).hex(), 0
    digits = _digits[_at : _at + count]
    _at += count
    return digits


def uuid() -> str:
    """A random UUID (version 4) as text; `uuid.uuid4` costs ten times as much."""
    d = noise(32)
    return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-a{d[17:20]}-{d[20:]}"
