"""Chats with A2A agents of three versions, and with one that is cut, asks back, fails, or works on unseen.

U10, B12.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from journeys import hook
from journeys.conftest import Running, Start, said
from peers.frames import events

from middleware.dialects.a2a import again
from sidecar import sim
from sidecar.sim.serving import serving

versions = pytest.mark.parametrize("version", ["0.2", "0.3", "1.0"])
NOW = {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"}


@asynccontextmanager
async def talking(
    start: Start, version: str = "0.3", environ: dict[str, str] | None = None, **how: Any
) -> AsyncIterator[tuple[sim.A2AAgent, Running]]:
    """An agent of this version, and a sidecar before it."""
    async with sim.a2a(version, **how) as agent:
        yield agent, await start(agent.url, NOW | (environ or {}))


async def whole(sidecar: Running, body: Any, path: str = "/api/chat", **headers: str) -> tuple[int, Any]:
    answer = await sidecar.chat(body | {"stream": False}, path, **headers)
    return answer.status, await answer.json()


def text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", []))


def asked(agent: sim.A2AAgent) -> list[str]:
    """What the agent was asked, in the words of 0.3."""
    old = ["message/send", "message/stream", "tasks/get", "tasks/cancel", "tasks/resubscribe"]
    new = ["SendMessage", "SendStreamingMessage", "GetTask", "CancelTask", "SubscribeToTask"]
    return [dict(zip(new, old, strict=True)).get(method, method) for method in agent.asked]


# --- what comes back ---------------------------------------------------------------------------------------


@versions
async def test_a_browser_sees_the_words_of_any_version_as_they_come(start: Start, version: str) -> None:
    async with talking(start, version) as (agent, sidecar):
        answer = await sidecar.chat(said("hello there"))
        assert answer.headers["x-sidecar-stream"] == "translated"
        assert await hook.shown(answer) == ["Echo:", " hello there"]
        assert asked(agent) == ["message/stream"]


@versions
async def test_whoever_wants_it_whole_gets_it_whole(start: Start, version: str) -> None:
    async with talking(start, version) as (agent, sidecar):
        status, answer = await whole(sidecar, said("hello"))
        assert (status, answer["status"], text(answer)) == (200, "completed", "Echo: hello")
        assert asked(agent) == ["message/send"]


async def test_the_agents_own_paths_take_chats_too(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        answer = await (await sidecar.call(said("hello"))).json()
        assert text(answer) == "Echo: hello"


@versions
async def test_the_version_header_goes_to_agents_whose_card_asks_for_it_and_to_no_others(
    start: Start, version: str
) -> None:
    async with talking(start, version) as (agent, sidecar):
        await whole(sidecar, said("hello"), a2a_version="0.7")
        told = agent.visits[-1].headers.getall("A2A-Version", [])
        assert told == (["1.0"] if version == "1.0" else [])


@versions
@pytest.mark.parametrize("word", ["message", "word", "remember", "bare", "unary"])
async def test_an_answer_is_found_wherever_the_agent_puts_it(start: Start, version: str, word: str) -> None:
    """8.2: JSON for a stream; 2.8: a status that is its state alone."""
    async with talking(start, version) as (_, sidecar):
        assert "".join(await hook.shown(await sidecar.chat(said(word)))) == f"Echo: {word}"
        assert text((await whole(sidecar, said(word)))[1]) == f"Echo: {word}"


@versions
async def test_a_replaced_artifact_is_the_new_one(start: Start, version: str) -> None:
    async with talking(start, version) as (_, sidecar):
        assert text((await whole(sidecar, said("replace")))[1]) == "Otherwise."
        shown = "".join(await hook.shown(await sidecar.chat(said("replace"))))
        assert shown == "Echo: replace\n\nOtherwise."


@versions
async def test_files_and_data_arrive(start: Start, version: str) -> None:
    async with talking(start, version) as (_, sidecar):
        output = (await whole(sidecar, said("attach")))[1]["output"]
        files = [item for item in output if item["type"] == "file"]
        assert [(one["filename"], one["media_type"], one["data"]) for one in files] == [
            ("hello.txt", "text/plain", "aGVsbG8=")
        ]
        assert '{"answer":42}' in text({"output": output})


# --- how it ends -------------------------------------------------------------------------------------------


@versions
async def test_a_question_back_is_answered_in_its_task_and_the_next_starts_another(
    start: Start, version: str
) -> None:
    async with talking(start, version, skill="asks") as (agent, sidecar):
        turns = [{"role": "user", "content": "weather"}]
        status, answer = await whole(sidecar, {"messages": turns})
        assert (status, text(answer), answer["status"]) == (200, "Which city?", "incomplete")
        turns += [{"role": "assistant", "content": "Which city?"}, {"role": "user", "content": "Bern"}]
        streamed = "".join(await hook.shown(await sidecar.chat({"messages": turns})))
        assert streamed == "weather in Bern"
        turns += [{"role": "assistant", "content": streamed}, {"role": "user", "content": "again"}]
        assert text((await whole(sidecar, {"messages": turns}))[1]) == "Which city?"
        messages = [visit.value["params"]["message"] for visit in agent.visits if visit.method == "POST"]
        named = [(one.get("contextId"), one.get("taskId")) for one in messages]
        assert named == [(None, None), ("c1", "t1"), ("c1", None)]


async def test_another_user_does_not_go_on_in_somebody_elses_task(start: Start) -> None:
    environ = {"SIDECAR_PLATFORM": "on"}
    async with talking(start, environ=environ, skill="asks") as (agent, sidecar):
        turns = [{"role": "user", "content": "weather"}]
        await whole(sidecar, {"messages": turns}, x_forwarded_email="ann@example.org")
        turns += [{"role": "assistant", "content": "Which city?"}, {"role": "user", "content": "Bern"}]
        for email, answer in (("bob@example.org", "Which city?"), ("ann@example.org", "weather in Bern")):
            assert text((await whole(sidecar, {"messages": turns}, x_forwarded_email=email))[1]) == answer
        assert len(agent.tasks) == 2


async def test_a_task_that_the_agent_has_forgotten_is_begun_again(start: Start) -> None:
    async with talking(start, skill="asks") as (agent, sidecar):
        await whole(sidecar, {"input": "weather", "conversation_id": "one"})
        agent.tasks.clear()
        _, answer = await whole(sidecar, {"input": "Bern", "conversation_id": "one"})
        assert text(answer) == "Which city?"
        assert asked(agent) == ["message/send"] * 3


@versions
@pytest.mark.parametrize(
    ("word", "code"),
    [("fail", "agent_error"), ("reject", "agent_error"), ("authorize", "agent_auth_required")],
)
async def test_a_failure_is_told_as_one_before_and_in_a_stream(
    start: Start, version: str, word: str, code: str
) -> None:
    async with talking(start, version) as (_, sidecar):
        status, answer = await whole(sidecar, said(word))
        assert (status, answer["error"]) == (502, code)
        last = events(await (await sidecar.chat(said(word))).read())[-1]
        assert (last["type"], last["code"]) == ("error", code)
        assert (await sidecar.calls())[0]["outcome"] == "agent_error"


async def test_a_task_that_the_agent_cancels_is_incomplete(start: Start) -> None:
    async with talking(start) as (_, sidecar):
        _, answer = await whole(sidecar, said("cancel yourself"))
        assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "cancelled"})


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (-32600, 400, "agent_refused"),
        (-32602, 400, "agent_refused"),
        (-32001, 404, "agent_refused"),
        (-32002, 409, "agent_refused"),
        (-32005, 415, "agent_refused"),
        (-32004, 502, "agent_error"),
        (-32603, 502, "agent_error"),
        (-32099, 502, "agent_error"),
    ],
)
async def test_b12_a_json_rpc_error_is_an_http_error_to_a_chat(
    start: Start, number: int, status: int, code: str
) -> None:
    async with talking(start) as (_, sidecar):
        answer = await sidecar.call(said(f"error {number}"), stream="false")
        told = await answer.json()
        assert (answer.status, told["error"]) == (status, code)
        assert f"It went wrong, as you asked ({number})" in told["detail"]


@versions
async def test_an_error_inside_a_stream_is_the_last_that_is_heard(start: Start, version: str) -> None:
    async with talking(start, version) as (_, sidecar):
        told = events(await (await sidecar.chat(said("error inside"))).read())
        assert "Echo:" in [event.get("delta") for event in told]
        assert (told[-1]["type"], told[-1]["code"]) == ("error", "agent_error")


# --- cut, resumed, polled ----------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("how", ["cut", "end early"])
async def test_a_stream_that_breaks_is_taken_up_again_and_no_word_is_told_twice(
    start: Start, version: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with talking(start, version) as (agent, sidecar):
        assert (
            "".join(await hook.shown(await sidecar.chat(said(f"{how} it short")))) == f"Echo: {how} it short"
        )
        assert asked(agent)[:2] == ["message/stream", "tasks/resubscribe"]
        assert (await sidecar.calls())[0]["outcome"] == "ok"
        sidecar.app.telemetry.flush()
        why = "agent_broke_off" if how == "cut" else "ended early"
        assert f'"resumed":"{why}"' in capfd.readouterr().out


async def test_a_task_that_nobody_works_on_after_a_cut_is_given_up(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8.2: an agent of 0.3 that raised drops its stream, and its task is `working` for ever."""
    monkeypatch.setattr(again, "LONGEST", 0.01)
    async with talking(start) as (agent, sidecar):
        told = events(await (await sidecar.chat(said("drop"))).read())
        assert told[-1]["code"] == "agent_broke_off"
        assert asked(agent).count("tasks/get") == again.DEAD


@versions
async def test_a_task_that_is_not_over_is_asked_for_until_it_is(
    start: Start, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "LONGEST", 0.01)
    async with talking(start, version, streams=False) as (agent, sidecar):
        assert "".join(await hook.shown(await sidecar.chat(said("poll")))) == "Echo: poll"
        assert asked(agent) == ["message/send", "tasks/get", "tasks/get"]


@versions
async def test_an_agent_that_refuses_to_stream_is_asked_otherwise_and_remembered(
    start: Start, version: str
) -> None:
    async with talking(start, version) as (agent, sidecar):
        agent.streams = False
        agent.card = sim.a2a_card(version, agent.url)
        for _ in range(2):
            assert "".join(await hook.shown(await sidecar.chat(said("hi")))) == "Echo: hi"
        assert asked(agent) == ["message/stream", "message/send", "message/send"]


@versions
@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_while_the_agent_works_has_its_task_canceled(
    start: Start, version: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "LONGEST", 0.01)
    async with talking(start, version) as (agent, sidecar):
        chat = asyncio.create_task(sidecar.chat(said("hold it", stream=stream)))
        await agent.asked.nth(1 if stream else 3)  # whole: asked for in vain
        if stream:
            answer = await chat
            await answer.content.readuntil(b"Echo:")
            answer.close()
        else:
            chat.cancel()
        async with asyncio.timeout(5):
            while asked(agent)[-1] != "tasks/cancel":
                await agent.asked.nth(len(agent.asked) + 1)
            await agent.tasks["t1"].ended.wait()
        assert agent.tasks["t1"].status.state == "canceled"


async def test_an_answer_that_is_complete_is_not_canceled(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await hook.shown(await sidecar.chat(said("hi")))
        assert asked(agent) == ["message/stream"]


# --- cards -------------------------------------------------------------------------------------------------


async def test_2_9_5_a_card_is_read_once_for_many_calls(start: Start) -> None:
    async with talking(start) as (agent, sidecar):
        await asyncio.gather(*(whole(sidecar, said(str(n))) for n in range(5)))
        assert agent.cards == 1


@pytest.mark.parametrize(("before", "after"), [("0.3", "1.0"), ("1.0", "0.3")])
@pytest.mark.parametrize("stream", [True, False])
async def test_2_9_5_a_card_is_read_again_when_the_agent_turns_out_to_be_another(
    start: Start, before: str, after: str, stream: bool
) -> None:
    async with talking(start, before) as (agent, sidecar):
        await whole(sidecar, said("hello"))
        agent.version = after  # its old methods are gone
        if stream:
            assert await hook.shown(await sidecar.chat(said("hello"))) == ["Echo:", " hello"]
        else:
            assert text((await whole(sidecar, said("hello")))[1]) == "Echo: hello"
        assert agent.cards == 2


async def test_an_agent_that_is_said_to_stream_is_asked_to_whatever_its_card_says_until_it_refuses(
    start: Start,
) -> None:
    environ = {"SIDECAR_AGENTS__DEFAULT__STREAMING": "on"}
    async with talking(start, environ=environ, streams=False) as (agent, sidecar):
        for _ in range(2):
            assert "".join(await hook.shown(await sidecar.chat(said("hi")))) == "Echo: hi"
        assert asked(agent) == ["message/stream", "message/send", "message/send"]


@versions
@pytest.mark.parametrize("place", ["https://evil.example.org/rpc", "http://127.0.0.1:9/rpc"])
async def test_u10_a_card_that_leads_elsewhere_is_not_followed(
    start: Start, version: str, place: str
) -> None:
    """2.9.3: a credential would go there."""
    async with talking(start, version) as (agent, sidecar):
        agent.card = sim.a2a_card(version, agent.url, place)
        status, answer = await whole(sidecar, said("hello"))
        assert (status, answer["error"]) == (502, "agent_card_elsewhere")
        assert len(agent.asked) == 0


async def test_u10_a_listed_origin_is_called_and_is_not_told_who_the_user_is(start: Start) -> None:
    async with (
        sim.a2a() as there,
        talking(start, environ=LISTED | {"SIDECAR_UC_ORIGINS": there.url}) as (agent, sidecar),
    ):
        agent.card = sim.a2a_card("0.3", agent.url, f"{there.url}/rpc")
        headers = {"x_forwarded_email": "ann@example.org", "x_forwarded_access_token": "canary"}
        status, answer = await whole(sidecar, said("hello"), **headers)
        assert (status, text(answer)) == (200, "Echo: hello")
        assert "x-app-user-email" in agent.visits[-1].headers
        assert not {"x-app-user-email", "x-forwarded-access-token"} & {
            name.lower() for name in there.visits[-1].headers
        }


LISTED = {"SIDECAR_PLATFORM": "on"}


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (["no", "card"], "agent_card_invalid"),
        (
            {"name": "x", "supportedInterfaces": [{"url": "/rpc", "protocolBinding": "HTTP+JSON"}]},
            "agent_card_invalid",
        ),
        (
            {"name": "x", "supportedInterfaces": [{"url": "/rpc", "protocolBinding": "GRPC"}]},
            "agent_card_elsewhere",
        ),
    ],
)
async def test_a_card_that_names_nothing_to_call_is_refused(start: Start, card: Any, code: str) -> None:
    async with talking(start) as (agent, sidecar):
        agent.card = card
        status, answer = await whole(sidecar, said("hello"))
        assert (status, answer["error"]) == (502, code)


async def test_an_agent_without_a_card_is_called_at_its_own_address(start: Start) -> None:
    async with sim.a2a("0.3") as agent:
        agent.version = "none"
        sidecar = await start(f"{agent.url}/rpc", NOW)
        assert text((await whole(sidecar, said("hello")))[1]) == "Echo: hello"


# --- where it is down --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [(200, "text/html", (502, "agent_login_page")), (500, "application/json", (502, "agent_failed"))],
)
async def test_b12_an_http_error_of_the_agents_stays_one_and_a_login_page_is_named(
    start: Start, status: int, kind: str, outcome: tuple[int, str]
) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, content_type=kind, text="{}")

    async with serving(answer) as port:
        told = await whole(await start(port.url, NOW), said("hello"))
        assert (told[0], told[1]["error"]) == outcome
