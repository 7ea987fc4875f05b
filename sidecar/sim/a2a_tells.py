"""How each version of A2A says things: cards, tasks, updates, messages, errors."""

from typing import Any, Final

from sidecar.sim.a2a_plots import Update

Json = dict[str, Any]

METHODS: Final = {
    "0.3": {
        "message/send": "send",
        "message/stream": "stream",
        "tasks/get": "get",
        "tasks/cancel": "cancel",
        "tasks/resubscribe": "resubscribe",
        "agent/getAuthenticatedExtendedCard": "card",
    },
    "1.0": {
        "SendMessage": "send",
        "SendStreamingMessage": "stream",
        "GetTask": "get",
        "CancelTask": "cancel",
        "SubscribeToTask": "resubscribe",
        "GetExtendedAgentCard": "card",
    },
}
METHODS["0.2"] = METHODS["none"] = METHODS["0.3"]
WRAPPED: Final = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}


def card(version: str, name: str, url: str, *, streams: bool = True) -> Json:
    skill = {"id": name, "name": name, "description": f"It can {name}", "tags": [name]}
    about = {
        "name": name.title(),
        "description": f"{name.title()} Agent",
        "version": "1.0.0",
        "capabilities": {"streaming": streams},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [skill],
    }
    if version == "1.0":
        interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        return about | {"supportedInterfaces": [interface]}
    if version == "0.2":
        return about | {"protocolVersion": "0.2.6", "url": url}
    return about | {
        "protocolVersion": "0.3.0",
        "url": url,
        "preferredTransport": "JSONRPC",
        "provider": None,
        "additionalInterfaces": None,
    }


def state(version: str, plain: str) -> str:
    return f"TASK_STATE_{plain.upper().replace('-', '_')}" if version == "1.0" else plain


def parts(version: str, update: Update) -> list[Json]:
    told: list[Json] = []
    if update.text:
        told.append({"text": update.text} if version == "1.0" else {"kind": "text", "text": update.text})
    for part in update.parts:
        if version == "1.0":
            named = {"raw": "raw", "media": "mediaType", "name": "filename", "data": "data"}
            told.append({named[key]: value for key, value in part.items()})
        elif "data" in part:
            told.append({"kind": "data", "data": part["data"]})
        else:
            file = {"bytes": part["raw"], "mimeType": part["media"], "name": part["name"]}
            told.append({"kind": "file", "file": file})
    return told


def message(version: str, text: str, context: str, ident: str) -> Json:
    about = {"messageId": ident, "contextId": context, "parts": parts(version, Update(text))}
    return about | ({"role": "ROLE_AGENT"} if version == "1.0" else {"role": "agent", "kind": "message"})


def status(version: str, update: Update, context: str, ident: str) -> Json:
    told: Json = {"state": state(version, update.state), "timestamp": "2026-01-01T00:00:00Z"}
    if update.text:
        told["message"] = message(version, update.text, context, f"{ident}-{update.state}")
    return told


def result(version: str, kind: str, value: Json) -> Json:
    return {WRAPPED[kind]: value} if version == "1.0" else {"kind": kind} | value


def text(params: Any) -> str:
    """The text of a message that came, of any version."""
    return "".join(part.get("text", "") for part in params["message"].get("parts", []))
