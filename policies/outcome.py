"""How a call can end: the closed list that metrics, logs, docs/errors.md and alerts share. It says who broke.

The first table is the label `outcome`. The second names the codes that fold into `refused_input`: what a
caller did wrong, each with its own sentence. The third names those that fold into another outcome. Sentences
name no host and no agent, so that a browser may read them; cause and next step come from `policies.hints`.
"""

from typing import Final, Literal, NamedTuple

Who = Literal["nobody", "caller", "sidecar", "agent", "frontend"]


class Outcome(NamedTuple):
    """One row: the status a caller gets where nothing was sent yet (None: the status is not ours to say)."""

    status: int | None
    who: Who
    sentence: str


OUTCOMES: Final[dict[str, Outcome]] = {
    "ok": Outcome(None, "nobody", "The answer was delivered whole."),
    "refused_input": Outcome(
        None, "caller", "The request was refused before anything was sent to the agent."
    ),
    "agent_refused": Outcome(None, "agent", "The agent refused the request."),
    "agent_failed": Outcome(502, "agent", "The agent failed while working on the request."),
    "agent_error": Outcome(502, "agent", "The agent reported an error inside its answer."),
    "agent_broke_off": Outcome(502, "agent", "The agent broke off its answer."),
    "truncated": Outcome(502, "agent", "The agent's answer ended without its closing mark."),
    "agent_unreachable": Outcome(502, "agent", "The agent could not be reached."),
    "agent_unavailable": Outcome(503, "agent", "The agent did not start in time."),
    "agent_tls_error": Outcome(502, "agent", "The agent's certificate was not accepted."),
    "agent_protocol_error": Outcome(502, "agent", "The agent answered in a way that HTTP does not allow."),
    "agent_too_large": Outcome(502, "agent", "The agent's answer was larger than is allowed."),
    "agent_connect_timeout": Outcome(504, "agent", "Connecting to the agent took too long."),
    "agent_first_byte_timeout": Outcome(504, "agent", "The agent did not begin to answer in time."),
    "agent_gap_timeout": Outcome(504, "agent", "The agent fell silent in the middle of its answer."),
    "agent_total_timeout": Outcome(504, "agent", "The agent did not finish its answer in time."),
    "agent_login_page": Outcome(502, "agent", "The agent's address answered with a login page."),
    "agent_unauthorized": Outcome(502, "agent", "The agent did not accept the app's credentials."),
    "agent_forbidden": Outcome(403, "agent", "The app has no permission to use the agent."),
    "credential_unavailable": Outcome(503, "sidecar", "No valid credential for the agent is at hand."),
    "overloaded": Outcome(503, "sidecar", "Too many calls are waiting; try again shortly."),
    "relay_closed": Outcome(403, "sidecar", "This path is closed by the configuration."),
    "caller_left": Outcome(499, "caller", "The caller left before the answer was complete."),
    "caller_stalled": Outcome(None, "caller", "The caller stopped reading the answer."),
    "draining": Outcome(503, "sidecar", "The service is being restarted; try again shortly."),
    "loop_detected": Outcome(508, "sidecar", "The request came back to where it started."),
    "not_configured": Outcome(500, "sidecar", "No agent is configured."),
    "frontend_starting": Outcome(503, "frontend", "The app is starting; try again shortly."),
    "frontend_unreachable": Outcome(502, "frontend", "The app could not be reached."),
    "frontend_broke_off": Outcome(502, "frontend", "The app broke off its answer."),
    "frontend_timeout": Outcome(504, "frontend", "The app did not answer in time."),
    "internal_error": Outcome(500, "sidecar", "Something went wrong on our side."),
}

# What a caller can get wrong: code → (status, sentence). All count as `refused_input`.
REFUSED_INPUT: Final[dict[str, tuple[int, str]]] = {
    "bad_request": (400, "The request is not valid HTTP."),
    "invalid_body_shape": (400, "The body has neither `input` nor a list of `messages`."),
    "ambiguous_body": (400, "The body has both `input` and a list of `messages`."),
    "invalid_json": (400, "The body is not valid JSON."),
    "duplicate_key": (400, "The body names one of `input`, `messages`, `stream` twice."),
    "too_deep": (400, "The body is nested more than 200 levels deep."),
    "too_many_keys": (400, "The body has more than 100,000 members."),
    "unsupported_content": (400, "The body has a part that the agent's shape cannot say."),
    "no_chat": (400, "This agent is called in its own protocol, and takes no chats."),
    "duplicate_identity_header": (400, "An identity header came twice, or spelled with an underscore."),
    "invalid_path": (400, "The path holds a character or an escape that is not accepted."),
    "user_token_required": (401, "This agent needs the user's own token, and none came with the request."),
    "user_token_refused": (401, "The workspace did not accept the token that came with the request."),
    "caller_not_named": (401, "Nobody has said who is calling, and this path is for named callers."),
    "agent_access_denied": (403, "The caller may not use this agent."),
    "cross_site": (403, "A page of another site may not make this request."),
    "egress_key_required": (403, "This door needs its key in front of the path."),
    "identity_in_body": (403, "The body may not say who the user is."),
    "instructions_closed": (403, "The agent's instructions may not be replaced by its callers."),
    "no_such_route": (404, "There is nothing at this path."),
    "no_such_session": (404, "There is no such session, or it is not yours."),
    "unknown_agent": (404, "There is no agent of this name."),
    "no_such_call": (404, "There is no record of this call, or it is not yours."),
    "method_not_allowed": (405, "This path does not take this method."),
    "head_timeout": (408, "The request's head did not arrive in time."),
    "body_timeout": (408, "The request's body stopped arriving."),
    "body_too_large": (413, "The body is larger than is allowed."),
    "uri_too_long": (414, "The request line is longer than is allowed."),
    "unsupported_media_type": (415, "The body must be JSON and say so in its Content-Type."),
    "unsupported_expectation": (417, "The only expectation met here is `100-continue`."),
    "misdirected_host": (421, "This Host is not served here."),
    "headers_too_large": (431, "The request's headers are larger than is allowed."),
}

# Codes that say more than the outcome under which they count: code → (outcome, status, sentence).
FINER: Final[dict[str, tuple[str, int, str]]] = {
    "agent_auth_required": (
        "agent_error",
        502,
        "The agent waits for an authorization that its user gives elsewhere.",
    ),
    "agent_run_lost": ("truncated", 502, "The agent has lost this run, and its answer was not kept."),
    "agent_card_invalid": ("agent_failed", 502, "The agent's card cannot be read."),
    "agent_card_elsewhere": ("agent_failed", 502, "The agent's card leads to another place than the agent."),
    "agent_address_refused": ("agent_unreachable", 502, "The agent's registered address may not be called."),
    "connection_incomplete": ("agent_unreachable", 502, "The agent's registration lacks an option."),
    "app_unresolved": ("agent_unreachable", 502, "The workspace could not say where the agent's app is."),
    "catalog_unavailable": (
        "credential_unavailable",
        503,
        "The workspace could not say which agents there are.",
    ),
}

Ending = str
"""A key of OUTCOMES: how an exchange ended, as `Reply.close` is told."""


def outcome(code: str) -> str:
    """The outcome under which a refusal's code is counted."""
    if code in OUTCOMES:
        return code
    return FINER[code][0] if code in FINER else "refused_input"


def sentence(code: str) -> str:
    """What anybody may read about this code."""
    if code in OUTCOMES:
        return OUTCOMES[code].sentence
    if code in FINER:
        return FINER[code][2]
    return REFUSED_INPUT[code][1] if code in REFUSED_INPUT else OUTCOMES["internal_error"].sentence


def status(code: str) -> int:
    """The HTTP status that belongs to this code."""
    if code in REFUSED_INPUT:
        return REFUSED_INPUT[code][0]
    if code in FINER:
        return FINER[code][1]
    return OUTCOMES[code].status or 500 if code in OUTCOMES else 500


def of_leaving(error: BaseException) -> Ending:
    """How an exchange ended that was cancelled: the outcome that whoever cancelled it says, or its caller has left."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, str) and said in OUTCOMES else "caller_left"


def of_answer(agent_status: int) -> str:
    """The outcome of an answer that went on as the agent gave it."""
    if agent_status < 400:
        return "ok"
    return "agent_refused" if agent_status < 500 else "agent_failed"
