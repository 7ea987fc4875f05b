"""An agent that sleeps, as its callers and the operator see it: waited for, and run once. R08, R09."""

import asyncio
import logging
import time
from typing import Any

import pytest
from journeys.conftest import HELLO, Running, Start, said

from sidecar import sim

HURRIED = {"COMMIT_AFTER": "100ms", "KEEPALIVE": "100ms", "COLD_START_BUDGET": "20s"}
STREAMED, WHOLE = HELLO | {"stream": True}, HELLO | {"stream": False}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sleeps is asked ten times a second, and quick tries are quick."""
    monkeypatch.setattr("policies.retry.EVERY", 0.1)
    monkeypatch.setattr("policies.retry.pause", lambda tries, spread: 0.02)


async def lies_down(agent: sim.Agent, how: str) -> None:
    if how == "refuses connections":
        await agent.port.close()
    else:
        agent.sleep()


async def gets_up(agent: sim.Agent) -> None:
    agent.wake()
    await agent.port.close()
    await agent.port.open()


def runs(agent: sim.Agent) -> list[bytes]:
    """The questions on which the agent worked."""
    return [visit.body for visit in agent.visits if visit.ran]


ASLEEP = pytest.mark.parametrize("how", ["refuses connections", "answers with the platform's page"])
PATHS = pytest.mark.parametrize(
    ("door", "path"), [("front", "/api/chat"), ("egress", "/agents/default/invocations")]
)


async def waits(sidecar: Running, calls: int = 1) -> None:
    """Until so many calls wait for the agent."""
    async with asyncio.timeout(5):
        while await sidecar.metric("sidecar_cold_starts_total", agent="default") < calls:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def told(sidecar: Running) -> dict[str, Any]:
    """Everything about the newest call."""
    newest = (await sidecar.calls())[0]["request_id"]
    async with sidecar.http.get(f"{sidecar.admin}/calls/{newest}") as answer:
        call: dict[str, Any] = await answer.json()
        return call


@ASLEEP
@PATHS
async def test_r08_who_wants_a_stream_gets_keepalives_until_the_agent_is_awake_and_then_the_answer(
    start: Start, agent: sim.Agent, caplog: pytest.LogCaptureFixture, how: str, door: str, path: str
) -> None:
    sidecar = await start(agent.url, **HURRIED)
    await lies_down(agent, how)
    async with sidecar.http.post(getattr(sidecar, door) + path, json=STREAMED) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        await waits(sidecar)
        for _ in range(3):
            assert await answer.content.readuntil(b"\n\n") == b": keepalive\n\n"
        assert runs(agent) == []
        await gets_up(agent)
        text = (await answer.read()).replace(b": keepalive\n\n", b"").decode()
    assert text.startswith("data: ")
    assert text.endswith("data: [DONE]\n\n")
    assert len(runs(agent)) == 1
    assert caplog.messages[0].startswith("agent default does not answer (agent_")
    assert [line.split(" after ")[0] for line in caplog.messages[1:]] in ([], ["agent default answers again"])
    assert await sidecar.metric("sidecar_cold_starts_total", agent="default") == 1
    call = await told(sidecar)
    assert call["outcome"] == "ok"
    happened = {moment["what"]: moment.get("value") for moment in call["timeline"]}
    assert happened["waited"] >= 0.3
    assert happened["cold_start"] in ("agent_unreachable", "agent_failed")


@ASLEEP
async def test_r08_who_wants_the_answer_whole_waits_for_it(start: Start, agent: sim.Agent, how: str) -> None:
    sidecar = await start(agent.url, **HURRIED)
    await lies_down(agent, how)
    asking = asyncio.create_task(sidecar.chat(WHOLE))
    await waits(sidecar)
    await gets_up(agent)
    answer = await asking
    assert (answer.status, "hello" in await answer.text()) == (200, True)
    assert len(runs(agent)) == 1


async def test_r08_those_who_wait_for_one_agent_share_one_awakening_and_each_runs_once(
    start: Start, agent: sim.Agent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sidecar.agents")
    sidecar = await start(agent.url, **HURRIED)
    agent.sleep()
    asking = [asyncio.create_task(sidecar.chat(said(f"number-{n}", stream=False))) for n in range(5)]
    await agent.called(5 + 4)  # each once, and the one who asks in their name
    agent.wake()
    answers = [await (await one).text() for one in asking]
    assert all(f"number-{n}" in text for n, text in enumerate(answers))
    assert len(set(runs(agent))) == len(runs(agent)) == 5
    assert sum("does not answer" in line for line in caplog.messages) == 1
    assert sum("answers again" in line for line in caplog.messages) == 1


@ASLEEP
async def test_r09_an_agent_that_stays_away_is_given_up_within_the_budget_with_the_next_step(
    start: Start, agent: sim.Agent, how: str
) -> None:
    sidecar = await start(agent.url, **HURRIED | {"COLD_START_BUDGET": "600ms"})
    await lies_down(agent, how)
    began = time.monotonic()
    answer = await sidecar.call(WHOLE)
    assert time.monotonic() - began < 2
    error = await answer.json()
    assert (answer.status, error["error"]) == (503, "agent_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert error["hint"]
    assert agent.url.removeprefix("http://") in error["detail"]
    assert runs(agent) == []
    assert await sidecar.metric("sidecar_requests_total", outcome="agent_unavailable") == 1


async def test_r09_a_stream_that_waited_in_vain_ends_with_a_typed_last_word(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **HURRIED | {"COLD_START_BUDGET": "600ms"})
    agent.sleep()
    text = await (await sidecar.chat(STREAMED)).text()
    assert text.startswith(": keepalive\n\n")
    assert '"code":"agent_unavailable"' in text
    assert "[DONE]" not in text
    assert agent.url.removeprefix("http://") not in text  # a browser reads it
    assert runs(agent) == []


async def test_r11_one_more_than_may_wait_is_told_so_at_once_and_the_others_get_their_answers(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **HURRIED | {"WAITING": "2"})
    await agent.port.close()
    waiting = [asyncio.create_task(sidecar.chat(WHOLE)) for _ in range(2)]
    await waits(sidecar, calls=2)
    one_more = await sidecar.call(WHOLE)
    assert (one_more.status, (await one_more.json())["error"]) == (503, "overloaded")
    assert int(one_more.headers["Retry-After"]) > 0
    async with sidecar.http.get(f"{sidecar.admin}/healthz") as health:
        assert health.status == 200
    await agent.port.open()
    assert [(await one).status for one in waiting] == [200, 200]
    assert len(runs(agent)) == 2


async def test_r08_who_leaves_while_it_waits_is_not_run_afterwards(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, **HURRIED)
    agent.sleep()
    stream = await sidecar.chat(STREAMED)
    await stream.content.readuntil(b": keepalive\n\n")
    stream.close()
    async with asyncio.timeout(2):
        await sidecar.app.edge.idle.wait()
    agent.wake()
    async with sidecar.http.get(f"{sidecar.egress}/agents/default/health") as health:
        assert health.status == 200
    assert runs(agent) == []
    assert await sidecar.metric("sidecar_requests_total", outcome="caller_left") == 1


@pytest.mark.parametrize("how", ["status 503", "status 502", "die"])
async def test_r02_r05_what_the_agent_itself_answered_or_broke_off_is_never_asked_again(
    start: Start, agent: sim.Agent, how: str
) -> None:
    """Not with a Retry-After, which the 503 has, and not with an idempotency key."""
    sidecar = await start(agent.url, **HURRIED)
    answer = await sidecar.call(said(how, stream=False), idempotency_key="once")
    assert answer.status == (502 if how == "die" else int(how[-3:]))
    assert len(agent.visits) == 1
    assert await sidecar.metric("sidecar_upstream_attempts_total", sent="full") == 1


@ASLEEP
async def test_replay_never_calls_an_agent_once_whatever_becomes_of_it(
    start: Start, agent: sim.Agent, how: str
) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__REPLAY="never", **HURRIED)
    await lies_down(agent, how)
    answer = await sidecar.chat(WHOLE)
    error = await answer.json()
    if how == "refuses connections":
        assert (answer.status, error["error"]) == (502, "agent_unreachable")
    else:
        assert (answer.status, error["error"]) == (502, "agent_failed")
        assert [visit.method for visit in agent.visits] == ["POST"]
    assert await sidecar.metric("sidecar_upstream_attempts_total", agent="default") == 1
    assert await sidecar.metric("sidecar_cold_starts_total", agent="default") == 0


async def test_replay_never_makes_no_second_call_for_a_refused_stream_or_shape_or_bearer(
    start: Start, agent: sim.Agent
) -> None:
    own = {"AUTH": "static", "TOKEN": "the-apps-own", "REPLAY": "never"}
    sidecar = await start(agent.url, **{f"AGENTS__DEFAULT__{name}": value for name, value in own.items()})
    for asked in (
        said("refuse streaming", stream=True),
        {"messages": [{"role": "user", "content": "hello"}]},
        said("unauthorized"),
    ):
        before = len(agent.visits)
        assert (await sidecar.call(asked)).status in (400, 401)
        assert len(agent.visits) == before + 1


async def test_r08_a_relay_waits_for_an_agent_that_is_not_there_and_takes_a_page_as_the_answer(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **HURRIED)
    relay = f"{sidecar.egress}/agents/default/health"
    await agent.port.close()
    asking = asyncio.create_task(sidecar.http.get(relay))
    await waits(sidecar)
    await agent.port.open()
    assert (await asking).status == 200
    agent.sleep()
    async with sidecar.http.get(relay) as answer:
        assert (answer.status, answer.content_type) == (503, "text/html")
