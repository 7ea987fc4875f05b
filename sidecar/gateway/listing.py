"""The agents that a caller may use: those of the settings for everybody, those of Unity Catalog by right."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from policies.agent import Caller
from policies.refusal import Refusal
from sidecar.admin import READS, as_json, said
from sidecar.doors import Request
from sidecar.gateway.here import Here
from sidecar.registry import Registry
from sidecar.unity import Found
from sidecar.whole import Page, Whole

MISSING: Final = "x-sidecar-discovery"  # says why a list has the settings' agents only


class Listing(NamedTuple):
    all: Page
    one: Callable[[str], Page]


def pages(agents: Registry, here: Here) -> Listing:
    async def everyone(request: Request, caller: Caller) -> Whole:
        if request.method not in READS:
            return said(Refusal(405, "method_not_allowed"), Allow="GET, HEAD")
        missing = ""
        found = [Found(agent.name, "", "") for agent in agents]
        try:
            found += await agents.offered(caller)
        except Refusal as refusal:
            if refusal.code != "user_token_required" or not found:
                raise  # an outage is no empty list
            missing = refusal.code
        at = here.address(request, caller)
        listed = as_json({"agents": [info(one, at) for one in found], "total": len(found)})
        return listed._replace(headers={**listed.headers, MISSING: missing}) if missing else listed

    def one(name: str) -> Page:
        async def page(request: Request, caller: Caller) -> Whole:
            return as_json(info(await agents.about(name, caller), here.address(request, caller)))

        return page

    return Listing(everyone, one)


def info(found: Found, address: str) -> dict[str, Any]:
    """One agent, in the members that the gateway's clients read; no secret is ever among them."""
    return {
        "name": found.name,
        "description": found.description,
        "agent_card_url": f"{address}/api/agents/{found.name}/.well-known/agent-card.json",
        "url": None,
        "bearer_token": None,
        "oauth_m2m": None,
        "connection_name": found.connection or None,
        "catalog": "main",
        "schema_name": "default",
    }
