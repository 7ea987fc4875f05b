"""JSON-RPC at `/api/agents/<name>`: to agents that speak A2A untouched, to all others told into a chat and back.

B09, B12.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from journeys.conftest import Running, Start
from peers.frames import events

from sidecar import sim

NEW = {"a2a_version": "1.0"}


def message(text: str, *, new: bool = False, **more: Any) -> Any:
    part = {"text": text} if new else {"kind": "text", "text": text}
    return {"message": {"messageId": "m", "role": "ROLE_USER" if new else "user", "parts": [part], **more}}


def rpc(method: str, params: Any = None, ident: Any = 1) -> Any:
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


def send(text: str, ident: Any = 1, **more: Any) -> Any:
    return rpc("message/send", message(text, **more), ident)


async def asks(sidecar: Running, body: Any, path: str = "/api/agents/default", **headers: str) -> Any:
    answer = await sidecar.call(body, path, **headers)
    assert answer.status == 200, await answer.text()
    return await answer.json()


# --- an agent that speaks A2A: the bytes pass --------------------------------------------------------------


@asynccontextmanager
async def before(
    start: Start, version: str = "0.3", **how: Any
) -> AsyncIterator[tuple[sim.A2AAgent, Running]]:
    async with sim.a2a(version, **how) as agent:
        yield agent, await start(agent.url, {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"})


@pytest.mark.parametrize("ident", ["1", "", 7, 2**70, 1.5, None])
async def test_2_9_10_an_id_of_any_legal_type_comes_back_from_an_agent(start: Start, ident: Any) -> None:
    async with before(start) as (_, sidecar):
        answer = await asks(sidecar, send("hello", ident))
        assert (answer["id"], type(answer["id"])) == (ident, type(ident))
        assert answer["result"]["artifacts"][0]["parts"] == [
            {"kind": "text", "text": "Echo:"},
            {"kind": "text", "text": " hello"},
        ]


async def test_the_body_arrives_byte_for_byte_at_the_endpoint_of_the_card(start: Start) -> None:
    async with before(start) as (agent, sidecar):
        raw = (
            b'{"id": 1.50, "method":"message/send",\n "params":'
            + json.dumps(message("x")).encode()
            + b', "more": 1e400}'
        )
        for path in ("/api/agents/default", "/api/agents/default/", "/api/agents/default/message"):
            await sidecar.call(raw, path, a2a_version="0.3", x_a2a_extensions="urn:x")
            visit = agent.visits[-1]
            assert (visit.body, visit.target) == (raw, "/rpc")
            assert (visit.headers["A2A-Version"], visit.headers["X-A2A-Extensions"]) == ("0.3", "urn:x")


async def test_a_header_that_nobody_sent_is_not_invented(start: Start) -> None:
    async with before(start, "1.0") as (agent, sidecar):
        answer = await asks(sidecar, rpc("SendMessage", message("x", new=True)))
        assert answer["error"]["code"] == -32009
        assert "A2A-Version" not in agent.visits[-1].headers
        assert "task" in (await asks(sidecar, rpc("SendMessage", message("x", new=True)), **NEW))["result"]


@pytest.mark.parametrize(
    ("body", "code", "ident"),
    [
        (b"{", -32700, None),
        (b"[]", -32600, None),
        (b"", -32700, None),
        (rpc("no/such", {}, 4), -32601, 4),
        (rpc("message/send", {}, "a"), -32602, "a"),
        (rpc("tasks/get", {"id": "nobody's"}, 1), -32001, 1),
        (rpc("message/send", message("error -32050"), 1), -32050, 1),
        (rpc("x/extension", {"any": "thing"}, 1), -32601, 1),
    ],
)
async def test_b12_an_agents_json_rpc_error_is_its_own_and_a_200(
    start: Start, body: Any, code: int, ident: Any
) -> None:
    async with before(start) as (agent, sidecar):
        answer = await asks(sidecar, body)
        assert (answer["error"]["code"], answer.get("id")) == (code, ident)
        assert agent.visits[-1].method == "POST"


async def test_2_5_a_message_sent_to_stream_is_streamed_with_the_agents_own_frames(start: Start) -> None:
    async with before(start) as (agent, sidecar):
        answer = await sidecar.call(send("hi", "s1"), "/api/agents/default/stream")
        assert answer.content_type == "text/event-stream"
        raw = await answer.read()
        assert b": ping - now\r\n\r\n" in raw
        assert agent.asked[0] == "message/stream"
        assert agent.visits[-1].headers["Accept"].startswith("text/event-stream")
        kinds = [event["result"]["kind"] for event in map(json.loads, frames(raw))]
        assert kinds == ["task", "status-update", "artifact-update", "artifact-update", "status-update"]


def frames(raw: bytes) -> list[bytes]:
    return [line.removeprefix(b"data: ") for line in raw.split(b"\r\n") if line.startswith(b"data: ")]


async def test_an_unknown_agent_is_404_and_one_that_is_down_is_502_and_neither_is_a_json_rpc_error(
    start: Start, agent: sim.Agent
) -> None:
    await agent.port.close()
    sidecar = await start(agent.url, {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"}, COLD_START_BUDGET="0")
    for path, status in (("/api/agents/nobody", 404), ("/api/agents/default", 502)):
        answer = await sidecar.call(send("x"), path)
        told = await answer.json()
        assert (answer.status, "jsonrpc" in told) == (status, False)
        assert told["error"]
        assert told["detail"]


@pytest.mark.parametrize(
    "asked",
    [
        b"{",
        b"[]",
        b"7",
        {"jsonrpc": "1.0", "id": 1, "method": "message/send"},
        {"jsonrpc": "2.0", "id": 1, "method": "no/such"},
        {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "x"}},
        [send("x")],
        send("x"),
    ],
)
async def test_an_unknown_agent_is_404_whatever_it_is_asked(
    start: Start, agent: sim.Agent, asked: Any
) -> None:
    sidecar = await start(agent.url, {"SIDECAR_AGENTS__OTHER__URL": agent.url})
    for path in ("/api/agents/nobody", "/api/agents/nobody/stream"):
        answer = await sidecar.call(asked, path)
        assert (answer.status, (await answer.json())["error"]) == (404, "unknown_agent")
    assert len(agent.visits) == 0


# --- any other agent: told into a chat and back ------------------------------------------------------------


async def test_a_responses_agent_answers_a_message_with_a_task(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await asks(sidecar, send("hello", 12))
    result = answer["result"]
    assert (answer["id"], result["kind"], result["status"]) == (12, "task", {"state": "completed"})
    assert result["artifacts"][0]["parts"] == [{"kind": "text", "text": "You said: hello"}]
    assert agent.last.value == {"input": [{"role": "user", "content": "hello"}]}
    assert agent.last.target == "/invocations"


@pytest.mark.parametrize("ident", ["", -1, 2**80, 1.5, None])
@pytest.mark.parametrize("method", ["message/send", "message/stream"])
async def test_an_id_of_any_legal_type_comes_back_from_us(
    start: Start, agent: sim.Agent, ident: Any, method: str
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(rpc(method, message("hello"), ident), "/api/agents/default")
    told = events(await answer.read()) if method == "message/stream" else [await answer.json()]
    assert {(one["id"], type(one["id"])) for one in told} == {(ident, type(ident))}


async def test_data_nested_as_deep_as_a_body_may_be_is_answered(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    deep: Any = {}
    for _ in range(190):
        deep = {"d": deep}
    asked = rpc("message/send", {"message": {"role": "user", "parts": [{"kind": "data", "data": deep}]}})
    assert (await asks(sidecar, asked))["result"]["status"] == {"state": "completed"}


async def test_the_same_in_1_0(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await asks(sidecar, rpc("SendMessage", message("hello", new=True)), **NEW)
    task = answer["result"]["task"]
    assert task["status"] == {"state": "TASK_STATE_COMPLETED"}
    assert task["artifacts"][0]["parts"] == [{"text": "You said: hello"}]


async def test_a_callers_context_is_kept_and_told_to_the_agent(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await asks(sidecar, send("hello", contextId="c7"))
    assert answer["result"]["contextId"] == "c7"
    assert agent.last.value["context"] == {"conversation_id": "c7"}


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/agents/default", "message/stream"), ("/api/agents/default/stream", "message/send")],
)
@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_2_5_its_words_are_streamed_as_updates_of_one_artifact(
    start: Start, path: str, method: str, kind: Any
) -> None:
    async with sim.agent(kind) as agent:
        sidecar = await start(agent.url)
        answer = await sidecar.call(rpc(method, message("hello there"), "s"), path)
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told = events(await answer.read())
        assert {event["id"] for event in told} == {"s"}
        results = [event["result"] for event in told]
        updates = [result for result in results if result["kind"] == "artifact-update"]
        assert (
            "".join(update["artifact"]["parts"][0]["text"] for update in updates) == "You said: hello there"
        )
        assert [update["append"] for update in updates] == [False, True, True, True]
        assert results[0]["status"]["state"] == "submitted"
        assert (results[-1]["status"]["state"], results[-1]["final"]) == ("completed", True)
        assert len({result.get("taskId", result.get("id")) for result in results}) == 1


async def test_a_stream_in_1_0_has_no_kinds_and_no_final(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(
        rpc("SendStreamingMessage", message("hi", new=True)), "/api/agents/default", **NEW
    )
    results = [event["result"] for event in events(await answer.read())]
    assert list(results[0]) == ["task"]
    assert {name for result in results[1:-1] for name in result} == {"artifactUpdate"}
    last = results[-1]["statusUpdate"]
    assert (last["status"]["state"], "final" in last) == ("TASK_STATE_COMPLETED", False)


@pytest.mark.parametrize("word", ["fail mid-stream", "truncate mid-stream", "hang up"])
async def test_an_agent_that_fails_in_its_stream_has_failed_in_the_callers_words(
    start: Start, agent: sim.Agent, word: str
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(rpc("message/stream", message(word)), "/api/agents/default")
    last = events(await answer.read())[-1]["result"]
    assert (last["status"]["state"], last["final"]) == ("failed", True)
    assert last["status"]["message"]["parts"][0]["text"]
    assert (await sidecar.calls())[0]["outcome"] == "agent_error"


@pytest.mark.parametrize("method", ["message/send", "message/stream"])
@pytest.mark.parametrize(
    ("word", "status"), [("html", 502), ("status 429", 429), ("status 500", 502), ("forbidden", 403)]
)
async def test_b12_an_agents_http_error_is_no_json_rpc_error(
    start: Start, agent: sim.Agent, method: str, word: str, status: int
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(rpc(method, message(word)), "/api/agents/default")
    told = await answer.json()
    assert answer.status == status
    assert "jsonrpc" not in told


@pytest.mark.parametrize(
    ("body", "headers", "code", "ident"),
    [
        (b"{", {}, -32700, None),
        (b"", {}, -32700, None),
        (b"7", {}, -32600, None),
        (b"[]", {}, -32600, None),
        ({"jsonrpc": "1.0", "id": 3, "method": "message/send"}, {}, -32600, 3),
        ({"jsonrpc": "2.0", "id": {"no": "id"}, "method": "message/send"}, {}, -32600, None),
        (rpc("no/such", {}, "x"), {}, -32601, "x"),
        (rpc("message/send", None, "x"), {}, -32602, "x"),
        (rpc("message/send", message("x", role="agent"), 1), {}, -32602, 1),
        (rpc("message/stream", {"message": {"role": "user", "parts": []}}, 1), {}, -32602, 1),
        (send("x"), {"a2a_version": "9"}, -32009, None),
        (rpc("SendMessage", message("x", new=True), 5), {}, -32009, 5),
        (send("x", 5), NEW, -32601, 5),
        (rpc("tasks/get", {"id": "t"}, 5), {}, -32001, 5),
        (rpc("CancelTask", {"id": "t"}, 5), NEW, -32001, 5),
        (rpc("tasks/pushNotificationConfig/set", {}, 5), {}, -32003, 5),
        (rpc("agent/getAuthenticatedExtendedCard", None, 5), {}, -32007, 5),
    ],
)
async def test_b09_what_is_wrong_is_said_in_json_rpc_and_nobody_is_asked(
    start: Start, agent: sim.Agent, body: Any, headers: dict[str, str], code: int, ident: Any
) -> None:
    sidecar = await start(agent.url)
    answer = await asks(sidecar, body, **headers)
    assert (answer["error"]["code"], answer["id"], answer["jsonrpc"]) == (code, ident, "2.0")
    assert agent.runs == 0


async def test_b09_a_batch_is_answered_one_by_one_and_a_notification_not_at_all(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    told = await asks(
        sidecar, [send("one", 1), send("x") | {"id": {}}, rpc("no/such", {}, "b"), send("two", "c")]
    )
    assert [(one["id"], one.get("error", {}).get("code")) for one in told] == [
        (1, None),
        (None, -32600),
        ("b", -32601),
        ("c", None),
    ]
    assert told[3]["result"]["artifacts"][0]["parts"][0]["text"] == "You said: two"
    notification = {name: part for name, part in send("three").items() if name != "id"}
    for body in (notification, [notification]):
        answer = await sidecar.call(body, "/api/agents/default")
        assert (answer.status, await answer.read()) == (204, b"")
    assert agent.runs == 4


async def test_b09_one_of_a_batch_that_fails_spoils_no_other_and_nothing_is_streamed_in_one(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    told = await asks(
        sidecar, [send("status 500", 1), send("two", 2), rpc("message/stream", message("x"), 3)]
    )
    assert [one.get("error", {}).get("code") for one in told] == [-32603, None, -32004]


async def test_a_stream_that_began_before_its_agent_failed_ends_with_an_error_of_json_rpc(
    start: Start, agent: sim.Agent
) -> None:
    """Its status was 200 by then; the id is nobody's, as JSON-RPC has it where none is known."""
    sidecar = await start(agent.url, COMMIT_AFTER="0.05")
    answer = await sidecar.call(rpc("message/stream", message("slow 1 status 500")), "/api/agents/default")
    assert answer.status == 200
    last = events(await answer.read())[-1]
    assert (last["id"], last["error"]["code"]) == (None, -32603)
    assert last["error"]["data"].startswith("agent_failed, request ")


async def test_who_leaves_a_told_stream_leaves_the_agent(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.call(rpc("message/stream", message("silent mid-stream")), "/api/agents/default")
    await answer.content.readuntil(b"artifact-update")
    answer.close()
    await agent.left()


async def test_an_agent_calls_another_through_the_sidecar_with_an_integer_id(start: Start) -> None:
    async with sim.a2a("0.2", "calculator") as calculator, sim.a2a("0.3", "assistant") as assistant:
        block = {"SIDECAR_AGENTS__CALC__URL": calculator.url, "SIDECAR_AGENTS__CALC__KIND": "a2a"}
        sidecar = await start(assistant.url, {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"} | block)
        assistant.gateway = sidecar.egress
        answer = await asks(sidecar, send("calc: Add 42 and 17"))
        texts = [part["text"] for one in answer["result"]["artifacts"] for part in one["parts"]]
        assert "".join(texts) == "calc says: 59"
