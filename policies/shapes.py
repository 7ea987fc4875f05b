"""A question is told as `messages` or as `input`: one as the other, and which one a refusal asks for."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import orjson

from policies import turns
from policies.body import without
from policies.json_spans import members

Shape = Literal["input", "messages"]
_SHAPES: Final[tuple[Shape, ...]] = ("input", "messages")

# How a validation names the field it wants. Texts are matched at their beginning only: further in, validators
# quote what they were given, and that is somebody's own words.
_MLFLOW: Final = re.compile(r"Invalid (parameters|data) for ResponsesAgent")
_TEXTS: Final = (
    re.compile(
        r"\W*(?:field |property )?\W?(input|messages)\W? (?:is |field )?(?:required|missing|must be)", re.I
    ),
    re.compile(
        r"(?:missing|required)(?: required)?(?: field| key| parameter)?\W{1,3}(input|messages)\b", re.I
    ),
    re.compile(r"\d+ validation errors? for \w+\s+(input|messages)\b"),  # pydantic's own text
)
_TEXT_AT: Final = ("detail", "error", "message")
_FAULTS_AT: Final = ("detail", "details", "errors")
_PATH_AT: Final = ("loc", "path")  # FastAPI and pydantic; zod


def translate(raw: bytes, value: Any, to: Shape) -> bytes:
    """The body with its question told in this shape; the same object where it has that shape, or neither.

    `value` is what `raw` reads as. Every byte outside of that one member stays, and every number inside.
    A string `input` is a shape of its own and becomes one user message; `input` wins where both are there.
    Raises Refusal 400 `unsupported_content`, its `index` naming the message or item without a counterpart.
    """
    if not isinstance(value, dict) or isinstance(value.get(to), list):
        return raw
    source = _source(value, to)
    if source is None:
        return raw
    key, told = source
    if key != to and to in value:  # there, and no list
        raw = without(raw, to)
        value = {name: part for name, part in value.items() if name != to}
    if orjson.dumps(value) == raw:  # it prints as it came: printing it again loses nothing
        return orjson.dumps(
            dict((to, told(part)) if name == key else (name, part) for name, part in value.items())
        )
    old = next(member for member in members(raw) if member.key == key)
    number = orjson.Fragment  # goes out as it came in
    part = json.loads(raw[old.value : old.end], parse_int=number, parse_float=number)
    return b'%b"%b":%b%b' % (raw[: old.start], to.encode(), orjson.dumps(told(part)), raw[old.end :])


def _source(value: dict[str, Any], to: Shape) -> tuple[Shape, Callable[[Any], list[Any]]] | None:
    """The member that holds the question, and how it is told in the other shape."""
    if isinstance(value.get("input"), str):
        return "input", _one_message
    if to == "messages" and isinstance(value.get("input"), list):
        return "input", turns.messages
    if to == "input" and isinstance(value.get("messages"), list):
        return "messages", turns.items
    return None


def _one_message(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def asked_for(status: int, answer: Any) -> tuple[Shape, ...]:
    """The shapes that an agent's answer asks for.

    None unless it is a 400 or 422 that names the field: then its validation refused, and nothing ran.
    """
    if status not in (400, 422) or not isinstance(answer, dict):
        return ()
    named = set(_named(answer))
    return tuple(shape for shape in _SHAPES if shape in named)


def _named(answer: dict[str, Any]) -> Iterator[str]:
    for at in _TEXT_AT:
        text = answer.get(at)
        if isinstance(text, dict):  # {"error": {"message": …}}
            text = text.get("message")
        if isinstance(text, str):
            yield from _in_text(text)
    for at in _FAULTS_AT:
        faults = answer.get(at)
        if isinstance(faults, dict):  # AppKit: {"details": {"input": ["Required"]}}
            yield from faults
        for fault in faults if isinstance(faults, list) else ():
            yield from _in_fault(fault)


def _in_text(text: str) -> Iterator[str]:
    if _MLFLOW.match(text):
        yield "input"
    for pattern in _TEXTS:
        if found := pattern.match(text):
            yield found[1].lower()


def _in_fault(fault: Any) -> Iterator[str]:
    if not isinstance(fault, dict) or fault.get("type") == "extra_forbidden":
        return
    for at in _PATH_AT:
        path = fault.get(at)
        if isinstance(path, list):
            yield from (step for step in path[:2] if isinstance(step, str))
