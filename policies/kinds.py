"""What kind of agent answers at an address, told from what it says at a few paths that cost it nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Final

KINDS: Final = ("responses", "a2a", "apx", "builder")
_APX: Final = ("schemaVersion", "mcpEndpoint")
_A2A: Final = (
    "protocolVersion",
    "protocolVersions",
    "preferredTransport",
    "defaultInputModes",
    "supportedInterfaces",
)


def _mlflow(told: Mapping[str, Any]) -> str | None:
    return "responses" if told.get("use_case") else None


def _carded(told: Mapping[str, Any]) -> str | None:
    """An apx app's card looks like an A2A card, and no JSON-RPC is served where it points."""
    capabilities = told.get("capabilities")
    apx = isinstance(capabilities, Mapping) and capabilities.get("a2aVersion")
    if apx or any(told.get(name) is not None for name in _APX):
        return "apx"
    return "a2a" if any(told.get(name) is not None for name in _A2A) else None


def _builder(told: Mapping[str, Any]) -> str | None:
    return "builder" if told.get("status") == "healthy" else None


QUESTIONS: Final[dict[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "/agent/info": _mlflow,
    "/.well-known/agent-card.json": _carded,
    "/.well-known/agent.json": _carded,
    "/api/config/health": _builder,
}
"""Paths in the order in which they are asked (GET), and who says what there."""


def kind(path: str, status: int, told: Any) -> str | None:
    """What an answer to one of the questions shows; None where it shows nothing, and the next is to be asked."""
    return QUESTIONS[path](told) if status == 200 and isinstance(told, Mapping) else None
