"""What an agent's answer means to a caller who was promised JSON or SSE."""

from typing import Final

from policies import hints
from policies.agent import Agent
from policies.outcome import status as status_of
from policies.refusal import Refusal

# Refusals of the agent's own that a caller can act on: they pass with status, body and Retry-After.
PASSING: Final = frozenset({400, 404, 409, 413, 422, 429})


def is_json(content_type: str) -> bool:
    if content_type == "application/json":  # as nearly everybody says it
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def is_sse(content_type: str) -> bool:
    return content_type[:17].lower() == "text/event-stream"


def is_html(content_type: str) -> bool:
    return "html" in content_type[:40].lower()


def refused(agent: Agent, status: int, content_type: str, text: str = "") -> Refusal | None:
    """None where the answer may go on as it is; else what to say instead.

    `text` is the beginning of the agent's body: read for hints, shown to operators, never to a browser.
    """
    if status < 300:
        if is_json(content_type) or is_sse(content_type):
            return None
        code = "agent_login_page" if is_html(content_type) else "agent_protocol_error"
    elif status < 400:
        code = "agent_login_page"
    elif status == 401:
        code = "agent_unauthorized"
    elif status == 403:
        code = "agent_forbidden"
    elif status in PASSING and is_json(content_type):
        return None
    elif status == 508:
        code = "loop_detected"  # told by the sidecar to which the call came back
    else:
        code = "agent_failed"
    reason = "" if status >= 300 else f"content type {content_type[:60] or 'missing'}"
    detail, hint = hints.explain(code, agent=agent, status=status, reason=reason, text=text)
    return Refusal(status_of(code), code, detail=detail, hint=hint, agent_status=status)


def login_page(agent: Agent, status: int, content_type: str) -> Refusal | None:
    """The one judgement that agent paths make too: a 200 in HTML is no agent's answer to a chat."""
    return refused(agent, status, content_type) if status < 300 and is_html(content_type) else None
