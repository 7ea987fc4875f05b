"""An exception as text for the log: where it happened and what it says, without what the call carried.

No source lines: they would be read from disk while calls wait. Messages are hidden where they repeat a
header, the query, the user's token, a known secret, or anything in quotes that stands in the body.
"""

import re
import traceback
from collections.abc import Iterable, Iterator
from typing import Final

from middleware.exchange import Body, Call

HIDDEN: Final = "***"
FRAMES: Final = 24
CHAIN: Final = 4
MESSAGE: Final = 300  # characters
PUBLIC: Final = frozenset(
    {"content-type", "accept", "accept-encoding", "content-length", "host", "connection"}
)
_QUOTED: Final = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;]+|\beyJ[\w-]{8,}(?:\.[\w-]*)*")


def told(
    error: BaseException, hidden: Iterable[str] = (), call: Call | None = None, *, words: bool = True
) -> str:
    """The exception and what led to it, innermost first, one frame a line; without `words`, not what it says."""
    secrets = sorted({*hidden, *(_carried(call) if call else ())}, key=len, reverse=True)
    body = call.body.raw if call and isinstance(call.body, Body) else b""
    blocks = ["\n".join([*_frames(one), _message(one, secrets, body, words)]) for one in _chain(error)]
    return "\nthen\n".join(blocks)


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with each of these, and whatever looks like a credential, made unreadable."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _BEARER.sub(HIDDEN, text)


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < CHAIN:
        last = chain[-1]
        before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if before is None or before in chain:
            break
        chain.append(before)
    return chain[::-1]


def _frames(error: BaseException) -> Iterator[str]:
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    for code, line in frames[-FRAMES:]:
        yield f'File "{code.co_filename}", line {line}, in {code.co_name}'


def _message(error: BaseException, secrets: Iterable[str], body: bytes, words: bool) -> str:
    if not words:
        return type(error).__qualname__
    try:
        text = str(error)
    except Exception:  # an exception that cannot even be printed is one more fault, not two
        text = "?"
    text = without(text, secrets)
    if body:
        text = _QUOTED.sub(lambda found: _unless_said(found, body), text)
    if len(text) > MESSAGE:
        text = text[:MESSAGE] + "…"
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def _unless_said(found: re.Match[str], body: bytes) -> str:
    words = found[1] or found[2]
    return HIDDEN if words.encode("utf-8", "replace") in body else found[0]


def _carried(call: Call) -> Iterator[str]:
    """What came with the call and is nobody's business."""
    for name, value in call.headers.items():
        if name.lower() not in PUBLIC and len(value) > 3:
            yield value
            yield from (part for part in value.split() if len(part) > 7)
    if call.caller.token:
        yield call.caller.token.reveal()
    yield from (text for text in (call.caller.email, call.caller.name) if text)
    if query := call.target.partition("?")[2]:
        yield query
        yield from (value for pair in query.split("&") if len(value := pair.partition("=")[2]) > 3)
