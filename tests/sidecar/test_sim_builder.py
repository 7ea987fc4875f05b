"""The stand-in builder is as its app is: its routes, its error shapes, its windows."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from peers.frames import events

from sidecar import sim

ANN = {"X-Forwarded-Email": "ann@example.org"}
BOB = {"X-Forwarded-Email": "bob@example.org"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def begun(http: aiohttp.ClientSession, agent: sim.Builder, message: str) -> dict[str, str]:
    project = await (await http.post(f"{agent.url}/api/projects", json={"name": "p"}, headers=ANN)).json()
    asked = {"project_id": project["id"], "message": message}
    told: dict[str, str] = await (
        await http.post(f"{agent.url}/api/invoke_agent", json=asked, headers=ANN)
    ).json()
    return told | {"project": project["id"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("GET", "/api/health", None, 404, "Not Found"),
        ("DELETE", "/api/projects", None, 405, "Method Not Allowed"),
        (
            "POST",
            "/api/projects",
            {},
            422,
            [{"type": "missing", "loc": ["body", "name"], "msg": "Field required"}],
        ),
        ("POST", "/api/projects/p1/conversations", {}, 404, "Project not found or access denied"),
        ("GET", "/api/projects/p1/conversations/c1", None, 404, "Conversation c1 not found"),
        ("POST", "/api/invoke_agent", {"project_id": "p1", "message": "m"}, 404, "Project not found: p1"),
        ("POST", "/api/stream_progress/e1", {}, 404, "Stream not found: e1"),
        ("POST", "/api/stop_stream/e1", None, 404, "Stream not found: e1"),
    ],
)
async def test_it_refuses_as_fastapi_does(
    http: aiohttp.ClientSession, method: str, path: str, body: Any, status: int, detail: Any
) -> None:
    async with sim.builder() as agent:
        answer = await http.request(method, agent.url + path, json=body, headers=ANN)
        assert (answer.status, (await answer.json())["detail"]) == (status, detail)


async def test_a_window_needs_a_body_of_json(http: aiohttp.ClientSession) -> None:
    async with sim.builder() as agent:
        ident = (await begun(http, agent, "hello"))["execution_id"]
        assert (await http.post(f"{agent.url}/api/stream_progress/{ident}")).status == 422


async def test_whoever_names_no_user_is_its_developer_or_an_error(http: aiohttp.ClientSession) -> None:
    async with sim.builder() as agent:
        assert (await http.get(f"{agent.url}/api/projects")).status == 200
    async with sim.builder(development=False) as agent:
        answer = await http.get(f"{agent.url}/api/projects")
        assert answer.status == 500
        assert set(await answer.json()) == {"detail", "error"}


async def test_projects_are_their_users(http: aiohttp.ClientSession) -> None:
    async with sim.builder() as agent:
        told = await begun(http, agent, "hello")
        assert await (await http.get(f"{agent.url}/api/projects", headers=BOB)).json() == []
        asked = {"project_id": told["project"], "message": "hello"}
        assert (await http.post(f"{agent.url}/api/invoke_agent", json=asked, headers=BOB)).status == 404


async def test_a_window_ends_with_a_word_and_the_run_with_two_and_a_mark(http: aiohttp.ClientSession) -> None:
    async with sim.builder(window=0.05) as agent:
        told = await begun(http, agent, "hello hold")
        url = f"{agent.url}/api/stream_progress/{told['execution_id']}"
        first = events(await (await http.post(url, json={"last_event_timestamp": None})).read())
        assert first[0]["type"] == "conversation.created"
        assert first[-1]["type"] == "stream.reconnect"
        assert first[-1]["last_timestamp"] == first[-2]["_cursor"]
        stopped = await http.post(f"{agent.url}/api/stop_stream/{told['execution_id']}")
        assert await stopped.json() == {"success": True, "message": "Stream cancelled"}
        raw = await (await http.post(url, json={"last_event_timestamp": first[-2]["_cursor"]})).read()
        rest = events(raw)
        assert [event["type"] for event in rest] == ["cancelled", "stream.completed", "stream.completed"]
        assert "_cursor" in rest[1]
        assert "_cursor" not in rest[2]
        assert raw.endswith(b"data: [DONE]\n\n")
        again = await http.post(f"{agent.url}/api/stop_stream/{told['execution_id']}")
        assert await again.json() == {"success": False, "message": "Stream already complete"}


async def test_executions_have_stamps_from_the_database_only(http: aiohttp.ClientSession) -> None:
    async with sim.builder() as agent:
        told = await begun(http, agent, "hello hold")
        base = f"{agent.url}/api/projects/{told['project']}/conversations/{told['conversation_id']}"
        active = (await (await http.get(f"{base}/executions", headers=ANN)).json())["active"]
        assert (active["status"], active["created_at"]) == ("running", None)
        assert not any({"timestamp", "_cursor"} & set(event) for event in active["events"])
        agent.restart()
        active = (await (await http.get(f"{base}/executions", headers=ANN)).json())["active"]
        assert all("timestamp" in event for event in active["events"])
        assert (
            await http.post(f"{agent.url}/api/stream_progress/{told['execution_id']}", json={})
        ).status == 404
