"""`examples/m2m`, started as its app.yaml has it, before a builder app."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys.conftest import client
from journeys.process import Process, starting
from journeys.test_run import up
from needs import ROOT
from peers.frames import events

from sidecar import sim

EXAMPLE = ROOT / "examples" / "m2m"
ANN = {"x-forwarded-email": "ann@example.org"}
BOB = {"x-forwarded-email": "bob@example.org"}


class App:
    """The example behind its front door, the builder behind that, and a client."""

    def __init__(self, process: Process, builder: sim.Builder, http: aiohttp.ClientSession) -> None:
        self.url, self.builder, self.http = process.doors["front"], builder, http

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        answer = await self.http.post(self.url + path, json=body, headers=headers)
        return answer.status, await answer.json()

    async def stream(self, ident: str, **headers: str) -> bytes:
        answer = await self.http.get(f"{self.url}/stream/{ident}", headers=headers)
        assert answer.headers["Content-Type"] == "text/event-stream"
        return await answer.read()


@pytest.fixture(scope="module")
def command() -> list[str]:
    line = next(
        line for line in (EXAMPLE / "app.yaml").read_text().splitlines() if line.startswith("command")
    )
    words: list[str] = json.loads(line.partition(": ")[2])
    assert words[:3] == ["sidecar", "run", "--"]
    return [sys.executable if word == "python" else word for word in words[1:]]


@pytest.fixture
async def app(command: list[str]) -> AsyncIterator[App]:
    trust = {"SIDECAR_TRUST": "127.0.0.1", "SIDECAR_AGENTS__BUILDER__TRUSTED": "true"}
    async with sim.builder() as builder, starting(Path(EXAMPLE)) as started, client() as http:
        process = await started(*command, BUILDER_APP_URL=builder.url, **trust)
        await up(process, http)
        yield App(process, builder, http)


async def test_its_five_endpoints_are_those_of_the_app_that_it_stands_for(app: App) -> None:
    page = await app.http.get(app.url + "/")
    assert "EventSource" in await page.text()

    status, answer = await app.post("/ask", {"message": "hello windows there"}, **ANN)
    assert (status, answer["response"]) == (200, "You said: hello windows there")
    assert set(answer) == {"response", "execution_id", "conversation_id"}

    status, begun = await app.post("/invoke", {"message": "cut one two three"}, **ANN)
    assert (status, set(begun)) == (200, {"execution_id", "conversation_id"})
    raw = await app.stream(begun["execution_id"], **ANN)
    told = events(raw)
    assert "".join(event.get("delta", "") for event in told) == "You said: cut one two three"
    assert raw.endswith(b"data: [DONE]\n\n")
    assert await app.stream(begun["execution_id"], **ANN) == raw, (
        "whoever comes back reads it from the beginning"
    )

    health = await (await app.http.get(app.url + "/health")).json()
    assert health == {"status": "healthy", "builder_app": {"status": "healthy"}}
    assert "GET /api/config/health" in app.builder.asked()


async def test_ids_are_the_examples_own_and_each_users_and_a_conversation_goes_on_where_it_is_named(
    app: App,
) -> None:
    _, begun = await app.post("/invoke", {"message": "hello"}, **ANN)
    raw = await app.stream(begun["execution_id"], **ANN)
    for ident in app.builder.runs:
        assert ident != begun["execution_id"]
        assert ident.encode() not in raw
    for path in (f"/stream/{begun['execution_id']}", "/stream/none"):
        foreign = await app.http.get(app.url + path, headers=BOB)
        assert (foreign.status, (await foreign.json())["detail"]) == (404, f"Stream not found: {path[8:]}")
    await app.post("/ask", {"message": "hello"}, **BOB)
    assert sorted(one["user_email"] for one in app.builder.projects.values()) == [
        "ann@example.org",
        "bob@example.org",
    ]

    app.builder.runs.clear()
    _, first = await app.post("/ask", {"message": "one"}, **ANN)
    _, second = await app.post("/ask", {"message": "two", "conversation_id": first["conversation_id"]}, **ANN)
    assert first["conversation_id"] == second["conversation_id"]
    assert len({run.conversation for run in app.builder.runs.values()}) == 1
    assert app.builder.last.text == "two"


async def test_what_goes_wrong_is_told_in_its_own_form(app: App) -> None:
    assert (await app.post("/ask", {"message": "fail"}))[1] == {
        "detail": "Agent error: The model endpoint did not answer."
    }
    assert (await app.post("/ask", {"question": "hello"}))[0] == 422
    _, begun = await app.post("/invoke", {"message": "error"})
    raw = await app.stream(begun["execution_id"])
    assert events(raw)[-1]["type"] == "error"
    assert raw.endswith(b"data: [DONE]\n\n")
    app.builder.bearer = lambda token: False
    health = await (await app.http.get(app.url + "/health")).json()
    assert health["status"] == "healthy"
    assert health["builder_app"]["status"] == "unreachable"
    assert health["builder_app"]["error"].startswith("401")
