"""The versions of A2A, told apart by an agent's card and by a caller's header, and what each calls things.

    0.2, 0.3   message/send, message/stream, tasks/…; `kind` says what a result is; states like `input-required`
    1.0        SendMessage, SendStreamingMessage, GetTask …; a result is wrapped in its name; `TASK_STATE_…`;
               the header `A2A-Version: 1.0` belongs to every request

What is read is read in either spelling, and in snake case, whatever version the agent says it speaks.
"""

import re
from typing import Any, Final, NamedTuple

from policies.jsonrpc import VERSION_NOT_SUPPORTED, Wrong
from policies.loose import Value, member, word

HEADER: Final = "A2A-Version"


class Tongue(NamedTuple):
    """What one version calls things. `version` is its header's value; empty: none is sent."""

    version: str
    send: str
    stream: str
    get: str
    cancel: str
    resubscribe: str


OLD: Final = Tongue("", "message/send", "message/stream", "tasks/get", "tasks/cancel", "tasks/resubscribe")
NEW: Final = Tongue("1.0", "SendMessage", "SendStreamingMessage", "GetTask", "CancelTask", "SubscribeToTask")

INTERRUPTED: Final = frozenset({"input-required", "auth-required"})  # the caller's turn
TERMINAL: Final = frozenset({"completed", "canceled", "failed", "rejected"})
OVER: Final = INTERRUPTED | TERMINAL
RUNNING: Final = frozenset({"submitted", "working"})
KINDS: Final = ("task", "message", "status-update", "artifact-update")

_NUMBER: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,5}))?(?:\.\d{1,5})?")
_SPEAKS: Final = frozenset({(0, 2), (0, 3), (1, 0)})


def of_card(version: str) -> Tongue:
    """How to speak to an endpoint whose card says this version; 0.3 where it says none."""
    found = _NUMBER.fullmatch(version.strip())
    return NEW if found and int(found[1]) >= 1 else OLD


def of_header(value: str | None) -> Tongue:
    """How a caller speaks, by its `A2A-Version`; without one it is 0.3. Raises Wrong -32009 for any other."""
    if value is None or not value.strip():
        return OLD
    found = _NUMBER.fullmatch(value.strip())
    if found is None or (int(found[1]), int(found[2] or 0)) not in _SPEAKS:
        raise Wrong(VERSION_NOT_SUPPORTED, "Versions 0.2, 0.3 and 1.0 are spoken here.")
    return NEW if found[1] == "1" else OLD


def field(value: Value, name: str) -> Any:
    """A member by its name, or by its name in snake case."""
    return value[name] if name in value else value.get(re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", name))


def state(status: Any) -> str:
    """The state of a status, in the words of 0.3; a status may be its state alone. Empty where there is none."""
    said = word(status.get("state") if isinstance(status, dict) else status)
    plain = said.removeprefix("TASK_STATE_").lower().replace("_", "-")
    return "canceled" if plain == "cancelled" else plain


def said_state(plain: str, tongue: Tongue) -> str:
    """The same for a caller of this version."""
    return f"TASK_STATE_{plain.upper().replace('-', '_')}" if tongue is NEW else plain


def heard(result: Any) -> tuple[str, Value]:
    """What a result is, one of `KINDS`, and its value; ("", {}) for what is none of them."""
    if not isinstance(result, dict):
        return "", {}
    if (kind := word(result.get("kind"))) in KINDS:
        return kind, result
    for kind, name in zip(KINDS, ("task", "message", "statusUpdate", "artifactUpdate"), strict=True):
        if (
            isinstance(inner := field(result, name), dict)
            and "parts" not in result
            and "status" not in result
        ):
            return kind, inner
    return _guessed(result), result


def _guessed(result: Value) -> str:
    """Not every agent says what it sends."""
    if "parts" in result:
        return "message"
    if "artifact" in result:
        return "artifact-update"
    if "status" in result:
        return "status-update" if field(result, "taskId") is not None and "id" not in result else "task"
    return "task" if "artifacts" in result else ""


def result(kind: str, value: Value, tongue: Tongue) -> Value:
    """A result for a caller of this version."""
    if tongue is OLD:
        return {"kind": kind} | value
    first, *rest = kind.split("-")
    value = {name: part for name, part in value.items() if name != "final"}
    return {first + "".join(map(str.title, rest)): value}


def says(message: Any, role: str = "agent") -> bool:
    """Whether a message is this role's."""
    return word(message.get("role") if isinstance(message, dict) else None).lower() in (role, f"role_{role}")


def streams(card: Value) -> bool:
    """Whether the agent says that it streams."""
    return member(card, "capabilities").get("streaming") is True
