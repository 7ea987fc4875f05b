"""Streams as a caller sees them, end to end."""

import asyncio
import json

import pytest
from aiohttp import web
from journeys.conftest import Start, leaving, said

from sidecar import sim
from sidecar.doors import KEEPALIVE
from sidecar.sim.serving import serving

DONE = b"data: [DONE]\n\n"


def texts(raw: bytes) -> str:
    """What the recipe's hook would show: the deltas of frames that start with `data: `."""
    shown = ""
    for block in raw.decode().split("\n\n"):
        line = next((line for line in block.split("\n") if line.startswith("data: ")), None)
        if line is None or line == "data: [DONE]":
            continue
        chunk = json.loads(line[6:])
        if chunk.get("type") == "response.output_text.delta":
            shown += chunk.get("delta") or ""
        else:
            shown += ((chunk.get("choices") or [{}])[0].get("delta") or {}).get("content") or ""
    return shown


def last_frame(raw: bytes) -> dict[str, object]:
    frame = raw.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert frame.startswith(b"event: error\ndata: "), frame
    return dict(json.loads(frame.partition(b"data: ")[2]))


async def test_a_raw_stream_arrives_as_the_very_bytes_that_the_agent_sent(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    direct = await sidecar.http.post(f"{agent.url}/invocations", json=said("hello", stream=True))
    through = await sidecar.chat(said("hello"))
    assert through.status == 200
    assert through.headers["Content-Type"].startswith("text/event-stream")
    assert through.headers["x-sidecar-stream"] == "raw"
    assert through.headers["Cache-Control"] == "no-cache, no-transform"
    assert through.headers["X-Accel-Buffering"] == "no"
    assert await through.read() == await direct.read()


async def test_a_whole_answer_arrives_as_the_very_bytes_that_the_agent_sent(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    asked = said("hello", stream=False)
    direct = await (await sidecar.http.post(f"{agent.url}/invocations", json=asked)).read()
    for through in (await sidecar.chat(asked), await sidecar.call(asked)):
        assert (through.status, through.headers["x-sidecar-stream"]) == (200, "raw")
        assert through.headers["Content-Type"] == "application/json"
        assert await through.read() == direct


async def test_s01_each_event_is_handed_on_as_it_comes(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, COMMIT_AFTER="0.1")
    answer = await sidecar.chat(said("step"))
    visit = await agent.called()
    for _ in range(3):
        visit.release()
        assert (await answer.content.readuntil(b"\n\n")).startswith(b"data: ")


async def test_a_connection_answers_again_behind_a_stream_and_is_closed_when_it_idles(
    start: Start, agent: sim.Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it keeps for an idle caller is let go of while a stream is open, and is there again behind it."""
    monkeypatch.setitem(KEEPALIVE, "front", 0.3)
    sidecar = await start(agent.url)
    data = json.dumps(said("hello")).encode()
    head = "POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    asked = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sidecar.front.rpartition(":")[2]))
    writer.write(asked * 2)  # the second before the first is answered
    first, second = [await reader.readuntil(b"\r\n0\r\n\r\n") for _ in range(2)]
    writer.write(asked)
    third = await reader.readuntil(b"\r\n0\r\n\r\n")
    assert all(DONE in raw and raw.startswith(b"HTTP/1.1 200 ") for raw in (first, second, third))
    assert await reader.read() == b""
    writer.close()


async def test_s02_a_stream_is_never_compressed(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("hello"), Accept_Encoding="gzip, br")
    assert "Content-Encoding" not in answer.headers
    assert agent.last.headers["Accept-Encoding"] == "identity"


async def test_s05_a_silent_agent_is_covered_by_keepalives_and_its_first_token_is_whole(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, COMMIT_AFTER="0.1", KEEPALIVE="0.2")
    answer = await sidecar.chat(said("mute"))
    assert answer.status == 200
    for _ in range(3):
        assert await answer.content.readuntil(b"\n\n") == b": keepalive\n\n"
    agent.last.release()
    raw = await answer.read()
    assert raw.replace(b": keepalive\n\n", b"").startswith(b"data: {")
    assert raw.endswith(DONE)


@pytest.mark.parametrize(
    ("agents_status", "status", "code"),
    [
        (401, 502, "agent_unauthorized"),
        (403, 403, "agent_forbidden"),
        (404, 404, None),
        (422, 422, None),
        (500, 502, "agent_failed"),
    ],
)
async def test_s06_a_failure_within_the_commit_window_keeps_a_real_status(
    start: Start, agent: sim.Agent, agents_status: int, status: int, code: str | None
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said(f"status {agents_status}"))
    assert answer.status == status
    body = await answer.json()
    if code is None:
        assert "detail" in body
    else:
        assert body["error"] == code
        assert body["agent_status"] == agents_status


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 429])
@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_caller_can_act_on_passes_with_status_body_and_retry_after(
    start: Start, status: int, stream: bool
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(
            status=status,
            body=b'{ "detail":"no" }',
            content_type="application/json",
            headers={"Retry-After": "7"},
        )

    async with serving(answer) as agent:
        sidecar = await start(agent.url)
        for told in (await sidecar.chat(said("hello", stream=stream)), await sidecar.call(said("hello"))):
            assert (told.status, await told.read()) == (status, b'{ "detail":"no" }')
            assert told.headers["Retry-After"] == "7"
        assert {call["outcome"] for call in await sidecar.calls()} == {"agent_refused"}


async def test_s07_a_failure_after_the_commit_is_a_typed_frame_and_no_done(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, COMMIT_AFTER="0.1")
    answer = await sidecar.chat(said("slow 0.5 status 500"))
    assert answer.status == 200
    raw = await answer.read()
    assert DONE not in raw
    assert last_frame(raw)["code"] == "agent_failed"
    assert last_frame(raw)["request_id"] == answer.headers["x-request-id"]


async def test_s08_an_error_inside_a_200_passes_unchanged_and_the_chat_caller_can_see_it(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    direct = await (
        await sidecar.http.post(f"{agent.url}/invocations", json=said("fail mid-stream", stream=True))
    ).read()
    raw = await (await sidecar.chat(said("fail mid-stream"))).read()
    assert raw.startswith(direct)
    assert last_frame(raw)["code"] == "agent_error"
    assert (await sidecar.calls())[0]["outcome"] == "agent_error"
    on_agent_path = await (await sidecar.call(said("fail mid-stream", stream=True))).read()
    assert on_agent_path == direct


async def test_s09_a_stream_without_its_closing_mark_is_told_as_truncated(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    raw = await (await sidecar.chat(said("truncate mid-stream"))).read()
    assert last_frame(raw)["code"] == "truncated"
    assert (await sidecar.calls())[0]["outcome"] == "truncated"


async def test_s10_a_refused_stream_becomes_exactly_one_whole_answer(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("refuse streaming"))
    assert answer.headers["x-sidecar-stream"] == "synthesized"
    raw = await answer.read()
    assert texts(raw)
    assert raw.endswith(DONE)
    assert agent.runs == 1
    assert len(agent.visits) == 2


async def test_s12_a_stream_that_dies_after_its_first_byte_is_never_asked_again(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    raw = await (await sidecar.chat(said("die mid-stream"))).read()
    assert last_frame(raw)["code"] == "agent_broke_off"
    assert agent.runs == 1


async def test_a_stream_that_dies_inside_a_frame_is_visibly_broken(start: Start, agent: sim.Agent) -> None:
    import aiohttp

    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("die mid-frame"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    assert (await sidecar.calls())[0]["outcome"] == "agent_broke_off"


async def test_s13_an_agent_that_answers_json_is_streamed_all_the_same(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("unary tool"))
    assert answer.headers["x-sidecar-stream"] == "synthesized"
    raw = await answer.read()
    assert texts(raw)
    assert b'"function_call"' in raw
    assert b"response.completed" in raw
    assert raw.endswith(DONE)


async def test_a_synthesised_answer_without_output_is_told_as_an_error(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url)
    raw = await (await sidecar.chat(said("unary nothing"))).read()
    assert last_frame(raw)["code"] == "agent_error"


async def test_s14_chat_chunks_pass_raw_and_render(start: Start) -> None:
    async with sim.agent("chat") as agent:
        sidecar = await start(agent.url)
        answer = await sidecar.chat({"messages": [{"role": "user", "content": "hello"}]})
        assert answer.headers["x-sidecar-stream"] == "raw"
        assert texts(await answer.read())


async def test_crlf_framing_is_translated_for_the_chat_caller(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("crlf"))
    assert answer.headers["x-sidecar-stream"] == "translated"
    raw = await answer.read()
    assert b"\r" not in raw
    assert texts(raw)
    raw = await (await sidecar.call(said("crlf", stream=True))).read()
    assert b"\r\n\r\n" in raw


async def test_json_wanted_and_a_stream_came_is_collected(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__STREAMING="on")
    answer = await sidecar.chat(said("hello", stream=False))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert (await answer.json())["output"]


@pytest.mark.parametrize("word", ["html", "redirect"])
async def test_p10_a_login_page_is_named_as_such(start: Start, agent: sim.Agent, word: str) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said(word))
    assert answer.status == 502
    assert (await answer.json())["error"] == "agent_login_page"


async def test_p11_a_wrong_type_is_a_protocol_error(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await sidecar.chat(said("wrong type"))
    assert answer.status == 502
    assert (await answer.json())["error"] == "agent_protocol_error"


async def test_p09_an_agent_that_never_answers_times_out_and_the_error_names_the_setting(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, TIMEOUTS__FIRST_BYTE="0.3")
    answer = await sidecar.call(said("mute"))
    assert answer.status == 504
    body = await answer.json()
    assert body["error"] == "agent_first_byte_timeout"
    assert "SIDECAR_TIMEOUTS__FIRST_BYTE" in body["hint"]


async def test_p09_an_agent_that_falls_silent_mid_stream_is_told_as_a_gap(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, TIMEOUTS__GAP="0.3")
    raw = await (await sidecar.chat(said("silent mid-stream"))).read()
    assert last_frame(raw)["code"] == "agent_gap_timeout"
    await agent.left()


@pytest.mark.parametrize("words", ["mute", "silent", "silent mid-stream", "endless"])
async def test_d04_a_caller_who_leaves_closes_the_agent_in_every_phase(
    start: Start, agent: sim.Agent, words: str
) -> None:
    sidecar = await start(agent.url)
    await leaving(sidecar, agent, words)
    await sidecar.app.edge.idle.wait()
    assert (await sidecar.calls())[0]["outcome"] == "caller_left"


@pytest.mark.parametrize("path", ["/api/chat", "/agents/default/invocations"])
@pytest.mark.parametrize(
    ("words", "mark", "outcome"),
    [
        ("step fail mid-stream", b'"error"', "agent_error"),
        ("step completed", b"response.completed", "ok"),
        ("step hello", b"output_item.done", "caller_left"),
    ],
)
async def test_d04_who_leaves_once_the_end_was_said_has_had_the_whole_answer(
    start: Start, agent: sim.Agent, path: str, words: str, mark: bytes, outcome: str
) -> None:
    sidecar = await start(agent.url, COMMIT_AFTER="0.1")
    answer = await sidecar.call(said(words, stream=True), path)
    visit = await agent.called()
    frame = b""
    while mark not in frame:
        visit.release()
        frame = await answer.content.readuntil(b"\n\n")
    answer.close()  # as the openai client does
    await agent.left(within=1.0)
    await sidecar.app.edge.idle.wait()
    assert (await sidecar.calls())[0]["outcome"] == outcome
