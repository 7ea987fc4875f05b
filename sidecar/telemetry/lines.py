"""One line of the log, JSON for machines or plain for eyes; in neither can a caller's text move a cursor."""

import json
import time
from functools import lru_cache
from typing import Any, Final

import orjson

from sidecar.telemetry.counters import MODES
from sidecar.telemetry.record import Record

# C1 controls, DEL, the separators that some readers end a line at, and what turns the direction of text.
_UNSEEN: Final = (
    *range(0x7F, 0xA0),
    0x2028,
    0x2029,
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
ESCAPED: Final = {code: f"\\u{code:04x}" for code in (*range(0x20), *_UNSEEN)}
HEADLINE: Final = frozenset({"method", "route", "agent", "status", "outcome", "ms"})
SHOWN: Final = ESCAPED | {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}


def stamp(at: float) -> str:
    """UTC, to the millisecond."""
    second = int(at)
    return _second(second) + _THOUSANDTHS[int((at - second) * 1000)]


def tenths(seconds: float) -> int:
    """Of a millisecond."""
    return int(seconds * 10_000 + 0.5)


_THOUSANDTHS: Final = tuple(f".{number:03d}Z" for number in range(1000))


@lru_cache(2)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Alike = tuple[str, str, str]


@lru_cache(256)
def alike(
    level: str,
    door: str,
    agent: str,
    route: str,
    outcome: str,
    method: str,
    status: int,
    stream: str,
    attempts: int,
    sent: str,
) -> Alike | None:
    """What the lines of calls have in common that went alike: three pieces, between which each says its own.

    None where such a call would tell more, or less, or a text that its caller chose.
    """
    if method not in METHODS or stream not in MODES or not attempts:
        return None
    labels = _members(door=door, method=method, route=route, agent=agent, outcome=outcome, status=status)
    return (
        f'",{_members(level=level, msg="request")},"request_id":"',
        f'",{labels},"ms":',
        f'",{_members(stream=stream, attempts=attempts, sent=sent)}}}\n',
    )


def usual(pieces: Alike, record: Record, seconds: float, waited: float) -> bytes:
    """The line of a call that went as calls do; the same bytes as `json_line` makes (a test compares them)."""
    first, second, last = pieces
    took, began = tenths(seconds), tenths(waited)
    return (
        f'{{"ts":"{stamp(record.time)}{first}{record.request_id}{second}{took // 10}.{took % 10}'
        f',"bytes":{record.bytes},"first_byte_ms":{began // 10}.{began % 10}'
        f',"agent_request_id":"{record.agent_request_id}","trace_id":"{record.trace_id}{last}'
    ).encode()


def _members(**facts: Any) -> str:
    """The inside of a JSON object."""
    return _json(facts)[1:-2].decode()


def json_line(facts: dict[str, Any]) -> bytes:
    """`facts` with `ts` in seconds since 1970."""
    return _json(facts | {"ts": stamp(facts["ts"])})


def _json(facts: dict[str, Any]) -> bytes:
    try:
        line = orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half a character, or something that is no JSON
        line = json.dumps(facts, default=repr, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    if line.isascii():
        return line
    return line.decode().translate(ESCAPED_JSON).encode()


ESCAPED_JSON: Final = {code: text for code, text in ESCAPED.items() if code >= 0x7F}


def plain_line(facts: dict[str, Any]) -> bytes:
    """`12:34:56.789 INFO    message  name=value …`"""
    facts = dict(facts)
    at, level, message = stamp(facts.pop("ts")), facts.pop("level"), facts.pop("msg")
    traceback = facts.pop("traceback", "")
    if message == "request" and facts.keys() >= HEADLINE:
        message = "{method} {route} → {agent} {status} {outcome} {ms} ms".format_map(facts)
        facts = {name: value for name, value in facts.items() if name not in HEADLINE}
    rest = "  ".join(f"{name}={_shown(value)}" for name, value in facts.items() if value not in (None, ""))
    line = f"{at[11:23]} {level.upper():<7} {shown(str(message))}" + (f"  {rest}" if rest else "")
    for row in traceback.splitlines():
        line += "\n    " + shown(row)
    return line.encode("utf-8", "replace") + b"\n"


def shown(text: str) -> str:
    """Text that stays on its line and moves no cursor."""
    return text.translate(SHOWN)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        text = shown(value)
        return f'"{text}"' if " " in text else text
    return shown(str(value))
