"""Real agents, through the sidecar: mlflow's AgentServer in both its modes, a process each."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from journeys import hook
from journeys.conftest import Start, said
from journeys.process import Started
from peers.exchanges import EXCHANGES, Exchange, answer, recorded
from peers.running import OpenAI

pytestmark = pytest.mark.peer

DONE = b"data: [DONE]\n\n"
TRACED = {"x_mlflow_return_trace_id": "true"}
modes = pytest.mark.parametrize("mode", ["responses", "plain"])


def events(raw: bytes) -> list[Any]:
    """What stands in the frames of a stream, `[DONE]` left out."""
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


# --- who asks ---------------------------------------------------------------------------------------------


@modes
async def test_the_recipes_hook_shows_the_text_of_either_server_piece_by_piece(
    start: Start, mlflow_servers: dict[str, str], mode: str
) -> None:
    sidecar = await start(mlflow_servers[mode])
    answer = await sidecar.chat(hook.asks("hi", "You said: hi", "hello there"))
    assert answer.headers["x-sidecar-stream"] == "raw"
    assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]


@modes
async def test_text_is_shown_while_the_agent_still_talks_and_who_leaves_cancels_it(
    start: Start, mlflow_servers: dict[str, str], mode: str
) -> None:
    sidecar = await start(mlflow_servers[mode])
    answer = await sidecar.chat(hook.asks("talk forever"))
    async with aclosing(hook.shows(answer)) as shown:
        assert [await anext(shown) for _ in range(3)] == ["You ", "again ", "again "]
    answer.close()
    asked = said(
        "until left: talk forever"
    )  # which the agent's author answers when the generator was cancelled
    async with (
        asyncio.timeout(5),
        sidecar.http.post(mlflow_servers[mode] + "/invocations", json=asked) as left,
    ):
        assert left.status == 200
    assert (await sidecar.calls())[0]["outcome"] == "caller_left"


async def test_messages_are_translated_once_for_the_server_that_refuses_them(
    start: Start, mlflow_responses: str
) -> None:
    sidecar = await start(mlflow_responses)
    for attempts in (2, 1):  # refused, and asked again; then it is known
        assert await hook.shown(await sidecar.chat(hook.asks("hello")))
        assert (await sidecar.calls())[0]["attempts"] == attempts


async def test_the_server_that_takes_either_shape_is_asked_and_heard_in_the_callers(
    start: Start, mlflow_plain: str
) -> None:
    sidecar = await start(mlflow_plain)
    chunks = events(await (await sidecar.chat(hook.asks("hello"))).read())
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    typed = events(await (await sidecar.chat(said("hello"))).read())
    assert typed[-1]["type"] == "response.output_item.done"
    whole = await (await sidecar.chat(hook.asks("hello") | {"stream": False})).json()
    assert whole["choices"][0]["message"]["content"] == "You said: hello"
    assert {call["attempts"] for call in await sidecar.calls()} == {1}


async def test_the_real_process_answers_the_hook_curl_and_the_openai_client_with_streamed_text(
    process: Started, mlflow_responses: str, openai_client: OpenAI
) -> None:
    one = await (await process("serve", AGENT_APP_URL=mlflow_responses)).ready()
    chat = one.doors["front"] + "/api/chat"
    pieces = ["You ", "said: ", "hello ", "there"]
    async with aiohttp.ClientSession() as http, http.post(chat, json=hook.asks("hello there")) as answer:
        assert await hook.shown(answer) == pieces
    told, error = await openai_client.asks(one.doors["egress"], "hello there", stream=True)
    assert ([event["delta"] for event in told if "delta" in event], error) == (pieces, None)
    head, _, body = (await as_curl(one.doors["front"])).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: text/event-stream" in head.lower()
    assert body.count(b'"type": "response.output_text.delta"') == 3
    assert DONE in body


async def as_curl(door: str) -> bytes:
    """All that comes back where curl, as the README has it, writes these very bytes."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    line = re.search(r"^curl (?:.*\\\n)*.*", readme, re.MULTILINE)
    assert line is not None
    _, _, url, _, header, _, data = shlex.split(line[0].replace("\\\n", ""))
    host = urlsplit(door)
    path = urlsplit(f"//{url}").path
    head = f"POST {path} HTTP/1.1\r\nHost: {host.netloc}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{header}\r\n"
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n{data}".encode())
    answer = b""
    while not answer.endswith(b"0\r\n\r\n") and (more := await reader.read(65536)):
        answer += more
    writer.close()
    return answer


# --- what passes as it is ---------------------------------------------------------------------------------

OURS = {  # where an agent's path differs, by design: two shapes are translated, and broken JSON never leaves
    ("responses", "string-input"),
    ("responses", "messages"),
    ("responses", "broken-json"),
}
FRAMING = {"server", "content-length", "transfer-encoding", "connection", "location"}  # of one hop each
as_they_are = [one for one in EXCHANGES if (one.kind, one.name) not in OURS]


@pytest.mark.parametrize("exchange", as_they_are, ids=lambda one: f"{one.kind}-{one.name}")
async def test_on_its_own_paths_the_agent_answers_as_it_does_without_us(
    start: Start, mlflow_servers: dict[str, str], exchange: Exchange
) -> None:
    sidecar = await start(mlflow_servers[exchange.kind])
    through, direct = await answer(f"{sidecar.egress}/agents/default", exchange), recorded(exchange)
    assert (through["status"], "".join(through["chunks"])) == (direct["status"], "".join(direct["chunks"]))
    kept = {name: value for name, value in direct["headers"].items() if name not in FRAMING}
    assert kept.items() <= through["headers"].items()


@pytest.mark.parametrize("path", ["/invocations", "/responses"])
async def test_a_raw_stream_is_the_very_bytes(start: Start, mlflow_responses: str, path: str) -> None:
    sidecar = await start(mlflow_responses)
    body = said("tool: Grüße 👋", stream=True)
    through = await sidecar.call(body, "/agents/default" + path)
    async with sidecar.http.post(mlflow_responses + path, json=body) as direct:
        assert await through.read() == await direct.read()


# --- how it is told otherwise -----------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [said, hook.asks])
async def test_a_whole_answer_is_told_as_a_stream_where_streaming_is_off(
    start: Start, mlflow_responses: str, ask: Any
) -> None:
    sidecar = await start(mlflow_responses, AGENTS__DEFAULT__STREAMING="off")
    answer = await sidecar.chat(ask("tool"), **TRACED)
    assert answer.headers["x-sidecar-stream"] == "synthesized"
    raw = await answer.read()
    assert raw.endswith(DONE)
    told = events(raw)
    async with sidecar.http.post(mlflow_responses + "/invocations", json=said("tool")) as direct:
        whole = (await direct.json())["output"]
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in done] == ["function_call", "function_call_output", "message"]
    assert all(there.items() <= here.items() for there, here in zip(whole, done, strict=True))
    assert "".join(event.get("delta", "") for event in told) == "You said: tool"
    assert told[-1]["response"]["metadata"]["trace_id"].startswith("tr-")


async def test_a_whole_chat_completion_is_told_as_chunks_where_streaming_is_off(
    start: Start, mlflow_plain: str
) -> None:
    sidecar = await start(mlflow_plain, AGENTS__DEFAULT__STREAMING="off")
    answer = await sidecar.chat(hook.asks("hello"))
    assert answer.headers["x-sidecar-stream"] == "synthesized"
    assert "".join(await hook.shown(answer)) == "You said: hello"


async def test_tool_calls_and_the_trace_id_arrive_in_either_form(start: Start, mlflow_responses: str) -> None:
    sidecar = await start(mlflow_responses)
    told = events(await (await sidecar.chat(said("tool"), **TRACED)).read())
    call, result = (event["item"] for event in told[:2])
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Zürich"})
    assert (result["call_id"], json.loads(result["output"])) == (call["call_id"], {"celsius": 21})
    assert told[-1]["trace_id"].startswith("tr-")
    whole = await (await sidecar.chat(said("tool", stream=False), **TRACED)).json()
    assert [item["type"] for item in whole["output"]] == ["function_call", "function_call_output", "message"]
    assert whole["metadata"]["trace_id"].startswith("tr-")


# --- how it goes wrong ------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("words", ["fail", "fail mid-stream"])
async def test_s08_an_error_inside_a_200_is_said_again_so_that_a_chat_page_can_see_it(
    start: Start, mlflow_servers: dict[str, str], mode: str, words: str
) -> None:
    sidecar = await start(mlflow_servers[mode])
    async with sidecar.http.post(
        mlflow_servers[mode] + "/invocations", json=said(words, stream=True)
    ) as direct:
        agents_own = await direct.read()
    answer = await sidecar.chat(said(words))
    raw = await answer.read()
    assert raw.startswith(agents_own)
    assert DONE in agents_own  # which is therefore no proof of success
    assert raw.removeprefix(agents_own).startswith(b"event: error\ndata: {")
    last = events(raw)[-1]
    assert (last["type"], last["code"], last["request_id"]) == (
        "error",
        "agent_error",
        answer.headers["x-request-id"],
    )
    assert (await sidecar.calls())[0]["outcome"] == "agent_error"


@pytest.mark.parametrize("path", ["/api/chat", "/agents/default/invocations"])
async def test_an_exceptions_text_passes_on_the_agents_path_and_not_to_a_page(
    start: Start, mlflow_responses: str, path: str
) -> None:
    sidecar = await start(mlflow_responses)
    if path == "/api/chat":
        answer = await sidecar.chat(said("fail", stream=False))
        assert (answer.status, (await answer.json())["error"]) == (502, "agent_failed")
        assert "model endpoint" not in await answer.text()
    else:
        answer = await sidecar.call(said("fail"), path)
        assert (answer.status, await answer.json()) == (500, {"detail": "The model endpoint did not answer."})


async def test_an_agent_that_is_lost_between_two_frames_is_said_to_be(
    start: Start, mlflow_responses: str
) -> None:
    async with severed(mlflow_responses, after=b'again "}\n\n') as url:
        sidecar = await start(url)
        answer = await sidecar.chat(said("talk forever"))
        raw = await answer.read()
    assert [event.get("delta") for event in events(raw)] == ["You ", "again ", None]
    assert events(raw)[-1]["code"] == "agent_broke_off"
    assert DONE not in raw
    assert (await sidecar.calls())[0]["outcome"] == "agent_broke_off"


async def test_an_agent_that_is_lost_inside_a_frame_breaks_the_answer_off(
    start: Start, mlflow_responses: str
) -> None:
    async with severed(mlflow_responses, after=b'again "') as url:
        sidecar = await start(url)
        answer = await sidecar.chat(said("talk forever"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert (await sidecar.calls())[0]["outcome"] == "agent_broke_off"


@asynccontextmanager
async def severed(url: str, after: bytes) -> AsyncIterator[str]:
    """The same server behind a wire that is cut where these bytes have passed."""
    there = urlsplit(url)

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        passed = b""
        while after not in passed and (chunk := await source.read(65536)):
            end = (passed + chunk).find(after)
            sink.write(chunk if end < 0 else chunk[: end + len(after) - len(passed)])
            passed += chunk
            await sink.drain()
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(there.hostname, there.port)
        asking = asyncio.create_task(pass_on(reader, forth))
        await pass_on(back, writer)
        asking.cancel()
        forth.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
