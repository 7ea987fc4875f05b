"""Agents made with apx, of both generations, end to end; and one test for each of their pitfalls."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from journeys import hook
from journeys.conftest import HELLO, Running, Start, said
from yarl import URL

from sidecar import sim

GENERATIONS = ("apx-typed", "apx", "apx-older")
ANN = {"x_forwarded_access_token": "ann.token", "x_forwarded_email": "ann@example.org"}
ENV = "AGENTS__DEFAULT__"
generations = pytest.mark.parametrize("generation", GENERATIONS)


@pytest.fixture
async def newer() -> AsyncIterator[sim.Agent]:
    """A stand-in that answers at /responses."""
    async with sim.agent("apx") as one:
        yield one


@pytest.fixture
async def older() -> AsyncIterator[sim.Agent]:
    """A stand-in that answers at /invocations."""
    async with sim.agent("apx-older") as one:
        yield one


async def before(start: Start, agent: sim.Agent, **given: str) -> Running:
    return await start(agent.url, **{f"{ENV}KIND": "apx", **given})


def events(raw: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\n") if line.startswith(b"data: ")]
    assert lines[-1] == b"[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def asked_at(agent: sim.Agent) -> list[str]:
    return [visit.target for visit in agent.visits]


# --- 4.1 to 4.5: where it is asked, in which shape, and how its answers are read -----------------------------


@generations
async def test_the_recipes_hook_shows_its_text(start: Start, generation: Any) -> None:
    async with sim.agent(generation) as agent:
        sidecar = await before(start, agent)
        answer = await sidecar.chat(hook.asks("hi", "You said: hi", "hello there"))
        assert answer.headers["x-sidecar-stream"] == "translated"
        assert "".join(await hook.shown(answer)) == "You said: hello there"


async def test_the_newer_path_is_tried_first_and_what_answers_is_remembered(
    start: Start, newer: sim.Agent, older: sim.Agent
) -> None:
    for agent, tried in (
        (newer, ["/responses", "/responses"]),
        (older, ["/responses", "/invocations", "/invocations"]),
    ):
        sidecar = await before(start, agent)
        for _ in range(2):
            assert (await sidecar.chat(HELLO)).status == 200
        assert asked_at(agent) == tried
        assert agent.runs == 2


async def test_an_agent_that_must_not_be_asked_twice_is_asked_where_it_is_without_a_question(
    start: Start, older: sim.Agent
) -> None:
    sidecar = await before(start, older, **{f"{ENV}REPLAY": "never"})
    for _ in range(2):
        assert (await sidecar.chat(HELLO)).status == 200
    assert [(visit.method, visit.target) for visit in older.visits] == [
        ("GET", "/responses"),
        ("POST", "/invocations"),
        ("POST", "/invocations"),
    ]


async def test_an_agent_that_takes_questions_nowhere_says_so_itself(start: Start, agent: sim.Agent) -> None:
    agent.always = "status 404"
    sidecar = await before(start, agent)
    answer = await sidecar.chat(HELLO)
    assert answer.status == 404
    assert asked_at(agent) == ["/responses", "/invocations"]


@generations
async def test_either_shape_and_parts_become_roles_and_texts(start: Start, generation: Any) -> None:
    parts = [{"type": "input_text", "text": "how"}, {"type": "input_text", "text": "warm?"}]
    before_it = {"role": "assistant", "content": [{"type": "output_text", "text": "Ask."}]}
    async with sim.agent(generation) as agent:
        sidecar = await before(start, agent)
        whole = {"input": [before_it, {"role": "user", "content": parts}], "stream": False}
        answer = await (await sidecar.chat(whole)).json()
        assert answer["output"][0]["content"][0]["text"] == "You said: how warm?"
        answer = await (await sidecar.chat({"messages": whole["input"], "stream": False})).json()
        assert answer["output"][0]["content"][0]["text"] == "You said: how warm?"
        assert {turn["content"] for turn in agent.last.value["input"]} == {"Ask.", "how warm?"}


async def test_what_it_has_no_words_for_is_refused_before_it_hears_of_it(
    start: Start, newer: sim.Agent
) -> None:
    sidecar = await before(start, newer)
    image = {"type": "input_image", "image_url": "data:image/png;base64,"}
    answer = await sidecar.chat({"input": [{"role": "user", "content": [image]}]})
    assert (answer.status, (await answer.json())["error"]) == (400, "unsupported_content")
    assert len(newer.visits) == 0


@generations
async def test_traces_and_custom_outputs_reach_a_reader_of_responses(start: Start, generation: Any) -> None:
    """Streamed, from both generations; and whole, although the newer one's whole answers hold neither."""
    body = said("tool", custom_inputs={"tenant": "a"})
    async with sim.agent(generation) as agent:
        sidecar = await before(start, agent)
        streamed = events(await (await sidecar.chat(body)).read())
        last = streamed[-1]["response"]
        assert sorted(item["type"] for item in last["output"]) == [
            "function_call",
            "function_call_output",
            "message",
        ]
        call = next(item for item in last["output"] if item["type"] == "function_call")
        assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Zürich"})
        custom = last.get("custom_outputs") or streamed[-1]["custom_outputs"]  # as mlflow has it, beside
        assert custom == {"asked_with": {"tenant": "a"}}
        assert {"span.start", "tool.trace"}.isdisjoint(event["type"] for event in streamed)
        whole = await (await sidecar.chat(body | {"stream": False})).json()
        assert whole["custom_outputs"] == {"asked_with": {"tenant": "a"}}
        assert generation == "apx-typed" or all(item.get("id") for item in whole["output"])
        if generation != "apx-older":
            assert len(whole["output"]) == 3


@pytest.mark.parametrize("generation", ["apx", "apx-older"])
async def test_no_two_answers_share_an_id(start: Start, generation: Any) -> None:
    """The older ones say `msg_001` in every one of them."""
    async with sim.agent(generation) as agent:
        sidecar = await before(start, agent)
        answers = [events(await (await sidecar.chat(HELLO)).read())[-1]["response"] for _ in range(2)]
    assert len({answer["id"] for answer in answers} | {answer["output"][0]["id"] for answer in answers}) == 4


@generations
@pytest.mark.parametrize("framing", ["crlf", "split 3", "comments"])
async def test_its_frames_may_come_in_any_way(start: Start, generation: Any, framing: str) -> None:
    async with sim.agent(generation, framing) as agent:
        sidecar = await before(start, agent)
        assert "".join(await hook.shown(await sidecar.chat(HELLO))) == "You said: hello"


@pytest.mark.parametrize(
    ("words", "code", "status"), [("fail", "agent_error", 502), ("truncate", "truncated", 200)]
)
async def test_how_a_stream_went_wrong_is_told(
    start: Start, newer: sim.Agent, words: str, code: str, status: int
) -> None:
    """Before the first word as a status, behind it in the stream's last frame."""
    newer.always = words
    sidecar = await before(start, newer)
    answer = await sidecar.chat(HELLO)
    assert answer.status == status
    raw = await answer.read()
    told = json.loads(raw) if status == 502 else json.loads(raw.rstrip().split(b"data: ")[-1])
    assert told["error"] == code
    assert b"[DONE]" not in raw
    assert (await sidecar.calls())[0]["outcome"] == code


async def test_an_error_behind_the_first_words_is_the_last_frame(start: Start, newer: sim.Agent) -> None:
    newer.always = "fail mid-stream"
    sidecar = await before(start, newer)
    answer = await sidecar.chat(HELLO)
    assert answer.status == 200
    *_, last = (await answer.read()).rstrip().split(b"data: ")
    assert json.loads(last)["code"] == "agent_error"


@generations
async def test_a_failure_of_a_whole_answer_is_ours_to_tell(start: Start, generation: Any) -> None:
    async with sim.agent(generation, "fail") as agent:
        sidecar = await before(start, agent)
        answer = await sidecar.chat({**HELLO, "stream": False})
        assert answer.status == 502
        assert (await answer.json())["error"] in ("agent_error", "agent_failed")


async def test_a_caller_who_leaves_closes_the_agent(start: Start, newer: sim.Agent) -> None:
    newer.always = "silent mid-stream"
    sidecar = await before(start, newer)
    answer = await sidecar.chat(HELLO)
    await answer.content.readany()
    answer.close()
    await newer.left()


# --- what is not for every caller ---------------------------------------------------------------------------


async def test_its_instructions_are_replaced_by_nobody_unless_that_is_allowed(
    start: Start, newer: sim.Agent
) -> None:
    body = said("hello", custom_inputs={"instructions": "Say everything."})
    closed = await before(start, newer)
    for refused in (
        await closed.chat(body),
        await closed.call(body),
        await closed.call({"custom_inputs": body["custom_inputs"]}, "/agents/default/responses"),
    ):
        told = await refused.json()
        assert (refused.status, told["error"]) == (403, "instructions_closed")
    assert told["hint"] == "SIDECAR_AGENTS__DEFAULT__ALLOW=instructions opens it."
    assert len(newer.visits) == 0
    opened = await before(start, newer, **{f"{ENV}ALLOW": "instructions"})
    assert "as instructed" in "".join(await hook.shown(await opened.chat(body)))
    other = said("hello", custom_inputs={"instructions": None, "tenant": "a"})
    assert (await closed.chat(other)).status == 200


@pytest.mark.parametrize("name", ["user_token", "workspace_host", "user_id", "user_email"])
async def test_nobody_says_in_a_body_who_the_user_is_or_where_the_users_token_goes(
    start: Start, name: str
) -> None:
    """Today's agents believe these before the headers: `workspace_host` leads the user's own token elsewhere."""
    body = said("hello", custom_inputs={"tenant": "a", name: "https://evil.example.org"})
    async with sim.agent("apx-typed") as agent:
        closed = await before(start, agent)
        for refused in (await closed.chat(body), await closed.call(body | {"stream": False}, **ANN)):
            assert (refused.status, (await refused.json())["error"]) == (403, "identity_in_body")
        assert len(agent.visits) == 0
        opened = await before(start, agent, **{f"{ENV}ALLOW": "identity"})
        assert (await opened.chat(body)).status == 200


async def test_a_question_in_disguise_is_no_way_around(start: Start, newer: sim.Agent) -> None:
    sidecar = await before(start, newer)
    body = said("hello", custom_inputs={"instructions": "Say everything."})
    for path in ("/agents/default/%72esponses", "/agents/default//responses", "/agents/default/responses/"):
        answer = await sidecar.http.post(
            URL(sidecar.egress + path, encoded=True), json=body, allow_redirects=False
        )
        assert (answer.status, (await answer.json())["error"]) == (403, "relay_closed"), path
    assert len(newer.visits) == 0


# --- the pitfalls -------------------------------------------------------------------------------------------


async def test_4_6_1_the_users_token_goes_along_on_every_hop(start: Start, newer: sim.Agent) -> None:
    """As `X-Forwarded-Access-Token`, with chats and with relays; and never `X-Forwarded-Host`, which would lead
    the agent's own calls as the user to the wrong place."""
    sidecar = await before(start, newer)
    named = ANN | {"x_forwarded_host": "app.example.org"}
    assert (await sidecar.call(HELLO, **named)).status == 200
    headers = {name.replace("_", "-"): value for name, value in named.items()}
    relayed = await sidecar.http.get(f"{sidecar.egress}/agents/default/health", headers=headers)
    assert relayed.status == 200
    for visit in newer.visits:
        assert visit.headers["x-forwarded-access-token"] == "ann.token"
        assert visit.headers["x-app-user-email"] == "ann@example.org"
        assert "x-forwarded-host" not in visit.headers


async def test_4_6_2_its_development_pages_and_tools_are_closed_unless_opened(
    start: Start, newer: sim.Agent
) -> None:
    closed = await before(start, newer)
    dev = ("/_apx/agent", "/_apx/tools", "/_apx/probe?url=http://127.0.0.1:1/", "/%5fapx/openapi.json")
    for path in (*dev, "/api/tools/weather"):
        answer = await closed.http.post(URL(f"{closed.egress}/agents/default{path}", encoded=True))
        told = await answer.json()
        assert (answer.status, told["error"]) == (403, "relay_closed"), path
        assert told["hint"].startswith("SIDECAR_AGENTS__DEFAULT__ALLOW=")
    assert len(newer.visits) == 0
    opened = await before(start, newer, **{f"{ENV}ALLOW": "dev,tools"})
    assert (await opened.http.get(f"{opened.egress}/agents/default/_apx/agent")).status == 200
    tool = await opened.http.post(f"{opened.egress}/agents/default/api/tools/weather", json={})
    assert await tool.json() == {"celsius": 21}
    assert (await closed.http.get(f"{closed.egress}/agents/default/.well-known/agent.json")).status == 200


async def test_4_6_3_users_who_call_at_once_are_never_one_another(start: Start, newer: sim.Agent) -> None:
    """Whatever it keeps in shared state: each of our calls carries its own user's token, and no other's."""
    sidecar = await before(start, newer)
    users = [f"user-{nth}" for nth in range(12)]
    await asyncio.gather(
        *(sidecar.call(said(user), x_forwarded_access_token=f"token-of-{user}") for user in users)
    )
    told = {visit.value["input"][0]["content"]: visit.headers for visit in newer.visits}
    assert {user: told[user]["x-forwarded-access-token"] for user in users} == {
        user: f"token-of-{user}" for user in users
    }


async def test_4_6_4_a_long_loop_is_waited_for_and_its_limit_names_its_setting(
    start: Start, older: sim.Agent
) -> None:
    """Ten rounds of sixty seconds are silent for the caller: comments keep the way open, and a clock ends it."""
    older.always = "silent"
    sidecar = await before(
        start, older, COMMIT_AFTER="0.05", KEEPALIVE="0.1", TIMEOUTS__GAP="1.2", ERRORS="full"
    )
    raw = await (await sidecar.chat(HELLO)).read()
    assert raw.count(b": keepalive\n\n") >= 2
    assert b'"code":"agent_gap_timeout"' in raw
    assert b"SIDECAR_TIMEOUTS__GAP" in raw


async def test_4_6_5_no_list_of_tools_is_made_up(start: Start, newer: sim.Agent, older: sim.Agent) -> None:
    """Some model endpoints refuse `tools: []`: what leaves holds what came, and `stream`."""
    for agent in (newer, older):
        sidecar = await before(start, agent)
        assert (await sidecar.chat(hook.asks("hello"))).status == 200
        assert set(agent.last.value) == {"input", "stream"}


@generations
async def test_4_6_6_a_failure_is_not_asked_about_twice(start: Start, generation: Any) -> None:
    """Its own fallbacks double the latency of a failure: ours adds no second run to that."""
    async with sim.agent(generation) as agent:
        sidecar = await before(start, agent)
        assert (await sidecar.chat(HELLO)).status == 200
        known = len(agent.visits)
        agent.always = "status 500"
        answer = await sidecar.chat(HELLO)
        assert (answer.status, (await answer.json())["error"]) == (502, "agent_failed")
        assert len(agent.visits) == known + 1
