"""The marks by which a stream says that it is over, or that it failed: where they stand, and how they look.

A mark is searched for where it cannot be somebody's words: at the start of a line, which no JSON string
holds, or around quotes, which a JSON string holds only escaped. Lines end with LF here.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 64  # bytes of the longest mark

LINE: Final = rb"\n(?:\xef\xbb\xbf)?"  # before a line; before the first there may be a byte order mark
TYPE: Final = rb'"type" ?: ?"(?:%s)"'
OPENINGS: Final = rb"response\.(?:created|queued|in_progress)"
FAILED: Final = rb"error|response\.failed"
UNTYPED: Final = LINE + rb'data: ?\{ ?"error" ?: ?(?:"|\{ ?")'
TYPED: Final = b"|".join(
    (
        LINE + rb"data: ?\{ ?" + TYPE % FAILED,  # the first member,
        rb"[^\\]" + TYPE % FAILED + rb"\}\n\n",  # the last one of the outermost object,
        LINE + rb"event: ?(?:" + FAILED + rb")\n",  # or the name of the frame
    )
)
GATE: Final = LINE + rb'(?:data: ?(?:\[DONE\]|\{ ?"(?:error|type" ?: ?"error)")|event: ?error)'


class Marks(NamedTuple):
    """What is looked for in the streams of one tongue. Where no gate is found there is no mark."""

    gates: tuple[Callable[[bytes], re.Match[bytes] | None], ...]
    patterns: dict[str, re.Pattern[bytes]]  # `end`, `typed` and `untyped` errors
    spoke: re.Pattern[bytes]  # the start of data that is neither an end nor an opening


@lru_cache
def marks(terminal: tuple[bytes, ...]) -> Marks:
    """`[DONE]` is a line of data, `finish_reason` a member with text, other names a `type` or an `event`."""
    named = [re.escape(name) for name in terminal if name not in (b"[DONE]", b"finish_reason")]
    names = b"|".join(named)
    gates = [GATE, b"|".join([rb"response\.failed", *named]), rb'"error"\}\n']
    ends, silent = [], [rb"\[DONE\]", rb"\{ ?" + TYPE % OPENINGS]
    if b"[DONE]" in terminal:
        ends.append(LINE + rb"data: ?\[DONE\]\n")
    if b"finish_reason" in terminal:
        ends.append(rb'"finish_reason" ?: ?"[^"]')
        gates.append(rb'finish_reason" ?: ?"')
    if names:
        ends += [TYPE % names, LINE + rb"event: ?(?:" + names + rb")\n"]
        silent.append(rb"\{ ?" + TYPE % names)
    patterns = {"untyped": UNTYPED, "typed": TYPED} | ({"end": b"|".join(ends)} if ends else {})
    spoke = LINE + rb"data: ?+(?!" + b"|".join(silent) + rb")(?:[^\n]{48}|[^\n]{1,47}\n)"
    return Marks(
        tuple(re.compile(gate).search for gate in gates),
        {name: re.compile(pattern) for name, pattern in patterns.items()},
        re.compile(spoke),
    )
