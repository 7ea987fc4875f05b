"""Why it was us, the app behind the front door, or the way to us."""

from typing import Final

from policies.hints.facts import NEW_PRINCIPAL, Cause, always, says

CAUSES: Final[dict[str, tuple[Cause, ...]]] = {
    "credential_unavailable": (
        Cause(
            says("plaintext", "plain http"),
            "A credential for {agent} would travel over plain http to {host}.",
            "Use https in {url}, or accept it with {key}__PLAINTEXT=true.",
        ),
        Cause(
            says("invalid_client"),
            "The workspace does not accept this app's client id and secret (invalid_client).",
            "Compare DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET. " + NEW_PRINCIPAL,
        ),
        Cause(
            says("timeout", "timed out", "too long"),
            "The workspace issued no token in time, and no valid one is left.",
            "Try `curl -i $DATABRICKS_HOST/oidc/.well-known/oauth-authorization-server` from here.",
        ),
        Cause(
            always,
            "There is no valid credential for {agent}, and none could be got{because}.",
            "`GET /readyz` on the admin door says what is missing; `sidecar check` looks at the settings.",
        ),
    ),
    "overloaded": (
        Cause(
            says("files"),
            "This process has as many files and connections open as it may.",
            "Raise the limit (`ulimit -n`, LimitNOFILE=, --ulimit nofile=), or run another replica.",
        ),
        Cause(
            says("in use"),
            "As many calls to {agent} are open as may be{because}.",
            "Try again when Retry-After says, or run another replica.",
        ),
        Cause(
            always,
            "As many calls are waiting as SIDECAR_WAITING allows.",
            "Try again when Retry-After says; raise SIDECAR_WAITING, or run another replica.",
        ),
    ),
    "relay_closed": (
        Cause(
            always,
            "A plug-in of SIDECAR_MIDDLEWARE reads chats, and this path would go around it.",
            "SIDECAR_RELAY=open lets such paths pass; a plug-in that can see them says `relays = True`.",
        ),
    ),
    "draining": (
        Cause(
            always, "This process is ending and takes no new calls.", "Try again shortly: another follows."
        ),
    ),
    "loop_detected": (
        Cause(
            always,
            "The request has been here before: {url} leads back to this process.",
            "Set {url} to the agent's own address, not to a door of this process.",
        ),
    ),
    "not_configured": (
        Cause(
            says("empty"),
            "AGENT_APP_URL is empty: `valueFrom` and the name of the app resource differ.",
            "Give the resource in databricks.yml and `valueFrom` in app.yaml one and the same name.",
        ),
        Cause(always, "No agent is configured.", "Set AGENT_APP_URL to the agent's address."),
    ),
    "caller_stalled": (
        Cause(
            always,
            "The caller read nothing for longer than SIDECAR_WRITE_TIMEOUT.",
            "If readers may be that slow, raise SIDECAR_WRITE_TIMEOUT.",
        ),
    ),
    "frontend_starting": (
        Cause(
            always,
            "The app behind the front door does not listen yet.",
            "Its own output says how far it is; it has to listen on the PORT that it is given.",
        ),
    ),
    "frontend_unreachable": (
        Cause(
            always,
            "The app behind the front door could not be reached{because}.",
            "It has to listen on the PORT that it is given, or where SIDECAR_FRONTEND_URL says.",
        ),
    ),
    "frontend_broke_off": (
        Cause(
            says("protocol"),
            "The app behind the front door answered in a way that HTTP does not allow{because}.",
            "Another server may be listening there: look at SIDECAR_FRONTEND_URL.",
        ),
        Cause(always, "The app behind the front door broke off its answer.", "Its own output says why."),
    ),
    "frontend_timeout": (
        Cause(
            says("connect"),
            "Connecting to the app behind the front door took longer than SIDECAR_TIMEOUTS__CONNECT allows.",
            "Look at SIDECAR_FRONTEND_URL, and for a firewall in between.",
        ),
        Cause(
            always,
            "The app behind the front door was silent for longer than SIDECAR_FRONTEND_TIMEOUT allows.",
            "Its own output says why; one that is so slow needs a larger SIDECAR_FRONTEND_TIMEOUT.",
        ),
    ),
    "internal_error": (
        Cause(
            always,
            "Something went wrong on our side.",
            "The log holds the traceback, with the request id.",
        ),
    ),
}
