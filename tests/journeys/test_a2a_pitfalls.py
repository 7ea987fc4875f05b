"""What the original gateway got wrong, one test for each pitfall, named by its number."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from journeys.conftest import Running, Start

from sidecar import sim

ADA, BOB = "ada@example.org", "bob@example.org"
CARD = "/.well-known/agent-card.json"
Gateway = Callable[..., Awaitable[Running]]


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


@pytest.fixture
async def echo() -> AsyncIterator[sim.A2AAgent]:
    async with sim.a2a("0.3") as one:
        yield one


@pytest.fixture
def gateway(start: Start, workspace: sim.Workspace, echo: sim.A2AAgent, agent: sim.Agent) -> Gateway:
    """`await gateway()`: a sidecar that finds agents in this workspace, for whose echo an operator vouches."""

    async def started(**given: str) -> Running:
        values = {"UC_DISCOVERY": "on", "UC_ORIGINS": echo.url} | given
        environ = {"DATABRICKS_HOST": workspace.url}
        return await start(agent.url, environ, AGENTS__DEFAULT__AUTH="none", **values)

    return started


def registered(workspace: sim.Workspace, echo: sim.A2AAgent, owner: str = ADA, **options: str) -> None:
    credential = options or {"bearer_token": "its-own"}
    workspace.catalog.connect("echo-a2a", {"host": echo.url, "base_path": CARD} | credential, owner=owner)


def as_user(workspace: sim.Workspace, email: str = ADA, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {workspace.user(email)}"} | more


async def got(sidecar: Running, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with sidecar.http.get(sidecar.egress + path, headers=headers) as answer:
        return answer.status, await answer.json()


async def sent(sidecar: Running, headers: dict[str, str], ident: Any = "1") -> tuple[int, Any]:
    message = {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
    body = {"jsonrpc": "2.0", "id": ident, "method": "message/send", "params": {"message": message}}
    async with sidecar.http.post(f"{sidecar.egress}/api/agents/echo", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


def asked(agent: sim.A2AAgent) -> list[dict[str, str]]:
    """The headers of every call that reached it, card and all."""
    return [{name.lower(): value for name, value in visit.headers.items()} for visit in agent.visits]


async def test_2_9_1_no_secret_of_a_connection_is_listed(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo, bearer_token="c4nary-token", client_secret="c4nary-secret")
    sidecar = await gateway()
    for path in ("/api/agents", "/api/agents/echo"):
        status, told = await got(sidecar, path, as_user(workspace))
        one = told["agents"][1] if "agents" in told else told
        assert (status, one["bearer_token"], one["oauth_m2m"]) == (200, None, None)
        assert "c4nary" not in str(told)


async def test_2_9_2_the_agent_learns_who_the_user_is_where_that_was_promised_and_only_there(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    """What the original called the caller's token was its own."""
    registered(workspace, echo, bearer_token="databricks")
    ada = as_user(workspace)
    for vouched in (echo.url, ""):
        status, _ = await sent(await gateway(UC_ORIGINS=vouched), ada)
        if vouched:
            assert status == 200
            assert [headers["authorization"] for headers in asked(echo)] == [ada["Authorization"]] * 2
        else:
            assert (status, len(echo.visits)) == (502, 2)


async def test_2_9_3_a_bearer_does_not_follow_a_card(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    async with sim.a2a("0.3") as thief:
        registered(workspace, echo, bearer_token="its-own")
        echo.card = sim.a2a_card("0.3", echo.url, f"{thief.url}/rpc")
        status, told = await sent(await gateway(), as_user(workspace))
        assert (status, told["error"], len(thief.visits)) == (502, "agent_card_elsewhere", 0)


async def test_2_9_4_every_endpoint_of_a_card_leads_through_the_gateway(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo)
    sidecar = await gateway()
    status, card = await got(sidecar, f"/api/agents/echo{CARD}", as_user(workspace))
    assert (status, card["url"]) == (200, f"{sidecar.egress}/api/agents/echo/rpc")
    assert echo.url not in str(card)


async def test_a_card_that_cannot_be_asked_for_says_what_is_missing_here(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo, bearer_token="placeholder")  # the app's own credential, and there is none
    status, told = await got(await gateway(), f"/api/agents/echo{CARD}", as_user(workspace))
    assert (status, told["error"]) == (503, "credential_unavailable")


async def test_2_9_5_what_one_caller_got_of_a_card_is_not_anothers_right(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    """Nor for ever: see test_2_9_5 in tests/middleware/test_a2a.py for its age, tag and absence."""
    registered(workspace, echo)
    sidecar = await gateway()
    assert (await sent(sidecar, as_user(workspace)))[0] == 200
    before = len(echo.visits)
    assert (await sent(sidecar, as_user(workspace, BOB)))[0] == 403
    assert (await sent(sidecar, as_user(workspace)))[0] == 200
    assert len(echo.visits) == before + 1  # the card was kept


async def test_2_9_6_a_grant_that_fails_sends_no_call_without_credential(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    grant = {"client_id": "id", "client_secret": "s", "token_endpoint": "http://127.0.0.1:9/token"}
    registered(workspace, echo, **grant)
    status, told = await sent(await gateway(), as_user(workspace))
    assert (status, told["error"], len(echo.visits)) == (503, "credential_unavailable", 0)


async def test_2_9_7_a_grant_to_a_group_counts(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo, owner="somebody@example.org")
    workspace.catalog.grant("echo-a2a", "analysts")
    workspace.catalog.join(ADA, "analysts")
    sidecar = await gateway()
    assert (await sent(sidecar, as_user(workspace)))[0] == 200
    assert (await sent(sidecar, as_user(workspace, BOB)))[0] == 403


async def test_2_9_8_whose_token_it_is_decides_and_no_header(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo)
    claimed = {"x-forwarded-email": ADA, "x-app-user-email": ADA}
    assert (await sent(await gateway(), as_user(workspace, BOB, **claimed)))[0] == 403


async def test_2_9_9_an_outage_is_no_empty_list(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent
) -> None:
    registered(workspace, echo)
    ada = as_user(workspace)
    sidecar = await gateway()
    workspace.outage = 503
    status, told = await got(sidecar, "/api/agents", ada)
    assert (status, told["error"]) == (503, "catalog_unavailable")


@pytest.mark.parametrize("ident", ["1", 1, None])
async def test_2_9_10_an_id_keeps_its_type(
    gateway: Gateway, workspace: sim.Workspace, echo: sim.A2AAgent, ident: Any
) -> None:
    registered(workspace, echo)
    status, told = await sent(await gateway(), as_user(workspace), ident)
    assert (status, told["id"], type(told["id"])) == (200, ident, type(ident))
