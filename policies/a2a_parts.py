"""The parts of A2A messages and artifacts, and the content of chats, told as each other.

{kind: text, text}                            1.0 {text}                          ↔  text
{kind: file, file: {uri | bytes, mimeType,    1.0 {url | raw, mediaType,          ↔  input_image, input_file,
    name}}                                            filename}                       image_url, file
{kind: data, data}                            1.0 {data}                          →  its JSON as text
"""

import re
from typing import Any, Final, NamedTuple

from policies.a2a import NEW, Tongue, field
from policies.json_exact import dumps
from policies.loose import Value, dicts, member, word
from policies.parts import Unsayable

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)
_TEXTS: Final = ("text", "input_text", "output_text")
_WEB: Final = ("http://", "https://")


class File(NamedTuple):
    """A file by its address or by its content in base64, one of which is empty."""

    url: str = ""
    raw: str = ""
    media: str = ""
    name: str = ""


def said(text: str, tongue: Tongue) -> Value:
    return {"text": text} if tongue is NEW else {"kind": "text", "text": text}


def attached(file: File, tongue: Tongue) -> Value:
    if tongue is NEW:
        told = {"url": file.url, "raw": file.raw, "mediaType": file.media, "filename": file.name}
        return {name: value for name, value in told.items() if value}
    inner = {"uri": file.url, "bytes": file.raw, "mimeType": file.media, "name": file.name}
    return {"kind": "file", "file": {name: value for name, value in inner.items() if value}}


def file(part: Value) -> File | None:
    """The file that a part is; None where it is none."""
    inner = member(part, "file") or part
    url, raw = (
        word(inner.get("uri")) or word(inner.get("url")),
        word(inner.get("bytes")) or word(inner.get("raw")),
    )
    if not (url or raw):
        return None
    media = word(field(inner, "mimeType")) or word(field(inner, "mediaType"))
    return File(url, "" if url else raw, media, word(inner.get("name")) or word(inner.get("filename")))


def text(parts: Any) -> str:
    """What a reader is shown of an agent's parts: text as it is, data as JSON, a file by its name."""
    return "".join(map(_shown, dicts(parts)))


def files(parts: Any) -> list[File]:
    """The files of parts that bring their content, and not only an address."""
    return [one for part in dicts(parts) if (one := file(part)) is not None and one.raw]


def _shown(part: Value) -> str:
    if isinstance(part.get("text"), str):
        return word(part["text"])
    if (one := file(part)) is not None:
        name = one.name or one.media or "file"
        return f"[{name}]({one.url})" if one.url.startswith(_WEB) else f"[{name}]"
    if part.get("data") is not None:
        try:
            return f"\n```json\n{dumps(part['data']).decode()}\n```\n"
        except ValueError:
            return ""
    return ""


def parts(content: Any, tongue: Tongue) -> list[Value]:
    """A chat's content as parts. Raises Unsayable."""
    if isinstance(content, str):
        return [said(content, tongue)]
    if isinstance(content, list):
        return [_part(part, tongue) for part in content]
    raise Unsayable("content that is neither a string nor a list of parts")


def _part(part: Any, tongue: Tongue) -> Value:
    kind = part.get("type") if isinstance(part, dict) else None
    match part:
        case {"type": str(kind), "text": str(told)} if kind in _TEXTS:
            return said(told, tongue)
        case {"type": "image_url", "image_url": {"url": str(url)}} | {
            "type": "image_url" | "input_image",
            "image_url": str(url),
        }:
            return attached(_addressed(url, "image/*"), tongue)
        case {"type": "file", "file": dict(inner)} | ({"type": "input_file"} as inner):
            return attached(_file(inner), tongue)
        case {"type": "input_audio", "input_audio": {"data": str(raw), "format": str(name)}}:
            return attached(File(raw=raw, media=f"audio/{name}"), tongue)
    raise Unsayable(f"a part of type {kind[:40]!r}" if isinstance(kind, str) else "a part without a type")


def _file(inner: Value) -> File:
    given = word(inner.get("file_url")) or word(inner.get("file_data"))
    if not given:
        raise Unsayable("a file that is neither there nor addressed")
    found = _addressed(given) if ":" in given[:10] else File(raw=given)
    return found._replace(name=word(inner.get("filename")))


def _addressed(url: str, media: str = "") -> File:
    """What lies at an address, which may be one that holds it."""
    if held := _DATA_URL.fullmatch(url):
        return File(raw=held[2], media=held[1] or media)
    return File(url=url, media=media)


def content(parts: Any) -> str | list[Value]:
    """A caller's parts as the content of a Responses turn: one text, or a list. Raises Unsayable."""
    if not isinstance(parts, list) or not parts:
        raise Unsayable("a message without parts")
    told = [_input(part) for part in parts]
    only = told[0] if len(told) == 1 else {}
    return only["text"] if only.get("type") == "input_text" else told


def _input(part: Any) -> Value:
    if not isinstance(part, dict):
        raise Unsayable("a part that is no object")
    if isinstance(part.get("text"), str):
        return {"type": "input_text", "text": part["text"]}
    if (one := file(part)) is not None:
        media = one.media or "application/octet-stream"
        if media.startswith("image/"):
            return {"type": "input_image", "image_url": one.url or f"data:{media};base64,{one.raw}"}
        named = {"filename": one.name} if one.name else {}
        given = {"file_url": one.url} if one.url else {"file_data": f"data:{media};base64,{one.raw}"}
        return {"type": "input_file", **named, **given}
    if part.get("data") is not None:
        return {"type": "input_text", "text": dumps(part["data"]).decode()}
    raise Unsayable("a part that is neither text nor file nor data")
