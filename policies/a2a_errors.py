"""What a JSON-RPC error of an A2A agent means to a caller of chats, who knows nothing of JSON-RPC.

The agent's sentence goes on as its own words. A caller who speaks A2A gets the error itself, untouched.
"""

from typing import Any, Final

from policies.loose import member, word
from policies.refusal import Refusal

# code → (status, code of ours); every other is the agent's own failure. So is -32004, an operation that it does not
# support: HTTP's word for it would be 501, and no outcome has that status (an agent's 5xx is 502, a refusal a 4xx).
MEANINGS: Final = {
    -32600: (400, "agent_refused"),
    -32602: (400, "agent_refused"),
    -32001: (404, "agent_refused"),  # no such task
    -32002: (409, "agent_refused"),  # not cancelable
    -32005: (415, "agent_refused"),  # no such content type
}
NO_STREAM: Final = frozenset({-32601, -32004})  # asked to stream: it does not
STALE_CARD: Final = frozenset({-32601, -32009})  # asked otherwise: it is another version than its card said
STALE_TASK: Final = frozenset(
    {-32001, -32602, -32004}
)  # asked to go on: it has forgotten, or the task is over
NEVER_RESUMES: Final = frozenset({-32601, -32004})


def code(value: Any) -> int | None:
    """The code of an error; None where an answer holds none."""
    error = value.get("error") if isinstance(value, dict) else None
    if error is None or error is False:
        return None
    said = member(value, "error").get("code")
    return said if isinstance(said, int) else 0


def refusal(value: Any) -> Refusal:
    """An answer that is an error, told to a caller of chats."""
    error = member(value, "error")
    number = code(value) or 0
    status, name = MEANINGS.get(number, (502, "agent_error"))
    said = word(error.get("message")) or word(value.get("error") if isinstance(value, dict) else None)
    data = word(error.get("data"))
    detail = f"{said or 'The agent gave no reason.'} ({number}){f': {data}' if data else ''}"
    return Refusal(status, name, detail=detail[:1000], quotes=True, agent_status=200)
