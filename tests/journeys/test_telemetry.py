"""What conversations leave behind: counted, told, to be looked at; and nothing of what was said."""

from typing import Any

import orjson
import pytest
from journeys.conftest import HELLO, Start, said

from sidecar import sim

CARRIED = {
    "x-forwarded-access-token": "canary-user-token",
    "x-forwarded-email": "canary@example.org",
    "cookie": "session=canary-cookie",
    "authorization": "Bearer canary-caller",
    "x-api-key": "canary-key",
}


async def test_a_call_is_found_by_the_id_that_its_answer_carried(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(HELLO | {"stream": True})
    await answer.read()
    async with sidecar.http.get(f"{sidecar.admin}/calls/{answer.headers['x-request-id']}") as told:
        call: dict[str, Any] = await told.json()
    assert (call["outcome"], call["status"], call["agent"]["name"]) == ("ok", 200, "default")
    assert call["stream"] == answer.headers["x-sidecar-stream"]
    assert call["timeline"][0]["what"] == "accepted"
    assert call["timeline"][-1]["what"] == "ended"
    assert "hello" not in orjson.dumps(call).decode()


async def test_a_call_is_counted_by_door_agent_route_and_outcome(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    await (await sidecar.chat(HELLO)).read()
    await (await sidecar.chat({"neither": 1})).read()
    at = {"door": "front", "agent": "default", "route": "/api/chat"}
    assert await sidecar.metric("sidecar_requests_total", **at, outcome="ok") == 1
    assert await sidecar.metric("sidecar_requests_total", **at, outcome="refused_input") == 1
    assert await sidecar.metric("sidecar_upstream_attempts_total", agent="default", result="answered") == 1
    assert await sidecar.metric("sidecar_time_to_first_byte_seconds_count", agent="default") == 2


async def test_nothing_that_a_caller_carries_or_says_is_found_anywhere(
    start: Start, agent: sim.Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    """O01: at level debug, through success and failure, in a query too; and the static token of an agent."""
    sidecar = await start(
        agent.url,
        LOG="debug",
        COLD_START_BUDGET="0.2",
        AGENTS__DEFAULT__AUTH="static",
        AGENTS__DEFAULT__TOKEN="canary-static",
        AGENTS__GONE__URL="http://127.0.0.1:1",
    )
    headers = {"Content-Type": "application/json", **CARRIED}
    words = orjson.dumps(said("canary-words"))
    seen = ""
    for method, path, body, statuses in (
        ("POST", "/agents/default/invocations?q=canary-query", words, {200}),
        ("POST", "/api/chat?q=canary-query", words, {200}),
        ("POST", "/api/chat", orjson.dumps(said("fail canary-words")), set(range(200, 600))),
        ("POST", "/api/chat", b'{"canary": 1}', {400}),
        ("POST", "/api/chat", b'{"canary"', {400}),
        ("POST", "/agents/gone/invocations?q=canary-query", words, {502, 503}),
        ("GET", "/agents/default/agent/info?q=canary-query", None, {200}),
        ("GET", "/agents/default/canary-path", None, {404}),
        ("GET", "/canary-path?q=canary-query", None, {404}),
    ):
        async with sidecar.http.request(method, sidecar.egress + path, data=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status in statuses, (path, answer.status, text)
            if answer.status >= 400 and "path" not in path:
                seen += text
    assert agent.last.headers["authorization"] == "Bearer canary-static"
    for path in ("/calls", "/metrics", "/agents", "/readyz"):
        async with sidecar.http.get(sidecar.admin + path) as answer:
            seen += await answer.text()
    for call in await sidecar.calls():
        async with sidecar.http.get(f"{sidecar.admin}/calls/{call['request_id']}") as answer:
            seen += await answer.text()
    await sidecar.app.stop()
    out, err = capfd.readouterr()
    assert out.count('"msg":"request"') >= 9
    assert [line for line in (seen + out + err).splitlines() if "canary" in line] == []


async def test_what_broke_a_stream_off_is_told_with_cause_and_hint(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("die mid-stream"))
    body = await answer.text()
    call = (await sidecar.calls())[0]
    async with sidecar.http.get(f"{sidecar.admin}/calls/{call['request_id']}") as told:
        refusal = (await told.json())["refusal"]
    assert answer.status == 200
    assert "event: error" in body
    assert (call["outcome"], refusal["code"]) == ("agent_broke_off", "agent_broke_off")
    assert agent.url.removeprefix("http://") in refusal["detail"]
    assert "own log" in refusal["hint"]
