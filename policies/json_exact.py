"""JSON read and printed again without loss: orjson, except where it would round an integer or go too deep."""

import json
import re
from typing import Any, Final

import orjson

LONG: Final = re.compile(rb"[0-9]{19}")  # orjson reads integers over 64 bits as floats


def loads(raw: bytes | str) -> Any:
    """The value; ValueError where it is not JSON, or deeper than Python goes."""
    raw = raw if isinstance(raw, bytes) else raw.encode()
    try:
        return json.loads(raw) if LONG.search(raw) else orjson.loads(raw)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dumps(value: Any) -> bytes:
    """On one line, in UTF-8; ValueError where it is deeper than Python goes."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer over 64 bits, over 254 levels
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
