"""Chats with a builder app, end to end; one test for each of its pitfalls; B06, B07."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys import hook
from journeys.conftest import Running, Start, client, said
from journeys.process import Started
from peers.frames import events

from sidecar import sim

ENV = "SIDECAR_AGENTS__DEFAULT__"
ANN = {"x_forwarded_email": "ann@example.org", "x_forwarded_user": "1234567890@42"}
BOB = {"x_forwarded_email": "bob@example.org"}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost windows are asked for again at once; how long they really wait is told in tests/policies."""
    for place in ("windows", "kept"):
        monkeypatch.setattr(f"middleware.dialects.builder.{place}.pause", lambda tries: 0.001)


@asynccontextmanager
async def talking(
    start: Start, environ: dict[str, str] | None = None, **how: Any
) -> AsyncIterator[tuple[sim.Builder, Running]]:
    async with sim.builder(**how) as agent:
        yield agent, await start(agent.url, {f"{ENV}KIND": "builder"} | (environ or {}))


async def whole(sidecar: Running, body: Any, **headers: str) -> tuple[int, Any]:
    answer = await sidecar.call(body | {"stream": False}, **headers)
    return answer.status, await answer.json()


async def streamed(sidecar: Running, text: str) -> list[Any]:
    return events(await (await sidecar.chat(said(text))).read())


def text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", []))


def turns(*texts: str) -> Any:
    return {"input": hook.asks(*texts)["messages"]}


# --- a chat -------------------------------------------------------------------------------------------------


async def test_the_recipes_hook_shows_its_words_as_they_come(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        answer = await sidecar.chat(hook.asks("hello there"))
        assert answer.headers["x-sidecar-stream"] == "translated"
        assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]
        assert agent.asked() == [
            "GET /api/projects",
            "POST /api/projects",
            "POST /api/projects/conversations",
            "POST /api/invoke_agent",
            "POST /api/stream_progress",
        ]


async def test_whoever_wants_it_whole_gets_it_whole(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        status, answer = await whole(sidecar, said("hello"))
        assert (status, answer["status"], text(answer)) == (200, "completed", "You said: hello")
        assert answer["metadata"]["total_cost_usd"] == "0.0125"


async def test_tools_and_thoughts_reach_a_reader_of_responses(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        output = (await streamed(sidecar, "tool think"))[-1]["response"]["output"]
        kinds = ["reasoning", "message", "function_call", "function_call_output", "message"]
        assert [item["type"] for item in output] == kinds
        assert text({"output": output}) == "You said: tool think"


@pytest.mark.parametrize(
    "words",
    [
        *(
            "windows",
            "windows same stamp",
            "cut",
            "cut 3",
            "end early 2",
            "dead 5",
            "busy 5",
            "expired windows",
        ),
        *(
            "cut 2 clock back",
            "end early 3 same stamp",
            "purge",
            "lag",
            "forget",
            "keepalive windows",
            "block",
        ),
    ],
)
async def test_b06_b07_whatever_windows_do_the_text_is_whole_and_once(start: Start, words: str) -> None:
    async with talking(start) as (agent, sidecar):
        shown = "".join(await hook.shown(await sidecar.chat(said(f"{words} one two three four"))))
        assert shown == f"You said: {words} one two three four"
        assert len(agent.runs) == 1
        assert len(agent.stopped) == 0
        assert (await sidecar.calls())[0]["outcome"] == "ok"


@pytest.mark.parametrize("words", ["error", "fail", "exhausted", "lose", "dead 6", "busy 6"])
async def test_a_failure_is_told_whatever_came_before(start: Start, words: str) -> None:
    """As a status before the first word, as the last frame behind it."""
    code = {"lose": "agent_run_lost", "dead 6": "agent_broke_off", "busy 6": "agent_failed"}.get(
        words, "agent_error"
    )
    async with talking(start) as (agent, sidecar):
        answer = await sidecar.chat(said(words))
        raw = await answer.read()
        assert answer.status == (200 if words in ("error", "lose") else 502)
        told = json.loads(raw) if answer.status == 502 else events(raw)[-1]
        assert told["error"] == code
        assert b"[DONE]" not in raw
        status, failed = await whole(sidecar, said(words))
        assert (status, failed["error"]) == (502, code)
        if words.endswith("6"):
            assert len(agent.windows) == 2 * (1 + 5), "B07: five tries and no more"
            assert len(agent.stopped) == 2, "nobody reads on"


async def test_a_cancelled_run_is_incomplete(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        last = (await streamed(sidecar, "cancel yourself"))[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "cancelled"}


async def test_b06_a_caller_who_leaves_stops_the_run_once(start: Start) -> None:
    for stream in (True, False):
        async with talking(start) as (agent, sidecar):
            asking = asyncio.create_task(sidecar.chat(said("hold", stream=stream)))
            await agent.windows.nth(1)
            if stream:
                answer = await asking
                await answer.content.readany()
                answer.close()
            else:
                asking.cancel()
            await agent.stopped.nth(1)
            for _ in range(3):  # everything that could still come has come when another chat is over
                await whole(sidecar, said("hello"))
            assert list(map(agent.stopped.__getitem__, range(len(agent.stopped)))) == [next(iter(agent.runs))]
            assert next(iter(agent.runs.values())).status == "cancelled"


async def test_an_answer_to_invoke_that_is_lost_starts_no_second_run(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        status, answer = await whole(sidecar, said("drop reply"))
        assert (status, text(answer)) == (200, "You said: drop reply")
        assert len(agent.runs) == 1


async def test_the_real_process_does_it_too(process: Started) -> None:
    """Windows of a fifth of a second, and a run that takes a whole one; then one whose caller leaves."""
    async with sim.builder(window=0.2, pace=0.1) as agent, client() as http:
        one = await (await process("serve", AGENT_APP_URL=agent.url, **{f"{ENV}KIND": "builder"})).ready()
        answer = await http.post(f"{one.doors['front']}/api/chat", json=said("one two three four five six"))
        assert "".join(await hook.shown(answer)) == "You said: one two three four five six"
        assert len(agent.windows) >= 4
        leaving = await http.post(f"{one.doors['front']}/api/chat", json=said("hold"))
        await leaving.content.readany()
        leaving.close()
        assert await agent.stopped.nth(1) == agent.last.ident


# --- conversations ------------------------------------------------------------------------------------------


async def test_a_chat_goes_on_in_its_conversation_with_its_last_question_alone(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, turns("one"))
        await whole(sidecar, turns("one", "You said: one", "two"))
        runs = list(agent.runs.values())
        assert [run.text for run in runs] == ["one", "two"]
        assert runs[0].conversation == runs[1].conversation
        assert len(agent.projects) == 1


async def test_a_conversation_that_is_not_known_begins_with_what_came_before(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, turns("one", "Another answer.", "two"))
        assert agent.last.text.startswith(
            "This conversation so far:\n\nUser: one\n\nYou: Another answer.\n\nNow:"
        )


async def test_the_same_question_again_is_another_conversation(start: Start) -> None:
    """Otherwise the agent would have heard it twice, and its first answer in between."""
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, turns("one"))
        for _ in range(2):
            await whole(sidecar, turns("one", "You said: one", "two"))
        first, second, third = (run.conversation for run in agent.runs.values())
        assert first == second != third


async def test_a_caller_may_name_its_conversation_and_keep_no_turns(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        for body in (said("one", conversation_id="mine"), said("two", conversation_id="mine")):
            answer = (await whole(sidecar, body))[1]
        own = answer["metadata"]["conversation_id"]
        await whole(sidecar, said("three", conversation_id=own))
        assert {run.conversation for run in agent.runs.values()} == {own}


async def test_a_run_that_failed_leaves_its_conversation_to_the_next_try(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, turns("one"))
        for question in ("fail", "two"):
            await whole(sidecar, turns("one", "You said: one", question))
        assert len({run.conversation for run in agent.runs.values()}) == 1


@pytest.mark.parametrize("gone", ["conversations", "projects"])
async def test_what_was_deleted_is_made_anew(start: Start, gone: str) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, turns("one"))
        getattr(agent, gone).clear()
        status, answer = await whole(sidecar, turns("one", "You said: one", "two"))
        assert (status, answer["status"]) == (200, "completed")
        assert agent.last.text.startswith("This conversation so far:")
        assert len(agent.runs) == 2


async def test_the_project_has_the_name_that_the_settings_give_it(start: Start) -> None:
    async with talking(start, {f"{ENV}PROJECT": "Support"}) as (agent, sidecar):
        await whole(sidecar, said("hello"))
        assert [one["name"] for one in agent.projects.values()] == ["Support"]


async def test_where_the_agent_works_may_be_said(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        given = {"cluster_id": "c1", "target_databricks_token": "dapi-secret"}
        await whole(sidecar, said("hello", custom_inputs=given))
        invoked = next(visit.value for visit in agent.visits if visit.target == "/api/invoke_agent")
        assert invoked["cluster_id"] == "c1"
        assert "target_databricks_token" not in invoked


# --- errors before a stream ---------------------------------------------------------------------------------


async def test_what_is_no_text_is_refused_before_the_agent_hears_of_it(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        image = {"type": "input_image", "image_url": "data:image/png;base64,"}
        answer = await sidecar.chat({"input": [{"role": "user", "content": [image]}]})
        assert (answer.status, (await answer.json())["error"]) == (400, "unsupported_content")
        assert len(agent.visits) == 0


async def test_a_builder_that_nobody_has_named_a_user_to_says_so_as_it_does(start: Start) -> None:
    """No identity is its 500. Ours on a chat, its own on its paths."""
    async with talking(start, development=False) as (agent, sidecar):
        answer = await sidecar.chat(said("hello"))
        assert (answer.status, (await answer.json())["error"]) == (502, "agent_failed")
        own = await sidecar.call(said("hello"))
        assert (own.status, (await own.json())["detail"]) == (500, "Internal Server Error")
        assert (await whole(sidecar, said("hello"), **ANN))[0] == 200
        assert len(agent.runs) == 1


async def test_the_platforms_login_and_refusals_are_told_as_such(start: Start) -> None:
    async with talking(start, bearer=lambda token: False) as (agent, sidecar):
        answer = await sidecar.chat(said("hello"))
        assert (answer.status, (await answer.json())["error"]) == (502, "agent_unauthorized")
        assert len(agent.runs) == 0


async def test_an_agent_of_another_kind_is_found_out(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, {f"{ENV}KIND": "builder"})
    status, told = await whole(sidecar, said("hello"))
    assert (status, told["error"], told["agent_status"]) == (502, "agent_failed", 404)
    assert "KIND" in told["hint"]


async def test_the_kind_is_found_by_asking(start: Start) -> None:
    async with talking(start, {f"{ENV}KIND": "auto"}) as (agent, sidecar):
        assert (await whole(sidecar, said("hello")))[0] == 200
        assert "GET /api/config/health" in agent.asked()


# --- the pitfalls -------------------------------------------------------------------------------------------


async def test_1_7_1_the_end_of_a_window_is_not_the_end_of_a_run(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        _, answer = await whole(sidecar, said("end early 2 and all the rest"))
        assert text(answer) == "You said: end early 2 and all the rest"
        assert len(agent.windows) == 3


async def test_1_7_2_the_cursor_moves_with_each_event(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, said("cut and the rest"))
        third = agent.last.events[2][0]
        assert agent.windows[0] is None
        assert agent.windows[1] == pytest.approx(third - 1.0), "from before the last that came"


async def test_1_7_3_events_of_one_stamp_are_neither_lost_nor_told_twice(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        for words in ("same stamp cut 2 a a a a a a", "clock back cut 2 a a a a a a"):
            assert text((await whole(sidecar, said(words)))[1]) == f"You said: {words}"


async def test_1_7_4_a_run_that_vanished_when_it_ended_is_told_from_what_was_kept(start: Start) -> None:
    """From its execution, else from its conversation, else as a clear error."""
    async with talking(start) as (agent, sidecar):
        assert text((await whole(sidecar, said("purge a b c")))[1]) == "You said: purge a b c"
        assert agent.asked("executions") == ["GET /api/projects/conversations/executions"]
        assert text((await whole(sidecar, said("forget a b c")))[1]) == "You said: forget a b c"
        status, told = await whole(sidecar, said("lose a b c"))
        assert (status, told["error"]) == (502, "agent_run_lost")
        assert told["hint"]


async def test_1_7_5_after_a_restart_what_the_database_has_is_told(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        answer = await sidecar.chat(said("keepalive hold"))
        await answer.content.readany()
        agent.restart()
        run = agent.last
        run.happen({"type": "text_delta", "text": "from the database"})
        run.end("completed")
        raw = await answer.read()
        assert b"from the database" in raw
        assert events(raw)[-1]["type"] == "response.completed"


async def test_1_7_6_an_execution_id_reaches_no_browser(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = {"SIDECAR_FRONT_ROUTES": "/api/chat,/agents/", "SIDECAR_ERRORS": "full", "SIDECAR_INSPECT": "on"}
    async with talking(start, routes) as (agent, sidecar):
        told = []
        for words in ("windows tool think", "error", "fail", "lose", "dead 6", "purge", "cancel yourself"):
            for stream in (True, False):
                answer = await sidecar.chat(said(words, stream=stream))
                told += [await answer.text(), str(answer.headers)]
        told += [json.dumps(await sidecar.calls())]
        for path in ("stream_progress/e1", "stop_stream/e1", "%73top_stream/e1"):
            url = f"{sidecar.front}/agents/default/api/{path}"
            refused = await sidecar.http.post(url, json={}, headers={"Origin": sidecar.front})
            assert (refused.status, (await refused.json())["error"]) == (403, "relay_closed")
        sidecar.app.telemetry.flush()
        told += list(capsys.readouterr())
        for ident in agent.runs:
            assert not any(ident in one for one in told)


async def test_1_7_6_an_apps_own_server_may_still_use_the_agents_routes(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        base = f"{sidecar.egress}/agents/default/api"
        project = await (await sidecar.http.post(f"{base}/projects", json={"name": "mine"})).json()
        asked = {"project_id": project["id"], "message": "hello"}
        begun = await (await sidecar.http.post(f"{base}/invoke_agent", json=asked)).json()
        stream = await sidecar.http.post(f"{base}/stream_progress/{begun['execution_id']}", json={})
        assert events(await stream.read())[-1]["type"] == "stream.completed"


async def test_1_7_7_every_user_has_a_project_of_their_own(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        for user in (ANN, BOB, ANN):
            assert (await whole(sidecar, said("hello"), **user))[0] == 200
        assert [one["user_email"] for one in agent.projects.values()] == [
            "ann@example.org",
            "bob@example.org",
        ]
        assert agent.asked("projects").count("GET /api/projects") == 2, "each is looked for once"
        conversations = [run.conversation for run in agent.runs.values()]
        assert len(set(conversations)) == 3, "of the same words, each user's and each chat's is its own"


async def test_1_7_8_the_users_address_goes_as_the_address_and_the_id_not_at_all(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await whole(sidecar, said("windows hello"), **ANN)
        assert len(agent.visits) > 5
        for visit in agent.visits:
            assert visit.headers["X-Forwarded-Email"] == "ann@example.org"
            assert "X-Forwarded-User" not in visit.headers
        relayed = await sidecar.http.get(
            f"{sidecar.egress}/agents/default/api/projects", headers={"x-forwarded-email": "ann@example.org"}
        )
        assert [one["user_email"] for one in await relayed.json()] == ["ann@example.org"]


async def test_1_7_8_who_is_not_trusted_is_told_nothing(start: Start) -> None:
    async with talking(start, {f"{ENV}TRUSTED": "false"}) as (agent, sidecar):
        await whole(sidecar, said("hello"), **ANN)
        assert not any("ann@" in str(visit.headers) for visit in agent.visits)


async def test_1_7_9_every_request_carries_the_bearer_its_health_too(start: Start) -> None:
    token = {f"{ENV}AUTH": "static", f"{ENV}TOKEN": "the-token"}
    async with talking(start, token, bearer=lambda given: given == "the-token") as (_, sidecar):
        assert (await whole(sidecar, said("windows hello")))[0] == 200
        healthy = await sidecar.http.get(f"{sidecar.egress}/agents/default/api/config/health")
        assert await healthy.json() == {"status": "healthy"}


async def test_1_7_10_what_is_said_twice_is_told_once_and_signs_of_life_are_comments(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        raw = await (await sidecar.chat(said("keepalive windows hello"))).read()
        kinds = [event["type"] for event in events(raw)]
        assert kinds.count("response.completed") == raw.count(b"[DONE]") == 1
        assert not {"keepalive", "stream.completed", "stream.reconnect", "system"} & set(kinds)
        assert raw.count(b": keepalive\n\n") == 1
        failed = await (await sidecar.chat(said("error"))).read()
        assert failed.count(b"The tool is gone.") + failed.count(b'"type":"error"') == 1


async def test_1_7_11_each_window_has_a_bearer_of_its_own(start: Start, tmp_path: Path) -> None:
    """The first token is over as soon as the first window is open; the run goes on."""
    file = tmp_path / "token"
    file.write_text("first")

    def valid(token: str) -> bool:
        if not len(agent.windows):
            return token == "first"
        file.write_text("second")
        return token == "second"

    token = {f"{ENV}AUTH": "static", f"{ENV}TOKEN_FILE": str(file)}
    async with talking(start, token, bearer=valid) as (agent, sidecar):
        status, answer = await whole(sidecar, said("windows hello"))
        assert (status, text(answer)) == (200, "You said: windows hello")


async def test_1_7_12_a_browser_needs_one_post_and_one_connection(start: Start) -> None:
    """The agent's stream is to be asked for by POST, again and again, with a cursor: none of that is the browser's."""
    async with talking(start) as (agent, sidecar):
        answer = await sidecar.chat(said("windows one two three"))
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert "".join(await hook.shown(answer)) == "You said: windows one two three"
        assert len(agent.windows) > 2
        assert len(await sidecar.calls()) == 1


async def test_who_has_the_id_of_a_run_is_asked_nothing_more(start: Start) -> None:
    """1.7.6, why: the stand-in is as open as the app is."""
    async with talking(start) as (agent, sidecar), aiohttp.ClientSession() as stranger:
        await whole(sidecar, said("hello"), **ANN)
        answer = await stranger.post(f"{agent.url}/api/stream_progress/{agent.last.ident}", json={})
        assert answer.status == 200
        await answer.read()


async def test_a_caller_who_speaks_a2a_reaches_it_as_any_other(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        message = {"messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": "hello windows"}]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
        answer = await sidecar.http.post(f"{sidecar.egress}/api/agents/default", json=body)
        result = (await answer.json())["result"]
        assert result["artifacts"][0]["parts"][0]["text"] == "You said: hello windows"
        assert agent.last.ident not in json.dumps(result)
