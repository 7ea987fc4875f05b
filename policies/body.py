"""A chat's body: read once and judged, then changed in one member at most, so that every other byte stays."""

import re
from typing import Any, Final

import orjson

from policies.json_spans import has_more_than, members
from policies.refusal import Refusal

LEVELS: Final = 200
MEMBERS: Final = 100_000
# Said twice, two readers could each believe another one.
ONCE: Final = ("input", "messages", "stream")

BACKSLASH: Final = 0x5C  # a byte is found sooner than bytes are
_SMALLEST: Final = len(b"[],")
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[67]")  # a name may be spelled so: `"messages"`


def read(raw: bytes) -> Any:
    """The JSON value of a body.

    Integers beyond 64 bits are read as floats: the bytes go on, never this value printed again.
    Raises Refusal 400
        `invalid_json`   also not UTF-8, a byte order mark, NaN, half a surrogate pair, a number over 1.8e308
        `too_deep`       over 200 levels
        `too_many_keys`  over 100,000 members in all objects, or as many objects and arrays
        `duplicate_key`  `input`, `messages` or `stream` twice in the outermost object, in any spelling
    """
    if len(raw) > MEMBERS * _SMALLEST and has_more_than(raw, MEMBERS):
        raise Refusal(
            400, "too_many_keys", hint=f"Send at most {MEMBERS:,} members, and as many objects and arrays."
        )
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg:
            raise _too_deep() from None
        raise Refusal(
            400, "invalid_json", detail=f"{error}.", hint="Send one JSON document in UTF-8."
        ) from None
    if len(raw) > 2 * LEVELS and isinstance(value, (dict, list)) and _deeper_than(LEVELS, value):
        raise _too_deep()
    if isinstance(value, dict) and (key := _said_twice(raw)):
        raise Refusal(400, "duplicate_key", detail=f"The body says `{key}` more than once.")
    return value


def accepted(value: Any) -> bool:
    """Whether the body is a chat: an object with `input`, null too, or with a list of `messages`."""
    return isinstance(value, dict) and ("input" in value or isinstance(value.get("messages"), list))


def asks_twice(value: Any) -> bool:
    """Whether the body holds two questions: an `input` that is not null, and a list of `messages`."""
    return (
        isinstance(value, dict) and value.get("input") is not None and isinstance(value.get("messages"), list)
    )


def wants_stream(value: Any, accept: str | None, default: bool | None = None) -> bool:
    """Whether the caller wants its answer as it grows.

    The body's `stream` decides; what is no boolean counts as mlflow counts it (`"false"` is true), null says
    nothing. Else `accept`, the header where it is listened to: JSON without SSE wants the answer whole. Else
    `default`, and without one it is a stream.
    """
    said = value.get("stream") if isinstance(value, dict) else None
    if said is not None:
        return bool(said)
    kinds = (accept or "").lower()
    if "application/json" in kinds and "text/event-stream" not in kinds:
        return False
    return default is not False


def with_stream(raw: bytes, value: Any, wanted: bool) -> bytes:
    """The body with `stream` said as wanted: the same object where it is, else with one value replaced or one
    member put at the end. `value` is what `raw` reads as; a body that is no object stays as it came."""
    if not isinstance(value, dict):
        return raw
    said = b"true" if wanted else b"false"
    if "stream" not in value:
        at = raw.rindex(b"}")
        return b'%b%b"stream":%b%b' % (raw[:at], b"," if value else b"", said, raw[at:])
    if bool(value["stream"]) is wanted:
        return raw
    old = next(member for member in members(raw) if member.key == "stream")
    return raw[: old.value] + said + raw[old.end :]


def without(raw: bytes, key: str) -> bytes:
    """The body without this member and one comma; the same object where it has no such member."""
    every = list(members(raw))
    if all(member.key != key for member in every):
        return raw
    ends = [every[0].start, *(member.end for member in every)]
    kept = [raw[end : member.end] for end, member in zip(ends, every, strict=False) if member.key != key]
    return raw[: ends[0]] + b"".join(kept).lstrip(b", \t\r\n") + raw[ends[-1] :]


def _deeper_than(levels: int, value: dict[str, Any] | list[Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _said_twice(raw: bytes) -> str | None:
    """The name that the outermost object holds twice. Finding out is dear, so look for a reason first."""
    if (
        raw.count(b'"input"') < 2
        and raw.count(b'"messages"') < 2
        and raw.count(b'"stream"') < 2
        and not (BACKSLASH in raw and _ESCAPED_LETTER.search(raw))
    ):
        return None
    keys = [member.key for member in members(raw)]
    return next((key for key in ONCE if keys.count(key) > 1), None)


def _too_deep() -> Refusal:
    return Refusal(400, "too_deep", hint=f"Nest objects and arrays at most {LEVELS} levels deep.")
