"""Which agents of Unity Catalog a caller may use: each question is asked with that caller's token."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from policies import connections as policy
from policies.connections import Registered
from policies.discovery import Workspace
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.unity.questions import Questions


class Found(NamedTuple):
    """One line of a listing: an agent's name, what its connection says of it, and the connection's own name."""

    name: str
    description: str
    connection: str


class Catalog:
    """Finds agents among the HTTP connections of one workspace.

    `suffix`   how a connection's name ends if it is an agent's; empty: any
    `listed`   SIDECAR_UC_ORIGINS
    """

    def __init__(
        self, questions: Questions, suffix: str, listed: frozenset[str], workspace: Workspace
    ) -> None:
        self._questions, self._suffix = questions, suffix
        self._listed, self._workspace = listed, workspace

    async def find(self, name: str, token: Secret | None) -> Registered:
        """The agent of this name, if the token's owner may use it. The name has the form of an agent's.

        Refusal: 401 `user_token_required`, `user_token_refused`; 403 `agent_access_denied`; 404 `unknown_agent`;
        502 `connection_incomplete`, `agent_address_refused`; 503 `catalog_unavailable`.
        """
        shown = self._shown(token, name)
        asked = name + self._suffix
        me, connection = await asyncio.gather(
            self._questions.me(shown), self._questions.connection(shown, asked)
        )
        if connection is None or policy.agent_name(connection, self._suffix) != name:
            raise unknown(name, asked)
        if not await self._usable(shown, policy.principals(me), connection):
            raise denied(name, asked)
        return policy.registered(connection, name, self._listed, self._workspace)

    async def offered(self, token: Secret | None, taken: Callable[[str], bool]) -> list[Found]:
        """The agents that the token's owner may use, by name; those that are `taken` are left to the settings."""
        shown = self._shown(token)
        me, connections = await asyncio.gather(self._questions.me(shown), self._questions.connections(shown))
        who = policy.principals(me)
        named = {
            name: connection
            for connection in connections
            if isinstance(connection, dict)
            and (name := policy.agent_name(connection, self._suffix)) is not None
            and not taken(name)
        }
        may = await asyncio.gather(*(self._usable(shown, who, one) for one in named.values()))
        return sorted(
            Found(name, str(one.get("comment") or ""), one["name"])
            for (name, one), usable in zip(named.items(), may, strict=True)
            if usable
        )

    async def _usable(self, token: Secret, who: frozenset[str], connection: dict[str, Any]) -> bool:
        if policy.owns(who, connection):
            return True
        return policy.may_use(who, await self._questions.grants(token, connection["name"]))

    def _shown(self, token: Secret | None, name: str = "") -> Secret:
        if token is not None:
            return token
        whose = f"Whether agent {name!r} may be used" if name else "Which agents may be used"
        raise Refusal(
            401,
            "user_token_required",
            detail=f"{whose} is asked of the workspace with the caller's own token, and none came in.",
            hint="Give the app `user_api_scopes`; or send `Authorization: Bearer <token>` to /api/agents/….",
            sent="none",
        )


def unknown(name: str, connection: str) -> Refusal:
    return Refusal(
        404,
        "unknown_agent",
        detail=f"No agent is named {name!r}: not in the settings, and there is no HTTP connection "
        f"{connection!r} that this caller can see.",
        hint="`GET /api/agents` lists the agents that the caller may use.",
        sent="none",
    )


def denied(name: str, connection: str) -> Refusal:
    """In the words of the gateway, under both names by which its clients read them."""
    text = (
        f"Access denied to agent '{name}'. "
        f"Ensure you have USE_CONNECTION privilege on connection '{connection}'."
    )
    hint = f"`databricks grants update connection {connection}` grants it, to the caller or to a group of theirs."
    refusal = Refusal(403, "agent_access_denied", detail=text, hint=hint, sent="none")
    refusal.extra = {"error": text, "detail": text}
    return refusal
