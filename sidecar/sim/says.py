"""What an agent answers, as the items of a Responses output; how they are told is another matter."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sidecar.sim.prose import LONG, THOUGHT
from sidecar.sim.script import Scene

Item = dict[str, Any]

IDENTITY: Final = (
    "authorization",
    "x-forwarded-access-token",
    "x-app-user-email",
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "cookie",
    "traceparent",
    "x-request-id",
)
SECRET: Final = frozenset({"authorization", "x-forwarded-access-token", "cookie"})


def items(scene: Scene, text: str, headers: Mapping[str, str]) -> list[Item]:
    """The answer to `text`, which came with `headers`."""
    match scene.says:
        case "nothing":
            return []
        case "tool":
            asked = json.dumps({"city": "Zürich"}, ensure_ascii=False)
            return [call("weather", asked), result(json.dumps({"celsius": 21})), message(f"You said: {text}")]
        case "think":
            thought = {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": THOUGHT}],
                "id": "rs_1",
            }
            return [thought, message(f"You said: {text}")]
        case "long":
            return [message(LONG)]
        case "whoami":
            return [message(whoami(headers))]
        case "big":
            return [message("x" * int(scene.size * 1024))]
        case "flood":
            return [message("flood " * int(scene.size))]
    return [message(f"You said: {text}")]


def message(text: str) -> Item:
    content = [{"text": text, "type": "output_text", "annotations": []}]
    return {"id": "msg_1", "content": content, "role": "assistant", "type": "message"}


def call(name: str, arguments: str) -> Item:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments}


def result(output: str) -> Item:
    return {"type": "function_call_output", "call_id": "call_1", "output": output}


def spoken(item: Item) -> str:
    """The text of an item; empty for anything but a message."""
    return "".join(part["text"] for part in item["content"]) if item["type"] == "message" else ""


def pieces(text: str) -> list[str]:
    """The text as a model hands it out: word by word, the space behind."""
    return re.findall(r"\s*\S+\s*", text) if text else []


def whoami(headers: Mapping[str, str]) -> str:
    """Which identity reached the agent: values of names, only size and fingerprint of secrets."""
    return "What reached me:\n" + "\n".join(
        f"- {name}: {shown(name, headers.get(name))}" for name in IDENTITY
    )


def shown(name: str, value: str | None) -> str:
    if value is None:
        return "absent"
    if name not in SECRET:
        return value
    print_ = hashlib.sha256(value.encode()).hexdigest()[:8]
    return f"{len(value)} characters, sha256 {print_}…"
