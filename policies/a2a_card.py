"""The card of an agent that has none: callers who speak A2A find it by this one, and we answer for it."""

from typing import Any, Final

MODES: Final = ["text/plain"]


def card(name: str, door: str) -> dict[str, Any]:
    """`door` is our JSON-RPC endpoint for this agent; clients of 0.3 read `url`, those of 1.0 the interfaces."""
    skill = {"id": "chat", "name": "Chat", "description": "Answers a question.", "tags": ["chat"]}
    return {
        "name": name,
        "description": f"Agent {name}",
        "version": "1.0.0",
        "protocolVersion": "0.3.0",
        "url": door,
        "preferredTransport": "JSONRPC",
        "supportedInterfaces": [
            {"url": door, "protocolBinding": "JSONRPC", "protocolVersion": version}
            for version in ("1.0", "0.3")
        ],
        "capabilities": {"streaming": True, "pushNotifications": False},
        "defaultInputModes": MODES,
        "defaultOutputModes": MODES,
        "skills": [skill],
    }
