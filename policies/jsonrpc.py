"""JSON-RPC 2.0 as A2A callers send it: what a body asks for, and how it is answered.

The rules are those of JSON-RPC: an id is a string, a number or null and goes back as it came; a request without
one is a notification, which is not answered; a list is a batch. Whoever leaves out `jsonrpc` means 2.0.
"""

from typing import Any, Final, NamedTuple

from policies import body
from policies.json_exact import dumps, loads
from policies.json_spans import members
from policies.loose import Value
from policies.refusal import Refusal

STREAMED: Final = {"message/send": "message/stream", "SendMessage": "SendStreamingMessage"}
STREAMS: Final = frozenset(STREAMED.values())
CARDS: Final = frozenset({"agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"})
LARGEST_BATCH: Final = 20

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
TASK_NOT_FOUND: Final = -32001
NOT_CANCELABLE: Final = -32002
NO_PUSH: Final = -32003
UNSUPPORTED: Final = -32004
NO_EXTENDED_CARD: Final = -32007
VERSION_NOT_SUPPORTED: Final = -32009

SAID: Final = {
    PARSE_ERROR: "Invalid JSON payload",
    INVALID_REQUEST: "Request payload validation error",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid parameters",
    INTERNAL_ERROR: "Internal error",
    TASK_NOT_FOUND: "Task not found",
    NOT_CANCELABLE: "Task cannot be canceled",
    NO_PUSH: "Push Notification is not supported",
    UNSUPPORTED: "This operation is not supported",
    NO_EXTENDED_CARD: "Authenticated Extended Card is not configured",
    VERSION_NOT_SUPPORTED: "A2A version is not supported",
}


class Wrong(Exception):
    """A request that is answered with an error: its code, in words of `SAID` or others, and whose id it was."""

    def __init__(self, code: int, data: str | None = None, ident: Any = None) -> None:
        super().__init__(code)
        self.code, self.data, self.ident = code, data, ident


class Request(NamedTuple):
    """One request. `params` is what came, of any type, or None."""

    method: str
    params: Any
    ident: Any = None
    notification: bool = False


def document(raw: bytes) -> Any:
    """The JSON of a body, within the bounds of any body of ours. Raises Wrong."""
    try:
        body.read(raw)
        return loads(raw)
    except Refusal as refusal:
        bad = refusal.code == "invalid_json"
        raise Wrong(PARSE_ERROR if bad else INVALID_REQUEST, refusal.detail or refusal.hint) from None


def request(value: Any) -> Request:
    """One request of a document. Raises Wrong, with its id where it has a legal one."""
    if not isinstance(value, dict):
        raise Wrong(INVALID_REQUEST, "A request is a JSON object.")
    ident = value.get("id")
    if isinstance(ident, bool) or not isinstance(ident, str | int | float | None):
        raise Wrong(INVALID_REQUEST, "An id is a string, a number or null.")
    if value.get("jsonrpc", "2.0") != "2.0":
        raise Wrong(INVALID_REQUEST, 'Say "jsonrpc": "2.0".', ident)
    method = value.get("method")
    if not isinstance(method, str):
        raise Wrong(INVALID_REQUEST, "A request names a method.", ident)
    return Request(method, value.get("params"), ident, "id" not in value)


def batch(value: Any) -> list[Any] | None:
    """The requests of a batch; None where it is none. Raises Wrong for an empty one, and a large one."""
    if not isinstance(value, list):
        return None
    if not value:
        raise Wrong(INVALID_REQUEST, "A batch holds at least one request.")
    if len(value) > LARGEST_BATCH:
        raise Wrong(INVALID_REQUEST, f"A batch holds at most {LARGEST_BATCH} requests.")
    return value


def result(ident: Any, value: Any) -> Value:
    return {"jsonrpc": "2.0", "id": ident, "result": value}


def error(wrong: Wrong) -> Value:
    said: Value = {"code": wrong.code, "message": SAID.get(wrong.code, "Error")}
    if wrong.data is not None:
        said["data"] = wrong.data
    return {"jsonrpc": "2.0", "id": wrong.ident, "error": said}


def asked(method: str, params: Value, ident: str) -> bytes:
    """A request of ours."""
    return dumps({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})


def method(raw: bytes) -> str:
    """What a body asks for, if it is one request that can be read; else nothing."""
    try:
        return request(document(raw)).method
    except Wrong:
        return ""


def wants_stream(raw: bytes, target: str, kind: str) -> bool | None:
    """Whether the caller wants its answer as it grows. None for an agent that speaks A2A itself: a relay.

    `target` is what lies behind the agent's name: at `/stream` a message is streamed by whatever name it is sent.
    """
    if kind == "a2a":
        return None
    wanted = method(raw)
    return wanted in STREAMS or (at_stream(target) and wanted in STREAMED)


def at_stream(target: str) -> bool:
    return target.partition("?")[0] == "/stream"


def streamed(raw: bytes) -> bytes:
    """The body with the method that streams where it has the one that does not; every other byte stays."""
    try:
        value = loads(raw)
        told = STREAMED.get(value.get("method", "")) if isinstance(value, dict) else None
    except (ValueError, TypeError):
        return raw
    if told is None:
        return raw
    old = [member for member in members(raw) if member.key == "method"][-1]
    return raw[: old.value] + dumps(told) + raw[old.end :]


def asks_for_card(raw: bytes) -> bool:
    """Whether the answer will hold the agent's extended card."""
    return any(name.encode() in raw for name in CARDS) and method(raw) in CARDS
