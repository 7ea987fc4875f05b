"""Credentials that are not the app's own workspace's: OAuth clients, and other workspaces. C6, for these."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from journeys.conftest import HELLO, Running, Start, said

from sidecar import sim
from sidecar.sim.serving import serving
from sidecar.sim.workspace import TOKEN
from sidecar.tokens.source import Tokens

WHOLE = HELLO | {"stream": False}


@pytest.fixture
async def provider() -> AsyncIterator[sim.Workspace]:
    """An identity provider: it takes client credentials in `Authorization`."""
    async with sim.workspace() as one:
        yield one


@pytest.fixture
async def guarded(provider: sim.Workspace) -> AsyncIterator[sim.Agent]:
    async with sim.agent(bearer=provider.accepts) as one:
        yield one


def client(provider: sim.Workspace, **more: str) -> dict[str, str]:
    """The settings of agent `default`."""
    given = {
        "AUTH": "oauth",
        "TOKEN_ENDPOINT": provider.url + TOKEN,
        "CLIENT_ID": provider.client_id,
        "CLIENT_SECRET": provider.client_secret,
        "CLIENT_AUTH": "basic",
    }
    return {f"AGENTS__DEFAULT__{key}": text for key, text in (given | more).items()}


async def ready(sidecar: Running) -> dict[str, Any]:
    async with sidecar.http.get(f"{sidecar.admin}/readyz") as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def test_t01_t08_t09_callers_share_one_token_and_after_a_401_one_new_one_and_nothing_runs_twice(
    start: Start, provider: sim.Workspace, guarded: sim.Agent
) -> None:
    sidecar = await start(guarded.url, **client(provider, SCOPE="a2a.agents"))
    first = await asyncio.gather(*(sidecar.call(said(f"first-{n}")) for n in range(30)))
    provider.revoke()
    second = await asyncio.gather(*(sidecar.call(said(f"second-{n}")) for n in range(30)))
    assert {answer.status for answer in first + second} == {200}
    assert len(provider.requests) == 2
    assert b"scope=a2a.agents" in provider.requests[0].body
    ran = [visit.body for visit in guarded.visits if visit.ran]
    assert len(set(ran)) == len(ran) == 60
    results = {"credential": "agent default", "result": "ok"}
    assert await sidecar.metric("sidecar_token_refreshes_total", **results) == 2


async def test_t02_t03_while_the_provider_is_down_the_old_token_serves_and_a_dead_one_is_never_sent(
    start: Start, provider: sim.Workspace, guarded: sim.Agent
) -> None:
    provider.expires_in = 3
    provider.then("")
    provider.always = "failing"
    sidecar = await start(guarded.url, **client(provider))
    assert (await sidecar.call(WHOLE)).status == 200
    await provider.asked(2)  # unasked, at 50 to 80 % of its life
    assert (await sidecar.call(WHOLE)).status == 200
    async with asyncio.timeout(5):
        while (await ready(sidecar))["ready"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    visits, began = len(guarded.visits), time.monotonic()
    answer = await sidecar.call(WHOLE)
    assert time.monotonic() - began < 0.5  # it waits for nobody
    assert (answer.status, (await answer.json())["error"]) == (503, "credential_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert len(guarded.visits) == visits


async def test_t05_while_the_provider_hangs_nothing_else_does(
    start: Start, provider: sim.Workspace, guarded: sim.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.app.Tokens", partial(Tokens, deadline=0.7))
    provider.always = "hang"
    sidecar = await start(guarded.url, **client(provider))
    asking = asyncio.create_task(sidecar.call(WHOLE))
    await provider.asked()
    began = time.monotonic()
    async with sidecar.http.get(f"{sidecar.admin}/healthz") as health:
        assert health.status == 200
    assert time.monotonic() - began < 0.5
    answer = await asking
    assert (answer.status, (await answer.json())["error"]) == (503, "credential_unavailable")
    assert len(guarded.visits) == 0


async def test_t06_an_unknown_client_is_a_reason_not_to_be_ready_and_no_storm_comes_of_it(
    start: Start, provider: sim.Workspace, guarded: sim.Agent
) -> None:
    sidecar = await start(guarded.url, **client(provider, CLIENT_SECRET="c4nary-wrong"))
    answers = await asyncio.gather(*(sidecar.call(WHOLE) for _ in range(30)))
    assert {answer.status for answer in answers} == {503}
    assert len(provider.requests) == 1
    reasons = (await ready(sidecar))["reasons"]
    assert "invalid_client" in reasons[0]
    assert "c4nary" not in str([await answer.json() for answer in answers]) + str(reasons)


async def test_t10_a_403_that_speaks_of_expiry_is_renewed_once_and_any_other_stands(
    start: Start, provider: sim.Workspace
) -> None:
    bearers: list[str] = []

    async def agent(request: web.BaseRequest) -> web.StreamResponse:
        bearers.append(request.headers["Authorization"])
        if len(bearers) == 1:
            return web.json_response({"message": "Token has expired"}, status=403)
        if len(bearers) == 2:
            return web.json_response({"object": "response", "output": []})
        return web.json_response({"message": "Not for you"}, status=403)

    async with serving(agent) as port:
        sidecar = await start(port.url, **client(provider))
        assert (await sidecar.call(WHOLE)).status == 200
        assert len(set(bearers)) == 2
        assert (await sidecar.call(WHOLE)).status == 403
        assert len(bearers) == 3


async def test_another_workspaces_agent_gets_its_credential_and_nothing_of_this_ones_T13(
    start: Start, provider: sim.Workspace, guarded: sim.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK fills what it is not given from the environment, and would send the one's secret to the other."""
    async with sim.workspace("home-client", "home-secret", workspace_id="1") as home:
        for name, text in home.environment.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv(
            "DATABRICKS_DISCOVERY_URL", f"{home.url}/oidc/.well-known/oauth-authorization-server"
        )
        elsewhere = {
            "AGENTS__DEFAULT__WORKSPACE": provider.url,
            "AGENTS__DEFAULT__CLIENT_ID": provider.client_id,
            "AGENTS__DEFAULT__CLIENT_SECRET": provider.client_secret,
        }
        sidecar = await start(guarded.url, home.environment, **elsewhere)
        assert (await sidecar.call(WHOLE)).status == 200
        assert guarded.last.headers["Authorization"] == f"Bearer {provider.tokens[-1]}"
        assert len(home.visits) == 0
        assert all("X-Databricks-Workspace-Id" not in visit.headers for visit in provider.visits)


async def test_another_workspaces_token_is_sent_as_it_is(
    start: Start, guarded: sim.Agent, provider: sim.Workspace
) -> None:
    token = {"AGENTS__DEFAULT__WORKSPACE": provider.url, "AGENTS__DEFAULT__TOKEN": provider.user("m2m")}
    sidecar = await start(guarded.url, **token)
    assert (await sidecar.call(WHOLE)).status == 200
    assert len(provider.visits) == 0


async def test_an_app_is_called_by_its_name_with_the_apps_own_credential(
    start: Start, provider: sim.Workspace, guarded: sim.Agent
) -> None:
    provider.catalog.app("my-agent", guarded.url)
    sidecar = await start("apps/my-agent", provider.environment, AGENTS__DEFAULT__KIND="auto")
    for _ in range(2):
        assert (await sidecar.call(WHOLE)).status == 200
    assert guarded.last.headers["Authorization"] == f"Bearer {provider.tokens[-1]}"
    assert provider.calls("/api/2.0/apps/") == 1
    async with sidecar.http.get(f"{sidecar.admin}/agents") as answer:
        (known,) = (await answer.json())["agents"]
    assert (known["url"], known["kind"], known["trusted"]) == (guarded.url, "responses", True)


async def test_an_app_that_does_not_exist_is_said_and_asked_for_again(
    start: Start, provider: sim.Workspace, guarded: sim.Agent
) -> None:
    sidecar = await start("apps/my-agent", provider.environment)
    answer = await sidecar.call(WHOLE)
    told = await answer.json()
    assert (answer.status, told["error"]) == (502, "app_unresolved")
    assert "my-agent" in told["detail"]
    provider.catalog.app("my-agent", guarded.url)
    assert (await sidecar.call(WHOLE)).status == 200
