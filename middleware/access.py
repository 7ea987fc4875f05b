"""Only a known agent is called, and only by a caller who may."""

from middleware.exchange import Call, Handler, Reply
from policies.refusal import Refusal


async def access(call: Call, forward: Handler) -> Reply:
    if not call.agent.url:
        raise Refusal(
            404,
            "unknown_agent",
            detail=f"No agent is named {call.agent.name!r}.",
            hint="GET /agents on the admin door lists the known ones.",
        )
    caller, judged = call.caller, bool(call.agent.connection)
    if call.agent.auth == "user" and caller.token is None and not (judged and caller.bearer):
        raise Refusal(
            401,
            "user_token_required",
            detail=f"Agent {call.agent.name!r} is called with the user's own token, and none came with the request.",
            hint="Give the app `user_api_scopes`, so that the platform sends x-forwarded-access-token.",
        )
    return await forward(call)
