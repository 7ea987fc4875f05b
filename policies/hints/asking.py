"""What a caller did wrong, and what to do instead."""

from typing import Final

from policies import outcome
from policies.hints.facts import SCOPES, Cause, always

NEXT: Final[dict[str, str]] = {
    "bad_request": "`curl -v` shows what a valid request looks like.",
    "invalid_body_shape": 'Send {{"input": …}} or {{"messages": [ … ]}}.',
    "ambiguous_body": "Send one of the two. SIDECAR_BOTH_SHAPES=input takes `input`, and leaves `messages` out.",
    "invalid_json": "Check the body with `python3 -m json.tool`; it must be one JSON value in UTF-8.",
    "duplicate_key": "Send each of `input`, `messages`, `stream` once.",
    "too_deep": "Flatten the body.",
    "too_many_keys": "Send less in one body.",
    "unsupported_content": "Leave that part out, or set {key}__SHAPE=as-is, which sends the body as it came.",
    "no_chat": "Connect an MCP client to `/agents/<name>/mcp`; chat with an agent of another kind.",
    "duplicate_identity_header": "Send each identity header once, and with hyphens.",
    "invalid_path": "Write the path without %00, %5c and backslashes.",
    "user_token_required": SCOPES
    + " The app's own server hands that header on; on a laptop there is SIDECAR_DEV_TOKEN=profile:<name>.",
    "user_token_refused": "Have the user open the page anew, or get a new token: `databricks auth token`.",
    "caller_not_named": "Call through the platform, which says who calls, or at the egress door.",
    "agent_access_denied": "`databricks grants update connection <connection>` grants USE_CONNECTION on it.",
    "cross_site": "Serve the page from this door, or name its origin in SIDECAR_ORIGINS.",
    "egress_key_required": "Use the address that the app is given in AGENT_APP_URL, unchanged.",
    "identity_in_body": "Leave these members of `custom_inputs` out; {key}__ALLOW=identity lets them pass.",
    "instructions_closed": "{key}__ALLOW=instructions opens it; else leave `custom_inputs.instructions` out.",
    "no_such_session": "Open another: MCP clients do so by themselves when they read 404.",
    "no_such_route": "The paths of each door stand in the block that is printed at start.",
    "unknown_agent": "`GET /agents` on the admin door lists the agents that are known.",
    "no_such_call": "The last 200 calls are kept: `GET /calls` on the admin door lists them.",
    "method_not_allowed": "The header Allow names the methods of this path.",
    "head_timeout": "Send the whole head at once, or connect only when there is something to ask.",
    "body_timeout": "Send the body without pauses, or less of it.",
    "body_too_large": "Send less, or raise SIDECAR_MAX_BODY.",
    "uri_too_long": "Put what is long into the body.",
    "unsupported_media_type": "Send `Content-Type: application/json`.",
    "unsupported_expectation": "Leave the header Expect out.",
    "misdirected_host": "Call the door by its own address, or name the host in SIDECAR_HOSTS.",
    "headers_too_large": "Send fewer or shorter headers; cookies are the usual cause.",
}

CAUSES: Final[dict[str, tuple[Cause, ...]]] = {
    code: (Cause(always, outcome.sentence(code), hint),) for code, hint in NEXT.items()
}
