"""Why an agent that was reached did not answer well."""

from typing import Final

from policies.hints.facts import (
    GRANT,
    LOGS,
    NEW_PRINCIPAL,
    OWN_LOG,
    SCOPES,
    START,
    VOUCH,
    Cause,
    always,
    answered,
    auth,
    both,
    found,
    hosted,
    pending,
)

WHICH: Final = "`GET /agents` on the admin door says which credential is sent; {key}__AUTH chooses it."

CAUSES: Final[dict[str, tuple[Cause, ...]]] = {
    "agent_login_page": (
        Cause(
            both(found, auth("none")),
            "{Agent} at {host}, which was found in Unity Catalog, answered with a login page: it gets no credential.",
            VOUCH,
        ),
        Cause(
            auth("none"),
            "{Agent} at {host} answered with a login page: the call carried no credential.",
            "Set {key}__AUTH=app and the workspace's credentials"
            " (DATABRICKS_HOST, DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET).",
        ),
        Cause(
            auth("app"),
            "{Agent} at {host} answered with a login page: this app has no valid token or permission there.",
            GRANT + "; the agent must live in the workspace that DATABRICKS_HOST names.",
        ),
        Cause(
            auth("user"),
            "{Agent} at {host} answered with a login page: it does not accept this user's token.",
            SCOPES,
        ),
        Cause(
            always,
            "{Agent} at {host} answered with a login page: a token or a permission is missing.",
            WHICH,
        ),
    ),
    "agent_unauthorized": (
        Cause(
            both(found, auth("none")),
            "{Agent} at {host}, which was found in Unity Catalog, wants a credential, and gets none.",
            VOUCH,
        ),
        Cause(
            auth("none"),
            "{Agent} at {host} wants a credential, and none is sent.",
            "Set {key}__AUTH to app, user or static.",
        ),
        Cause(
            auth("app"),
            "{Agent} at {host} answered 401 to this app's token, to a fresh one too.",
            "The agent must live in the workspace that DATABRICKS_HOST names. " + NEW_PRINCIPAL,
        ),
        Cause(auth("user"), "{Agent} at {host} answered 401 to the user's own token.", SCOPES),
        Cause(
            auth("static"),
            "{Agent} at {host} answered 401 to the token of {key}__TOKEN.",
            "Put a valid one there; the apps platform accepts OAuth tokens, no personal ones (dapi…).",
        ),
        Cause(always, "{Agent} at {host} did not accept the credential (401).", WHICH),
    ),
    "agent_forbidden": (
        Cause(
            pending,
            "{Agent} at {host} answered `App not authorized`: approval is pending, or CAN_USE is missing.",
            "Approve it in the Apps UI (this app, Resources), or grant it: " + GRANT + ".",
        ),
        Cause(
            auth("app"),
            "This app has no permission to use {agent} at {host}.",
            GRANT + ". " + NEW_PRINCIPAL + " A binding to another workspace's app is dropped silently.",
        ),
        Cause(
            auth("user"),
            "This user has no permission to use {agent} at {host}.",
            "Grant the user CAN_USE on the agent's app, or set {key}__AUTH=app.",
        ),
        Cause(
            always,
            "{Agent} at {host} answered that there is no permission to use it (403).",
            "On the apps platform: " + GRANT + ".",
        ),
    ),
    "agent_refused": (
        Cause(
            answered(400, 422),
            "{Agent} at {host} refused the body by validation ({status}).",
            "Its answer names the field; {key}__SHAPE=input or =messages sends the other shape.",
        ),
        Cause(
            both(answered(404, 405), hosted),
            "{Agent} at {host} has no such path ({status}), or hides it from those without permission.",
            "`databricks apps get {app}` shows its address, which {url} must hold without /invocations; "
            + GRANT
            + " grants the permission.",
        ),
        Cause(
            answered(404, 405),
            "{Agent} at {host} has no such path or method ({status}): {url} holds more than its address, "
            "or it is no mlflow agent server.",
            "Give {url} without /invocations at its end; `curl -i {origin}/agent/info` tells a server.",
        ),
        Cause(
            answered(413),
            "The body is too large for {agent} at {host} (413).",
            "Send less of the conversation, or raise the agent's own limit.",
        ),
        Cause(
            answered(429),
            "{Agent} at {host} takes no more calls for now (429).",
            "Wait as long as its Retry-After says.",
        ),
        Cause(always, "{Agent} at {host} refused the request{answered}.", "Its own answer says why."),
    ),
    "agent_failed": (
        Cause(
            both(answered(502, 503, 504), hosted),
            "{Agent} at {host} is down or only starting: the platform answered {status} in its place.",
            START + " " + LOGS,
        ),
        Cause(hosted, "{Agent} at {host} failed{answered}.", LOGS),
        Cause(always, "{Agent} at {host} failed{answered}.", OWN_LOG),
    ),
    "agent_error": (
        Cause(hosted, "{Agent} at {host} reported an error inside its answer.", LOGS),
        Cause(always, "{Agent} at {host} reported an error inside its answer.", OWN_LOG),
    ),
    "agent_run_lost": (
        Cause(
            always,
            "{Agent} at {host} no longer knows the run, and its conversation has no answer.",
            "It was restarted, or runs in several processes without a database. Ask again.",
        ),
    ),
    "agent_broke_off": (
        Cause(
            hosted,
            "{Agent} at {host} broke off its answer: it ended, or met the platform's limit for one answer.",
            LOGS + " The platform's limits in circulation are 60, 120 and 300 seconds: compare the time.",
        ),
        Cause(always, "{Agent} at {host} broke off its answer{because}.", OWN_LOG),
    ),
    "truncated": (
        Cause(
            always,
            "The stream of {agent} at {host} ended without its closing mark.",
            "The agent, or something between here and it, ended the stream early; its log says which.",
        ),
    ),
    "agent_first_byte_timeout": (
        Cause(
            always,
            "{Agent} at {host} did not begin to answer within SIDECAR_TIMEOUTS__FIRST_BYTE.",
            "Let the agent stream, or raise SIDECAR_TIMEOUTS__FIRST_BYTE.",
        ),
    ),
    "agent_gap_timeout": (
        Cause(
            always,
            "{Agent} at {host} fell silent inside its answer for longer than SIDECAR_TIMEOUTS__GAP.",
            "Let the agent send something during long steps, or raise SIDECAR_TIMEOUTS__GAP.",
        ),
    ),
    "agent_total_timeout": (
        Cause(
            always,
            "The whole answer of {agent} at {host} took longer than SIDECAR_TIMEOUTS__TOTAL allows.",
            "Ask for a stream, which has no total limit, or raise SIDECAR_TIMEOUTS__TOTAL.",
        ),
    ),
    "agent_too_large": (
        Cause(
            always,
            "The answer of {agent} at {host} is larger than SIDECAR_MAX_ANSWER allows.",
            "Ask for a stream, which has no such limit, or raise SIDECAR_MAX_ANSWER.",
        ),
    ),
}
