"""Gives every call that leaves its agent's bearer and, where that agent is trusted, the user's identity."""

from typing import Final, Protocol

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import Body, Call, Handler, Middleware, Reply
from middleware.observe import Recorder
from policies import credentials as policy
from policies.agent import Agent
from policies.refusal import Refusal

AUTHORIZATION: Final = "Authorization"
USER_TOKEN: Final = "x-forwarded-access-token"
USER_EMAIL: Final = "x-app-user-email"
NOTHING: Final[tuple[tuple[str, str], ...]] = ()
OURS: Final = frozenset({"app", "static"})  # the modes whose bearer is ours to fetch anew


class TokenSource(Protocol):
    """Who has the bearers; values are those of the whole `Authorization` header."""

    def ready(self, agent: Agent) -> str | None:
        """One that may be sent now, without waiting."""

    async def bearer(self, agent: Agent) -> str:
        """One that may be sent, fetched where need be. Refusal 503 `credential_unavailable`."""

    async def refused(self, agent: Agent, bearer: str) -> str | None:
        """Another than this one, which the agent did not accept; None where there is none."""


def credentials(tokens: TokenSource, recorder: Recorder) -> Middleware:
    """Innermost: nothing behind it but the wire, so nobody else sees what it adds."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        agent = call.agent
        mode = agent.auth
        recorder.note(call, "credential", mode)
        if mode in OURS:
            bearer = tokens.ready(agent) or await tokens.bearer(agent)
            reply = await forward(bearing(call, bearer))
            if (reply.status == 401 or reply.status == 403) and _stale(reply):
                return await again(call, reply, bearer, forward)
            return reply
        return await forward(bearing(call, _users(call) if mode == "user" else _none(agent)))

    def bearing(call: Call, bearer: str) -> Call:
        """The call with all it carries for its agent: one copy of the headers, none if nothing is added."""
        told = _identity(call) if call.agent.trusted else NOTHING
        if told:
            recorder.note(call, "identity_sent", tuple([name for name, _ in told]))
        if bearer:
            told = (*told, (AUTHORIZATION, bearer))
        if not told:
            return call
        headers = CIMultiDict(call.headers)
        for name, value in told:
            headers[name] = value
        return call.bearing(CIMultiDictProxy(headers))

    async def again(call: Call, reply: Reply, bearer: str, forward: Handler) -> Reply:
        """One refresh, and the call once more where it can be sent twice; else the answer stands."""
        try:
            other = await tokens.refused(call.agent, bearer)
        except BaseException:
            await reply.close("caller_left")
            raise
        if other is None or not isinstance(call.body, Body) or call.agent.replay == "never":
            return reply
        await reply.close("agent_refused")
        recorder.note(call, "credential", f"{call.agent.auth}, refreshed")
        return await forward(bearing(call, other))

    middleware.relays = True  # type: ignore[attr-defined]
    return middleware


def _identity(call: Call) -> tuple[tuple[str, str], ...]:
    """Who the user is, in the words in which the platform says it; the token as it came."""
    token, email = call.caller.token, call.caller.email
    told = () if token is None else ((USER_TOKEN, token.reveal()),)
    return told if email is None else (*told, (USER_EMAIL, email))


def _users(call: Call) -> str:
    """The user's own token as it came: never decoded, and there is no other to fall back to."""
    if not call.agent.trusted:
        raise _unusable(
            call.agent,
            "is called with the user's own token, and is not trusted with it",
            "Set TRUSTED=true for it if it may see who the user is, or another AUTH.",
        )
    if call.caller.token is None:
        raise Refusal(
            401,
            "user_token_required",
            detail=f"Agent {call.agent.name!r} is called with the user's own token, and none came in.",
            hint="Give the app `user_api_scopes`, so that the platform sends x-forwarded-access-token.",
            sent="none",
        )
    return f"Bearer {call.caller.token.reveal()}"


def _none(agent: Agent) -> str:
    if agent.auth == "none":
        return ""
    raise _unusable(agent, f"has AUTH={agent.auth}, which is not offered", "Use app, user, static or none.")


def _unusable(agent: Agent, why: str, step: str) -> Refusal:
    return Refusal(
        503, "credential_unavailable", detail=f"Agent {agent.name!r} {why}.", hint=step, sent="none"
    )


def _stale(reply: Reply) -> bool:
    body = reply.body.raw if isinstance(reply.body, Body) else b""
    return policy.stale(reply.status, reply.headers.get("WWW-Authenticate", ""), body)
