"""Agents on a laptop: each word brings the behaviour that it names, seen with a client of our own."""

import asyncio
import io
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from sidecar import sim


def asked(text: str, **more) -> dict:
    return {"json": {"input": [{"role": "user", "content": text}], "stream": True} | more}


@asynccontextmanager
async def posted(agent, text, headers=None):
    """An answer that is still arriving."""
    body = io.BytesIO(json.dumps(asked(text)["json"]).encode())
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(agent.url + "/invocations", data=body) as response,
    ):
        yield response


async def whole(agent, text, path="/invocations", **more):
    """Status, content type and body."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(agent.url + path, allow_redirects=False, **asked(text, **more)) as response,
    ):
        return response.status, response.content_type, (await response.read()).decode()


def events(body: str) -> list:
    frames = [frame.removeprefix("data: ") for frame in body.removesuffix("\n\n").split("\n\n")]
    return [frame if frame == "[DONE]" else json.loads(frame) for frame in frames]


def text(body: str) -> str:
    return "".join(event.get("delta", "") for event in events(body) if event != "[DONE]")


async def test_an_agent_echoes_in_deltas_and_then_in_the_finished_item():
    async with sim.agent() as agent:
        status, kind, body = await whole(agent, "hello there")
    assert (status, kind, text(body)) == (200, "text/event-stream", "You said: hello there")
    assert [event["type"].rpartition(".")[2] for event in events(body)[:-1]] == ["delta"] * 4 + ["done"]
    assert events(body)[-1] == "[DONE]"


async def test_an_agent_remembers_what_reached_it():
    async with sim.agent() as agent, aiohttp.ClientSession() as session:
        target = URL(f"{agent.url}/invocations?a=%2f", encoded=True)
        await session.post(target, data=b'{"input": [ ]}', headers={"X-Seen": "yes"})
        visit = await agent.called()
    assert (visit.method, visit.target, visit.headers["x-seen"]) == ("POST", "/invocations?a=%2f", "yes")
    assert (visit.body, visit.value, visit.ran, agent.runs) == (b'{"input": [ ]}', {"input": []}, True, 1)


async def test_the_newest_message_directs_and_older_ones_do_not():
    turns = [{"role": "user", "content": "status 418"}, {"role": "user", "content": "hello"}]
    async with sim.agent() as agent:
        assert (await whole(agent, "", input=turns))[0] == 200


async def test_words_of_the_agent_and_of_its_turns_direct_it_too():
    async with sim.agent(always="unary", turns=["status 429", ""]) as agent:
        agent.then("status 502")
        answers = [await whole(agent, "hello") for _ in range(4)]
    assert [status for status, *_ in answers] == [429, 200, 502, 200]
    assert answers[1][1] == "application/json"
    assert agent.runs == 2


async def test_a_tool_is_called_and_its_result_told():
    async with sim.agent() as agent:
        *told, _ = events((await whole(agent, "use the tool"))[2])
    items = [event["item"] for event in told if "item" in event]
    assert [item["type"] for item in items] == ["function_call", "function_call_output", "message"]
    assert items[0]["call_id"] == items[1]["call_id"]


async def test_a_long_answer_holds_markdown_and_letters_of_all_kinds():
    async with sim.agent() as agent:
        said = text((await whole(agent, "long"))[2])
    assert len(said) > 2000
    assert "## Letters of all kinds" in said
    assert "Grüße aus Zürich" in said
    assert "👩‍🔬" in said


@pytest.mark.parametrize(
    ("words", "last"),
    [
        ("completed", "response.completed"),
        ("items only", "response.output_item.done"),
        ("think", "response.output_item.done"),
    ],
)
async def test_a_stream_closes_as_directed(words, last):
    async with sim.agent() as agent:
        told = events((await whole(agent, words))[2])
    assert told[-1] == "[DONE]"
    assert told[-2]["type"] == last
    assert any("delta" in event for event in told[:-1]) == (words != "items only")


async def test_chat_chunks_carry_the_text_and_a_reason_to_stop():
    async with sim.agent("chat") as agent:
        told = events((await whole(agent, "hello"))[2])
    choices = [event["choices"][0] for event in told[:-1]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "You said: hello"
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("crlf", "data: {"),
        ("tight", 'data:{"'),
        ("named", "event: response.output_text.delta\ndata: {"),
        ("comments", ": still here\n\ndata: {"),
    ],
)
async def test_other_framings_are_written_where_asked_for(words, begins):
    async with sim.agent() as agent:
        _, _, body = await whole(agent, words)
    assert body.startswith(begins)
    assert body.endswith("\r\n\r\n" if words == "crlf" else "\n\n")


async def test_a_split_stream_has_the_same_bytes_in_other_pieces():
    async with sim.agent() as agent, posted(agent, "split 5 now") as response:
        pieces = [data async for data, _ in response.content.iter_chunks()]
    assert max(map(len, pieces)) == 5
    assert text(b"".join(pieces).decode()) == "You said: split 5 now"


async def test_a_failure_inside_a_200_is_an_event_and_a_proper_end():
    async with sim.agent() as agent:
        status, _, body = await whole(agent, "fail mid-stream")
        typed = events((await whole(agent, "fail typed"))[2])
    assert status == 200
    assert events(body)[2:] == [{"error": "The model endpoint did not answer."}, "[DONE]"]
    assert typed[-2]["type"] == "error"


async def raw(agent, words, *, stream):
    """What arrives on a plain socket, and whether the connection was reset at its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.url.rpartition(":")[2])
    body = json.dumps(asked(words, stream=stream)["json"])
    writer.write(
        f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    got = b""
    try:
        while chunk := await reader.read(65536):
            got += chunk
        return got, False
    except ConnectionResetError:
        return got, True
    finally:
        writer.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("words", ["die", "die mid-stream", "die mid-frame", "hang up"])
async def test_a_broken_connection_is_reset_or_closed_as_directed(words, stream):
    async with sim.agent() as agent:
        got, reset = await raw(agent, words, stream=stream)
    assert reset == (words != "hang up")
    assert bool(got) == (words != "die")
    assert not got.endswith((b"0\r\n\r\n", b"}"))


async def test_a_death_inside_a_frame_cuts_it():
    async with sim.agent() as agent:
        got, _ = await raw(agent, "die mid-frame", stream=True)
    assert got.count(b"data: {") == 3
    assert got.count(b"\n\n") == 2


async def test_a_truncated_stream_ends_properly_and_without_its_mark():
    async with sim.agent() as agent:
        assert "[DONE]" not in (await whole(agent, "truncate"))[2]
        assert len(events((await whole(agent, "truncate mid-stream"))[2])) == 2
        with pytest.raises(aiohttp.ClientPayloadError):
            await whole(agent, "truncate", stream=False)


async def test_a_silent_agent_sends_headers_and_then_what_it_is_released_to_send():
    async with sim.agent() as agent, posted(agent, "silent") as response:
        rest = asyncio.ensure_future(response.read())
        done, _ = await asyncio.wait([rest], timeout=0.05)
        assert not done
        agent.last.release()
        assert text((await rest).decode()) == "You said: silent"


async def test_an_agent_in_steps_writes_one_frame_per_release():
    async with sim.agent() as agent, aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.post(agent.url + "/invocations", **asked("step")))
        visit = await agent.called()
        async with await asking as response:
            for piece in ("You ", "said: ", "step"):
                visit.release()
                assert events((await response.content.readany()).decode())[0]["delta"] == piece


@pytest.mark.parametrize("words", ["mute", "silent", "silent mid-stream", "endless", "slow 60", "drip 60"])
async def test_a_caller_who_leaves_is_noticed(words):
    async with sim.agent() as agent, aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.post(agent.url + "/invocations", **asked(words)))
        await agent.called()
        if words in ("mute", "slow 60"):
            asking.cancel()
        else:
            (await asking).close()
        assert (await agent.left()).value["input"][0]["content"] == words
        assert len(agent.leavings) == 1


async def test_a_caller_who_hears_the_answer_out_has_not_left():
    async with sim.agent() as agent:
        await whole(agent, "hello")
        with pytest.raises(aiohttp.ClientError):
            await whole(agent, "die mid-stream")
        await whole(agent, "fail")
        assert len(agent.leavings) == 0


async def test_a_flood_arrives_whole():
    async with sim.agent() as agent:
        assert text((await whole(agent, "flood 500"))[2]) == "flood " * 500


async def test_a_big_word_is_one_event():
    async with sim.agent() as agent:
        assert len(events((await whole(agent, "big 100"))[2])[0]["delta"]) == 100 * 1024


async def test_drips_and_delays_take_their_time():
    loop = asyncio.get_running_loop()
    async with sim.agent() as agent:
        began = loop.time()
        await whole(agent, "slow 0.05 drip 0.01")
    assert 0.05 + 6 * 0.01 < loop.time() - began < 2


@pytest.mark.parametrize(
    ("words", "status", "kind", "holds"),
    [
        ("html", 200, "text/html", "Sign in"),
        ("redirect", 302, "text/html", ""),
        ("unauthorized", 401, "text/html", "Unauthorized"),
        ("forbidden", 403, "text/html", "App not authorized"),
        ("unavailable", 503, "text/html", "App Not Available"),
        ("status 422", 422, "application/json", '{"detail":'),
        ("wrong type", 200, "text/plain", "data: {"),
    ],
)
async def test_something_else_than_an_agent_answers(words, status, kind, holds):
    async with sim.agent() as agent:
        seen = await whole(agent, words)
        assert seen[:2] == (status, kind)
        assert holds in seen[2]
        assert agent.last.ran == (words == "wrong type")


async def test_a_delay_holds_whatever_is_answered():
    loop = asyncio.get_running_loop()
    async with sim.agent() as agent:
        began = loop.time()
        assert (await whole(agent, "slow 0.1 status 500"))[0] == 500
    assert loop.time() - began > 0.1


async def test_a_guardrail_refuses_the_stream_and_lets_the_whole_answer_pass():
    async with sim.agent(always="refuse streaming") as agent:
        refused = await whole(agent, "hello")
        given = await whole(agent, "hello", stream=False)
    assert (refused[0], given[0], agent.runs) == (400, 200, 1)
    assert "guardrail" in json.loads(refused[2])["message"]


async def test_only_a_known_bearer_is_let_through():
    async with sim.agent(bearer="right") as agent, aiohttp.ClientSession() as session:
        for token, status in (("wrong", 401), ("right", 200)):
            headers = {"Authorization": f"Bearer {token}"}
            async with session.get(agent.url + "/agent/info", headers=headers) as response:
                assert response.status == status


async def test_a_cold_agent_runs_once_it_is_awake_and_counts_no_run_before():
    async with sim.agent() as agent, aiohttp.ClientSession() as session:
        agent.sleep()
        assert (await whole(agent, "hello"))[0] == 503
        assert (await session.get(agent.url + "/agent/info")).status == 503
        agent.wake()
        assert (await session.get(agent.url + "/agent/info")).status == 200
        assert agent.runs == 0
        assert (await whole(agent, "hello"))[0] == 200
        assert agent.runs == 1


async def test_a_cold_start_in_the_message_happens_once():
    async with sim.agent() as agent:
        first, again = await whole(agent, "cold start 60"), await whole(agent, "cold start 60")
        agent.wake()
        then = await whole(agent, "cold start 60")
    assert (first[0], again[0], then[0]) == (503, 503, 200)


async def test_a_closed_port_refuses_until_it_is_opened():
    async with sim.agent() as agent:
        url = agent.url
        await agent.port.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await whole(agent, "hello")
        await agent.port.open()
        assert agent.url == url
        assert (await whole(agent, "hello"))[0] == 200


async def test_whoami_tells_names_and_never_a_token():
    headers = {"x-app-user-email": "ada@example.com", "x-forwarded-access-token": "user-secret"}
    async with sim.agent(always="whoami") as agent, posted(agent, "who", headers) as response:
        said = text(await response.text())
    assert "- x-app-user-email: ada@example.com" in said
    assert "- x-forwarded-access-token: 11 characters, sha256 " in said
    assert "- authorization: absent" in said
    assert "user-secret" not in said


async def test_large_headers_and_bodies_are_taken():
    large = {"x-large": "x" * 40_000}
    async with sim.agent() as agent, posted(agent, "nothing " + "x" * 2_000_000, large) as response:
        assert response.status == 200
    assert len(agent.last.headers["x-large"]) == 40_000
    assert len(agent.last.body) > 2_000_000


async def test_waiting_for_what_does_not_happen_ends_with_an_error():
    async with sim.agent() as agent:
        with pytest.raises(TimeoutError):
            await agent.called(within=0.01)
