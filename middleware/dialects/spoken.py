"""Every tongue that is built in, by name: callers' are chosen by the path, agents' by their `KIND`."""

from collections.abc import Iterable
from typing import Final

from middleware.dialects.a2a import a2a
from middleware.dialects.apx import apx
from middleware.dialects.builder import builder
from middleware.dialects.chat import chat
from middleware.dialects.dialect import Dialect
from middleware.dialects.mcp import mcp, relay
from middleware.dialects.responses import responses
from middleware.observe import Recorder
from middleware.sessions import Sessions

KINDS: Final = frozenset({"a2a", "apx", "builder", "mcp", "responses"})  # what agents speak


def spoken(
    errors: str | None = None, *, origins: Iterable[str] = (), recorder: Recorder | None = None
) -> dict[str, Dialect]:
    """One set for a process; `errors` is SIDECAR_ERRORS, `origins` SIDECAR_UC_ORIGINS."""
    through_mcp = relay(Sessions())
    return {
        "chat": chat(errors),
        "responses": responses(errors),
        "a2a": a2a(errors, origins=frozenset(origins), recorder=recorder),
        "apx": apx(errors, mcp=through_mcp),
        "builder": builder(errors),
        "mcp": mcp(through_mcp, errors),
    }
