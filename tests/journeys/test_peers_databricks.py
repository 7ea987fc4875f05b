"""The real databricks-sdk in its helper, end to end: the real process between a workspace and an agent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from journeys.conftest import HELLO
from journeys.process import Process, Started

from sidecar import sim


class Answer(NamedTuple):
    status: int
    headers: Any
    body: Any


class Journey:
    """A sidecar in front of an agent that accepts nothing but this workspace's tokens."""

    def __init__(self, workspace: sim.Workspace, agent: sim.Agent, process: Started) -> None:
        self.workspace, self.agent, self.process = workspace, agent, process
        self.one: Process

    async def begins(self, **environ: str) -> None:
        self.one = await (await self.process("serve", AGENT_APP_URL=self.agent.url, **environ)).ready()

    async def chat(self) -> Answer:
        return await self._asked("POST", self.one.doors["egress"] + "/invocations", json=HELLO)

    async def ready(self) -> Answer:
        return await self._asked("GET", self.one.doors["admin"] + "/readyz")

    async def until_ready(self, within: float = 15.0) -> None:
        """Nobody but the process itself does anything about it."""
        async with asyncio.timeout(within):
            while True:
                if (await self.ready()).status == 200:
                    return
                await asyncio.sleep(0.05)

    async def metrics(self, name: str) -> list[str]:
        told = await self._asked("GET", self.one.doors["admin"] + "/metrics")
        return [line for line in told.body.splitlines() if line.startswith(name + "{")]

    def bearers(self) -> list[str]:
        """With what the agent was called, in order."""
        return [visit.headers.get("Authorization", "").removeprefix("Bearer ") for visit in self.agent.visits]

    async def _asked(self, method: str, url: str, **more: Any) -> Answer:
        async with aiohttp.ClientSession() as http, http.request(method, url, **more) as answer:
            known = answer.content_type == "application/json"
            return Answer(answer.status, answer.headers, await (answer.json() if known else answer.text()))


@pytest.fixture
async def journey(process: Started) -> AsyncIterator[Journey]:
    async with sim.workspace() as workspace, sim.agent(bearer=workspace.accepts) as agent:
        yield Journey(workspace, agent, process)


async def test_the_service_principals_token_is_replaced_once_when_it_is_revoked_t08(journey: Journey) -> None:
    workspace, agent = journey.workspace, journey.agent
    await journey.begins(**workspace.environment)
    assert (await journey.chat()).status == 200
    first = workspace.tokens[0]
    assert journey.bearers() == [first]
    workspace.revoke()
    assert (await journey.chat()).status == 200
    second = workspace.tokens[0]
    assert journey.bearers() == [first, first, second]
    assert (agent.runs, len(workspace.requests)) == (2, 2)
    assert await journey.metrics("sidecar_token_refreshes_total") == [
        'sidecar_token_refreshes_total{credential="workspace",result="ok"} 2.0'
    ]


async def test_a_secret_that_is_rotated_in_its_file_is_used_from_the_next_refresh_on_t12(
    journey: Journey, tmp_path: Path
) -> None:
    workspace, file = journey.workspace, tmp_path / "client-secret"
    file.write_text(workspace.client_secret + "\n")
    environ = workspace.environment
    del environ["DATABRICKS_CLIENT_SECRET"]
    await journey.begins(**environ, DATABRICKS_CLIENT_SECRET_FILE=str(file))
    assert (await journey.chat()).status == 200
    workspace.client_secret = "another"  # and the old one is worth nothing
    file.write_text("another\n")
    workspace.revoke()
    assert (await journey.chat()).status == 200
    assert journey.bearers()[-1] == workspace.tokens[0]


async def test_a_workspace_that_is_down_at_start_is_said_and_waited_for_t03(journey: Journey) -> None:
    workspace, agent = journey.workspace, journey.agent
    environ = workspace.environment
    await workspace.port.close()
    await journey.begins(**environ)
    told = await journey.ready()
    assert told.status == 503
    assert "credential 'workspace' (127.0.0.1)" in str(told.body)
    refused = await journey.chat()
    assert (refused.status, refused.body["error"]) == (503, "credential_unavailable")
    assert "DATABRICKS_HOST" in refused.body["hint"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert len(agent.visits) == 0
    await workspace.port.open()
    await journey.until_ready()
    assert (await journey.chat()).status == 200


async def test_a_personal_token_from_a_file_is_replaced_when_it_is_rotated_t12(
    journey: Journey, tmp_path: Path
) -> None:
    workspace, file = journey.workspace, tmp_path / "token"
    old = workspace.user("ci@example.org")
    file.write_text(old)
    await journey.begins(DATABRICKS_HOST=workspace.url, DATABRICKS_TOKEN_FILE=str(file))
    assert (await journey.chat()).status == 200
    workspace.revoke()
    new = workspace.user("ci@example.org")
    file.write_text(new)
    assert (await journey.chat()).status == 200
    assert journey.bearers() == [old, old, new]
    assert len(workspace.requests) == 0  # a personal token is the bearer: nobody is asked for another


async def test_a_profile_of_the_databricks_command_line_is_enough(journey: Journey, tmp_path: Path) -> None:
    workspace, file = journey.workspace, tmp_path / "databrickscfg"
    words = {
        "host": workspace.url,
        "client_id": workspace.client_id,
        "client_secret": workspace.client_secret,
    }
    file.write_text("[dev]\n" + "".join(f"{name} = {value}\n" for name, value in words.items()))
    await journey.begins(DATABRICKS_CONFIG_PROFILE="dev", DATABRICKS_CONFIG_FILE=str(file))
    assert (await journey.chat()).status == 200
    assert journey.bearers() == workspace.tokens


async def test_an_agent_that_accepts_no_token_is_asked_twice_and_its_401_passes_t08(process: Started) -> None:
    async with sim.workspace() as workspace, sim.agent(bearer="somebody-elses") as agent:
        journey = Journey(workspace, agent, process)
        await journey.begins(**workspace.environment)
        answer = await journey.chat()
        assert answer.status == 401
        assert journey.bearers() == workspace.tokens
        assert len(set(workspace.tokens)) == 2
