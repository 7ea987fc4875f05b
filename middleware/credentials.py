"""Gives every call that leaves its agent's bearer and, where that agent is trusted, the user's identity."""

from typing import Final, Protocol

from multidict import CIMultiDict, CIMultiDictProxy, istr

from middleware.closing import or_closed
from middleware.exchange import Body, Call, Handler, Middleware, Reply, as_call
from middleware.observe import Recorder
from policies import credentials as policy
from policies.agent import Agent
from policies.refusal import Refusal

AUTHORIZATION: Final[str] = istr("Authorization")
USER_TOKEN: Final[str] = istr("x-forwarded-access-token")
USER_EMAIL: Final[str] = istr("x-app-user-email")
SENT: Final[dict[tuple[bool, bool], tuple[str, ...]]] = {  # names, by whether there is a token and an e-mail
    (False, False): (),
    (True, False): (USER_TOKEN,),
    (False, True): (USER_EMAIL,),
    (True, True): (USER_TOKEN, USER_EMAIL),
}
OURS: Final = frozenset({"app", "static", "oauth"})  # the modes whose bearer is ours to fetch anew


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
        if mode in OURS:
            bearer = tokens.ready(agent) or await tokens.bearer(agent)
            reply = await forward(bearing(call, bearer, mode))
            if (reply.status == 401 or reply.status == 403) and _stale(reply):
                return await again(call, reply, bearer, forward)
            return reply
        return await forward(bearing(call, _users(call) if mode == "user" else _none(agent), mode))

    def bearing(call: Call, bearer: str, kind: str) -> Call:
        """The call with all it carries for its agent: who the user is, in the platform's words, where the agent is
        trusted. One copy of the headers, none if nothing is added.
        """
        _, _, _, email, token, _ = call.caller
        if not call.agent.trusted:
            token = email = None
        recorder.carried(call, kind, SENT[token is not None, email is not None])
        if token is None and email is None and not bearer:
            return call
        headers = CIMultiDict(call.headers)
        if token is not None:
            headers[USER_TOKEN] = token.reveal()
        if email is not None:
            headers[USER_EMAIL] = email
        if bearer:
            headers[AUTHORIZATION] = bearer
        agent, caller, dialect, method, target, _, body, wants_stream, request_id = call
        with_them = CIMultiDictProxy(headers)
        return as_call((agent, caller, dialect, method, target, with_them, body, wants_stream, request_id))

    async def again(call: Call, reply: Reply, bearer: str, forward: Handler) -> Reply:
        """One refresh, and the call once more where it can be sent twice; else the answer stands."""
        other = await or_closed(reply, tokens.refused(call.agent, bearer), "caller_left")
        if other is None or not isinstance(call.body, Body) or call.agent.replay == "never":
            return reply
        await reply.close("agent_refused")
        return await forward(bearing(call, other, f"{call.agent.auth}, refreshed"))

    middleware.relays = True  # type: ignore[attr-defined]
    return middleware


def _users(call: Call) -> str:
    """The user's own token as it came: never decoded, and there is no other to fall back to.

    To an agent that was found goes the one by which its caller was judged: such an agent has this mode only where
    its connection asks for it and an operator vouches for its origin.
    """
    found = bool(call.agent.connection)
    if not call.agent.trusted and not found:
        raise _unusable(
            call.agent,
            "is called with the user's own token, and is not trusted with it",
            "Set TRUSTED=true for it if it may see who the user is, or another AUTH.",
        )
    token = call.caller.token or (call.caller.bearer if found else None)
    if token is None:
        raise Refusal(
            401,
            "user_token_required",
            detail=f"Agent {call.agent.name!r} is called with the user's own token, and none came in.",
            hint="Give the app `user_api_scopes`, so that the platform sends x-forwarded-access-token.",
            sent="none",
        )
    return f"Bearer {token.reveal()}"


def _none(agent: Agent) -> str:
    if agent.auth == "none":
        return ""
    raise _unusable(
        agent, f"has AUTH={agent.auth}, which is not offered", "Use app, user, static, oauth or none."
    )


def _unusable(agent: Agent, why: str, step: str) -> Refusal:
    return Refusal(
        503, "credential_unavailable", detail=f"Agent {agent.name!r} {why}.", hint=step, sent="none"
    )


def _stale(reply: Reply) -> bool:
    body = reply.body.raw if isinstance(reply.body, Body) else b""
    return policy.stale(reply.status, reply.headers.get("WWW-Authenticate", ""), body)
