"""Reading JSON that others wrote: it may be anything, and must never be a reason to fail."""

from typing import Any

Value = dict[str, Any]


def dicts(value: Any) -> list[Value]:
    """The objects of a list; none where it is no list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def member(value: Any, key: str) -> Value:
    """An object inside an object; an empty one where there is none."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def word(value: Any, default: str = "") -> str:
    return value if isinstance(value, str) and value else default


def text(content: Any) -> str:
    """The text of a message's content, which is a text or a list of parts."""
    return word(content) or "".join(word(part.get("text")) for part in dicts(content))
