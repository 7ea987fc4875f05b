"""Only a known agent is called, and only by a caller who may."""

from collections.abc import Awaitable

from middleware.exchange import Call, Handler, Reply
from policies.agent import Agent
from policies.refusal import Refusal


def access(call: Call, forward: Handler) -> Awaitable[Reply]:
    agent, caller = call.agent, call.caller
    known(agent)
    if agent.auth == "user" and caller.token is None and not (agent.connection and caller.bearer):
        raise Refusal(
            401,
            "user_token_required",
            detail=f"Agent {agent.name!r} is called with the user's own token, and none came with the request.",
            hint="Give the app `user_api_scopes`, so that the platform sends x-forwarded-access-token.",
        )
    return forward(call)


def known(agent: Agent) -> None:
    """Refusal 404 `unknown_agent` where it is nobody."""
    if not agent.url:
        raise Refusal(
            404,
            "unknown_agent",
            detail=f"No agent is named {agent.name!r}.",
            hint="GET /agents on the admin door lists the known ones.",
        )
