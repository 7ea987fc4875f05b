"""Every tongue that is built in, by name: callers' are chosen by the path, agents' by their `KIND`."""

from typing import Final

from middleware.dialects.apx import apx
from middleware.dialects.chat import chat
from middleware.dialects.dialect import Dialect
from middleware.dialects.mcp import mcp, relay
from middleware.dialects.responses import responses
from middleware.sessions import Sessions

KINDS: Final = frozenset({"apx", "mcp", "responses"})  # what agents speak


def spoken(errors: str | None = None) -> dict[str, Dialect]:
    """One set for a process; `errors` is SIDECAR_ERRORS."""
    through_mcp = relay(Sessions())
    return {
        "chat": chat(errors),
        "responses": responses(errors),
        "apx": apx(errors, mcp=through_mcp),
        "mcp": mcp(through_mcp, errors),
    }
