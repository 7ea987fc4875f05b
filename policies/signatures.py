"""How somebody in front of an agent says what became of a request: data, extended by what is met."""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

# (statuses, what the beginning of the body says) of a proxy that found nobody to hand the request to.
# `connection termination` and `overflow` are missing on purpose: there the request may have been read.
NOT_STARTED: Final = (
    ({503}, r"no healthy upstream"),
    ({503}, r"reset reason: (remote |local )?connection (failure|timeout)"),
    ({502, 503, 504}, r"\bapp(lication)? (is )?(currently )?(not (available|running|ready)|unavailable)"),
    ({502, 503, 504}, r"\bapp(lication)? (is|has been) (starting|stopped|waking up)"),
)

# (statuses, what the error in the JSON says) of an agent, or of the model endpoint behind it, without streams.
_REFUSING: Final = {400, 404, 405, 406, 409, 415, 422, 500, 501}
_ABLE: Final = r"(supported|enabled|allowed|available|permitted|implemented|possible)"
STREAMING_REFUSED: Final = (
    (
        _REFUSING,
        rf"\bstream(s|ing|ed)?\b[^.\n]{{0,60}}(\bnot|n't|\bnever) ((yet|currently|be) )*{_ABLE}",
    ),
    (
        _REFUSING,
        r"\bstream(s|ing|ed)? (mode )?(is|are) (disabled|unsupported|turned off|forbidden)",
    ),
    (_REFUSING, rf"\bguardrails?\b[^.\n]{{0,60}}\bnot {_ABLE}[^.\n]{{0,40}}\bstream"),
    (
        _REFUSING,
        r"(\bnot|n't) ((yet|currently) )*(support|allow|permit|implement)[^.\n]{0,40}\b(predict_)?stream",
    ),
    (_REFUSING, r"(\bcannot|\bcan't|\bunable to) ((be|used|combined|with|in) )*(predict_)?stream"),
    ({400}, r"['\"`]stream['\"`] does not support true"),  # OpenAI
    ({500}, r"\bno stream function registered"),  # mlflow's AgentServer, of an agent that can only be invoked
)

_NOT_STARTED: Final = tuple(
    (statuses, re.compile(words.encode(), re.IGNORECASE)) for statuses, words in NOT_STARTED
)


def not_started(status: int, body: bytes) -> bool:
    """Whether this answer says, in words that are known, that the request reached no agent."""
    return any(status in statuses and words.search(body[:4096]) for statuses, words in _NOT_STARTED)


_STREAMING_REFUSED: Final = tuple(
    (statuses, re.compile(words, re.IGNORECASE)) for statuses, words in STREAMING_REFUSED
)


def streaming_refused(status: int, body: bytes) -> bool:
    """Whether this answer to a wish for a stream says that there is none to be had.

    Only what a JSON document gives as its error is read, never the prose of an answer.
    """
    known = [words for statuses, words in _STREAMING_REFUSED if status in statuses]
    try:
        errors = _errors(orjson.loads(body)) if known and len(body) <= 65536 else ()
        return any(words.search(text) for text in errors for words in known)
    except orjson.JSONDecodeError:
        return False


def _errors(value: Any, levels: int = 4) -> Iterator[str]:
    """The sentences in which a JSON document says what went wrong, without what pydantic quotes of the caller."""
    if isinstance(value, str):
        yield value.partition("input_value=")[0][:4000]
    elif isinstance(value, list) and levels:
        for part in value[:10]:
            yield from _errors(part, levels - 1) if isinstance(part, dict) else ()
    elif isinstance(value, dict) and levels:
        for key in ("error", "detail", "message", "error_message", "msg"):
            yield from _errors(value.get(key), levels - 1)
