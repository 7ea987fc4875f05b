"""The body of an error: everything to an operator, one sentence without names to a browser."""

from typing import Any, Final

from policies import outcome
from policies.refusal import Refusal

# Bodies that clients compare word for word (the recipe's contract): nothing is ever added to them.
EXACT: Final[dict[str, dict[str, Any]]] = {
    "invalid_body_shape": {"error": "invalid_body_shape", "accepted": ["input", "messages"]},
    "not_configured": {"error": "AGENT_APP_URL is not configured"},
}


def body(refusal: Refusal, *, full: bool) -> dict[str, Any]:
    """`{"error", "detail", "hint", "agent_status", …}` as far as there is something to say."""
    if exact := EXACT.get(refusal.code):
        return exact
    said: dict[str, Any] = {"error": refusal.code, "detail": outcome.sentence(refusal.code)}
    if full:
        said["detail"] = refusal.detail or said["detail"]
        if refusal.hint:
            said["hint"] = refusal.hint
    if refusal.agent_status is not None:
        said["agent_status"] = refusal.agent_status
    return said | refusal.extra


def message(refusal: Refusal, *, full: bool) -> str:
    """One sentence, for a place that has room for one: the last frame of a stream."""
    return (full and refusal.detail) or outcome.sentence(refusal.code)
