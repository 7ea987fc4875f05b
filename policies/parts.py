"""The parts of a message's content, chat ↔ Responses.

    text                                          ↔  input_text, of an assistant output_text
    refusal (an assistant's)                      ↔  refusal
    image_url {image_url: {url, detail}}          ↔  input_image {image_url, detail}
    file {file: {file_id, filename, file_data}}   ↔  input_file {file_id, filename, file_data}

Unknown fields stay on their part. What has no counterpart is `Unsayable`.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

Json = dict[str, Any]


class Unsayable(Exception):
    """The other shape has no words for this; the text says for what."""


class Row(NamedTuple):
    """A part whose fields a chat keeps in an object of their own, and an item keeps flat."""

    chat: str  # the part's type, and the name of that object
    item: str
    fields: dict[str, str]  # in the object → in the item
    needed: frozenset[str]  # one of these in the item says what it is
    unknown: str  # in the item, and in no chat


IMAGE: Final = Row(
    "image_url", "input_image", {"url": "image_url", "detail": "detail"}, frozenset({"image_url"}), "file_id"
)
FILE: Final = Row(
    "file",
    "input_file",
    {"file_id": "file_id", "filename": "filename", "file_data": "file_data"},
    frozenset({"file_id", "file_data"}),
    "file_url",
)


def as_items(content: Any, role: str) -> str | list[Json]:
    """A chat message's content as an item has it."""
    return _each(content, lambda part: _as_item(part, role))


def as_chat(content: Any, role: str) -> str | list[Json]:
    """An item's content, or its output, as a chat message has it."""
    return _each(content, lambda part: _as_chat(part, role))


def with_rest(told: Json, rest: Json) -> Json:
    """The unknown fields behind the known ones; a known one is never overwritten."""
    return told | rest | told


def _each(content: Any, told: Callable[[Any], Json]) -> str | list[Json]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return [told(part) for part in content]
    raise Unsayable("content that is neither a string nor a list of parts")


def _as_item(part: Json, role: str) -> Json:
    match part:
        case {"type": "text", "text": str(text), **rest}:
            return with_rest(
                {"type": "output_text" if role == "assistant" else "input_text", "text": text}, rest
            )
        case {"type": "refusal", "refusal": str()} if role == "assistant":
            return dict(part)
        case {"type": IMAGE.chat, "image_url": str(url), **rest}:
            return with_rest({"type": IMAGE.item, "image_url": url}, rest)
        case {"type": IMAGE.chat, "image_url": {} as inner, **rest}:
            return _flat(IMAGE, inner, rest)
        case {"type": FILE.chat, "file": {} as inner, **rest}:
            return _flat(FILE, inner, rest)
    raise _unknown(part)


def _as_chat(part: Json, role: str) -> Json:
    match part:
        case {"type": "input_text" | "output_text", "text": str(text), **rest}:
            return with_rest({"type": "text", "text": text}, rest)
        case {"type": "refusal", "refusal": str()} if role == "assistant":
            return dict(part)
        case {"type": IMAGE.item, **rest}:
            return _nested(IMAGE, rest)
        case {"type": FILE.item, **rest}:
            return _nested(FILE, rest)
    raise _unknown(part)


def _flat(row: Row, inner: Json, rest: Json) -> Json:
    told = {row.fields.get(field, field): value for field, value in inner.items()}
    if row.needed.isdisjoint(told):
        raise Unsayable(f"a part of type {row.chat!r} without {' or '.join(sorted(row.needed))}")
    return with_rest({"type": row.item} | told, rest)


def _nested(row: Row, rest: Json) -> Json:
    if rest.pop(row.unknown, None) is not None:
        raise Unsayable(f"a part of type {row.item!r} with `{row.unknown}`")
    inner = {field: rest.pop(flat) for field, flat in row.fields.items() if flat in rest}
    inner = {field: value for field, value in inner.items() if value is not None}
    if not any(row.fields[field] in row.needed for field in inner):
        raise Unsayable(f"a part of type {row.item!r} without {' or '.join(sorted(row.needed))}")
    return with_rest({"type": row.chat, row.chat: inner}, rest)


def _unknown(part: Any) -> Unsayable:
    kind = part.get("type") if isinstance(part, dict) else None
    return Unsayable(f"a part of type {kind[:40]!r}" if isinstance(kind, str) else "a part without a type")
