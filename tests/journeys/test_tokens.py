"""The app's credentials at the doors: fetched by the real helper with the real SDK, renewed, never sent dead. C6."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from journeys.conftest import HELLO, Running, Start, said

from sidecar import sim
from sidecar.sim.serving import serving
from sidecar.tokens.source import Tokens

WHOLE = HELLO | {"stream": False}


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


@pytest.fixture
async def guarded(workspace: sim.Workspace) -> AsyncIterator[sim.Agent]:
    """An agent that takes the workspace's tokens and no others."""
    async with sim.agent(bearer=workspace.accepts) as one:
        yield one


async def ready(sidecar: Running) -> dict[str, Any]:
    async with sidecar.http.get(f"{sidecar.admin}/readyz") as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def error(sidecar: Running, path: str = "/agents/default/invocations") -> tuple[int, str]:
    answer = await sidecar.call(WHOLE, path)
    return answer.status, (await answer.json()).get("error", "")


async def test_t01_t08_t09_callers_share_one_token_and_after_a_401_one_new_one_and_nothing_runs_twice(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent
) -> None:
    sidecar = await start(guarded.url, workspace.environment)
    first = await asyncio.gather(*(sidecar.call(said(f"first-{n}")) for n in range(30)))
    workspace.revoke()
    second = await asyncio.gather(*(sidecar.call(said(f"second-{n}")) for n in range(30)))
    assert {answer.status for answer in first + second} == {200}
    assert len(workspace.requests) == 2
    ran = [visit.body for visit in guarded.visits if visit.ran]
    assert len(set(ran)) == len(ran) == 60
    results = {"credential": "workspace", "result": "ok"}
    assert await sidecar.metric("sidecar_token_refreshes_total", **results) == 2
    assert await sidecar.metric("sidecar_token_expiry_timestamp_seconds") > time.time() + 3000
    assert 0 < await sidecar.metric("sidecar_token_refresh_seconds_total") < 20


async def test_t08_a_second_401_is_told_at_the_chat_and_passes_on_an_agents_path(
    start: Start, workspace: sim.Workspace
) -> None:
    async with sim.agent(bearer="somebody-elses") as agent:
        sidecar = await start(agent.url, workspace.environment)
        answer = await sidecar.call(WHOLE)
        assert (answer.status, await answer.text()) == (401, "Unauthorized")
        assert len(agent.visits) == 2
        assert await error(sidecar, "/api/chat") == (502, "agent_unauthorized")
        assert len(agent.visits) == 3  # the next refresh may come in five seconds
        assert len(workspace.requests) == 2
        assert agent.runs == 0


async def test_t10_a_403_that_speaks_of_expiry_is_renewed_once_and_any_other_stands(
    start: Start, workspace: sim.Workspace
) -> None:
    bearers: list[str] = []

    async def agent(request: web.BaseRequest) -> web.StreamResponse:
        bearers.append(request.headers["Authorization"])
        if len(bearers) == 1:
            return web.json_response({"error_code": 403, "message": "Token has expired"}, status=403)
        if len(bearers) == 2:
            return web.json_response({"object": "response", "output": []})
        return web.json_response({"message": "Not for you"}, status=403)

    async with serving(agent) as port:
        sidecar = await start(port.url, workspace.environment)
        assert (await sidecar.call(WHOLE)).status == 200
        assert len(set(bearers)) == 2
        assert (await sidecar.call(WHOLE)).status == 403
        assert len(bearers) == 3


async def test_t02_t03_while_the_provider_is_down_the_old_token_serves_and_a_dead_one_is_never_sent(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent
) -> None:
    workspace.expires_in = 3
    workspace.then("")
    workspace.always = "failing"
    sidecar = await start(guarded.url, workspace.environment)
    assert (await sidecar.call(WHOLE)).status == 200
    await workspace.asked(2)  # unasked, at 50 to 80 % of its life
    assert (await sidecar.call(WHOLE)).status == 200
    assert (await ready(sidecar))["ready"]
    workspace.revoke()  # it is dead now, whatever the clocks say
    async with asyncio.timeout(5):
        while (await ready(sidecar))["ready"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    visits, began = len(guarded.visits), time.monotonic()
    answer = await sidecar.call(WHOLE)
    took = time.monotonic() - began
    told = await answer.json()
    assert (answer.status, told["error"]) == (503, "credential_unavailable")
    assert "5xx" in told["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert took < 0.5  # it waits for nobody
    assert len(guarded.visits) == visits
    assert "5xx" in (await ready(sidecar))["reasons"][0]
    assert await sidecar.metric("sidecar_token_refreshes_total", result="failed") >= 1


async def test_t05_while_the_provider_hangs_nothing_else_does_and_no_stream_is_begun(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.app.Tokens", partial(Tokens, deadline=1.5))
    workspace.always = "hang"
    sidecar = await start(guarded.url, workspace.environment, COMMIT_AFTER="50ms", KEEPALIVE="50ms")
    asking = asyncio.create_task(sidecar.chat(HELLO | {"stream": True}))
    longest = 0.0
    while not asking.done():
        began = time.monotonic()
        async with sidecar.http.get(f"{sidecar.admin}/healthz") as health:
            assert health.status == 200
        longest = max(longest, time.monotonic() - began)
    answer = await asking
    assert (answer.status, (await answer.json())["error"]) == (503, "credential_unavailable")
    assert longest < 0.5
    assert len(guarded.visits) == 0


async def test_t06_an_unknown_client_is_a_reason_not_to_be_ready_and_no_storm_comes_of_it(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent
) -> None:
    environment = workspace.environment | {"DATABRICKS_CLIENT_SECRET": "of-an-app-that-was-deleted"}
    sidecar = await start(guarded.url, environment)
    told = await asyncio.gather(*(error(sidecar) for _ in range(30)))
    assert set(told) == {(503, "credential_unavailable")}
    assert len(workspace.requests) == 1
    assert "invalid_client" in (await ready(sidecar))["reasons"][0]
    assert len(guarded.visits) == 0


async def test_t12_a_secret_that_is_rotated_in_its_file_is_read_at_the_next_refresh(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(workspace.client_secret)
    environment = workspace.environment | {"DATABRICKS_CLIENT_SECRET_FILE": str(file)}
    del environment["DATABRICKS_CLIENT_SECRET"]
    sidecar = await start(guarded.url, environment)
    assert (await sidecar.call(WHOLE)).status == 200
    workspace.client_secret = "rotated"
    file.write_text("rotated\n")
    workspace.revoke()
    assert (await sidecar.call(WHOLE)).status == 200
    assert [visit.ran for visit in guarded.visits] == [True, False, True]


async def test_t12_t13_static_tokens_are_read_from_their_files_again_and_never_crossed(
    start: Start, tmp_path: Path
) -> None:
    files = {name: tmp_path / name for name in ("default", "other")}
    for name, file in files.items():
        file.write_text(f"{name}-1")
    turns = {"default": 1, "other": 1}
    async with (
        sim.agent(bearer=lambda token: token == f"default-{turns['default']}") as default,
        sim.agent(bearer=lambda token: token == f"other-{turns['other']}") as other,
    ):
        blocks = {
            f"AGENTS__{name.upper()}__{key}": value
            for name, agent in (("default", default), ("other", other))
            for key, value in {"URL": agent.url, "AUTH": "static", "TOKEN_FILE": str(files[name])}.items()
        }
        sidecar = await start(default.url, **blocks)
        for turn in (1, 2):
            turns["default"] = turn
            files["default"].write_text(f"default-{turn}")
            for name in files:
                assert (await sidecar.call(WHOLE, f"/agents/{name}/invocations")).status == 200
        sent = [[visit.headers["Authorization"] for visit in agent.visits] for agent in (default, other)]
        assert sent == [["Bearer default-1", "Bearer default-1", "Bearer default-2"], ["Bearer other-1"] * 2]


OPAQUE = ("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.", "eyJ.not-json.at-all", "dapi0123456789abcdef", "x" * 9000)


@pytest.mark.parametrize("token", OPAQUE, ids=["expired", "malformed", "opaque", "long"])
async def test_t15_the_users_own_token_is_looked_into_by_nobody(
    start: Start, agent: sim.Agent, token: str
) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__AUTH="user")
    assert (await sidecar.call(WHOLE, x_forwarded_access_token=token)).status == 200
    assert agent.last.headers.getall("Authorization") == [f"Bearer {token}"]
    assert agent.last.headers.getall("X-Forwarded-Access-Token") == [token]


async def test_a_401_to_the_users_own_token_is_nobodys_to_renew(
    start: Start, workspace: sim.Workspace, guarded: sim.Agent
) -> None:
    sidecar = await start(guarded.url, workspace.environment, AGENTS__DEFAULT__AUTH="user")
    assert (await sidecar.call(WHOLE, x_forwarded_access_token="of-yesterday")).status == 401
    assert (
        await sidecar.call(WHOLE, x_forwarded_access_token=workspace.user("ada@example.org"))
    ).status == 200
    assert [visit.ran for visit in guarded.visits] == [False, True]
    assert len(workspace.requests) == 0


async def test_mode_none_sends_no_bearer_of_anybodys_and_the_identity_all_the_same(
    start: Start, workspace: sim.Workspace, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, workspace.environment, AGENTS__DEFAULT__AUTH="none")
    own = {"x_forwarded_access_token": "adas", "x_forwarded_email": "ada@example.org"}
    assert (await sidecar.call(WHOLE, authorization="Bearer the-callers", **own)).status == 200
    assert "Authorization" not in agent.last.headers
    assert agent.last.headers["x-forwarded-access-token"] == "adas"
    assert len(workspace.requests) == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_u07_no_redirect_takes_a_credential_anywhere(
    start: Start, agent: sim.Agent, status: int
) -> None:
    async def moved(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": agent.url + request.path})

    async with serving(moved) as port:
        own = {"URL": port.url, "AUTH": "static", "TOKEN": "the-apps-own"}
        sidecar = await start(port.url, **{f"AGENTS__DEFAULT__{name}": value for name, value in own.items()})
        for path in ("/api/chat", "/agents/default/invocations", "/agents/default/feedback"):
            answer = await sidecar.call(WHOLE, path, x_forwarded_access_token="adas")
            assert answer.status in (status, 502)
            assert "Location" not in answer.headers
    assert len(agent.visits) == 0
