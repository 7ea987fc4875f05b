"""What the settings leave open about an agent, asked for once: where an app is, and what kind an agent is."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from middleware.exchange import EMPTY, Body, Call, Handler, Reply, headers
from policies import answers, hints, kinds, outcome
from policies.agent import Agent, Caller
from policies.discovery import AddressError, Workspace, agent_url, app_name
from policies.faults import Fault, meaning
from policies.refusal import Refusal
from sidecar.control import Control

APPS: Final = "/api/2.0/apps/"
LONGEST: Final = 256 << 10  # bytes of an answer that is looked at
ASKING: Final = headers(("accept", "application/json"), ("accept-encoding", "identity"))


class Settling:
    """Satisfies `sidecar.registry.Settle`.

    `ask`      one exchange with an agent, its credential added
    `bearer`   the app's own `Authorization`, for the workspace
    `remade`   the agent of this name as the settings have it, at this address
    """

    def __init__(
        self,
        workspace: Workspace,
        control: Control,
        ask: Handler,
        bearer: Callable[[], Awaitable[str]],
        remade: Callable[[str, str], Agent],
    ) -> None:
        self._workspace, self._control = workspace, control
        self._ask, self._bearer, self._remade = ask, bearer, remade

    async def __call__(self, agent: Agent, caller: Caller) -> Agent:
        """The agent, settled. Refusal 502 `app_unresolved`, or what asking the agent itself ends in."""
        if app := app_name(agent.url):
            agent = self._remade(agent.name, await self._address(agent, app))
        if agent.kind == "auto":
            agent = agent._replace(kind=await self._kind(agent, caller))
        return agent._replace(settled=True)

    async def _address(self, agent: Agent, app: str) -> str:
        told = await self._control.get(f"{self._workspace.origin}{APPS}{app}", await self._bearer())
        if isinstance(told, Fault):
            raise unresolved(agent, meaning(told).cause.replace("identity provider", "workspace"))
        if told.status == 404:
            raise unresolved(agent, f"there is no app {app!r}, or this app may not see it")
        url = told.value.get("url") if told.status == 200 and isinstance(told.value, dict) else None
        if not isinstance(url, str) or not url:
            raise unresolved(agent, f"the workspace answered {told.status} and no address for app {app!r}")
        try:
            return agent_url(url if "://" in url else f"https://{url}").url
        except AddressError as error:
            raise unresolved(agent, f"the address of app {app!r} cannot be used: {error}") from None

    async def _kind(self, agent: Agent, caller: Caller) -> str:
        """Nothing that looks like somebody's login page is taken for an answer, and no failure for a no."""
        for path in kinds.QUESTIONS:
            reply = await self._ask(question(agent, caller, path))
            try:
                if found := kinds.kind(path, reply.status, await looked_at(agent, reply)):
                    return found
            finally:
                await reply.close("ok")
        return "responses"


def question(agent: Agent, caller: Caller, path: str) -> Call:
    return Call(agent, caller, "responses", "GET", path, ASKING, EMPTY, None, f"kind-{agent.name}")


async def looked_at(agent: Agent, reply: Reply) -> Any:
    """The JSON of an answer, None where it is none. Refusal where the agent could not be asked at all."""
    status, kind = reply.status, reply.headers.get("Content-Type", "")
    if (
        status in (401, 403)
        or 300 <= status < 400
        or status >= 500
        or (status < 300 and answers.is_html(kind))
    ):
        raise answers.refused(agent, status, kind) or failed(agent, status)
    if isinstance(reply.body, Body):
        raw = reply.body.raw
    else:
        raw = b""
        async for chunk in reply.body.chunks():
            raw += chunk
            if len(raw) > LONGEST:
                return None
    try:
        return orjson.loads(raw)
    except ValueError:
        return None


def failed(agent: Agent, status: int) -> Refusal:
    detail, hint = hints.explain("agent_failed", agent=agent, status=status)
    return Refusal(
        outcome.status("agent_failed"), "agent_failed", detail=detail, hint=hint, agent_status=status
    )


def unresolved(agent: Agent, why: str) -> Refusal:
    detail, hint = hints.explain("app_unresolved", agent=agent, reason=why)
    return Refusal(502, "app_unresolved", detail=detail, hint=hint, sent="none")
