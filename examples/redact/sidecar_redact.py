"""Masks e-mail addresses and keys in what a user writes, before it leaves for an agent."""

import re
from collections.abc import Callable
from typing import Any, Final

from sidecar.api import Body, Call, Handler, Kit, Middleware, Refusal, Reply

EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
KEY: Final = re.compile(
    r"\b(?:dapi[0-9a-f]{32}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|sk-[A-Za-z0-9_-]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)"
)


Mask = Callable[[str], str]


def redact(kit: Kit) -> Middleware:
    """Stands before `default`. What SIDECAR_PLUGIN_REDACT__PATTERN matches leaves as `[masked]`, too."""
    masks = [(EMAIL, "[email]"), (KEY, "[key]")]
    if pattern := kit.env.get("PATTERN"):
        masks.append((re.compile(pattern), "[masked]"))

    def masked(text: str) -> str:
        for pattern, mask in masks:
            text = pattern.sub(mask, text)
        return text

    async def middleware(call: Call, forward: Handler) -> Reply:
        if not isinstance(call.body, Body):
            return await forward(call)  # a relay's upload, which this plug-in does not ask to see
        try:
            said = call.body.value
        except ValueError:
            raise Refusal(400, "invalid_json") from None  # unread is unmasked, and does not leave
        clean = _chat(said, masked)
        if clean == said:
            return await forward(call)  # the very bytes that came
        kit.recorder.note(call, "redacted", True)
        return await forward(call._replace(body=Body(value=clean)))

    return middleware


def _chat(body: Any, mask: Mask) -> Any:
    """The chat with its users' words masked; everything else as it was."""
    if not isinstance(body, dict):
        return body
    clean = dict(body)
    if isinstance(body.get("input"), str):
        clean["input"] = mask(body["input"])
    for key in ("input", "messages"):
        if isinstance(body.get(key), list):
            clean[key] = [_message(item, mask) for item in body[key]]
    return clean


def _message(item: Any, mask: Mask) -> Any:
    if not isinstance(item, dict) or item.get("role") != "user":
        return item
    content = item.get("content")
    if isinstance(content, str):
        return item | {"content": mask(content)}
    if isinstance(content, list):
        return item | {"content": [_part(part, mask) for part in content]}
    return item


def _part(part: Any, mask: Mask) -> Any:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return part | {"text": mask(part["text"])}
    return part
