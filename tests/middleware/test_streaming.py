"""The caller gets what it wanted, a stream or a whole answer, whatever the agent does: S04, S08-S14, P07, P11."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from middleware.exchange import Body, Call, Headers, Reply, Stream, headers
from middleware.sse import DONE, frame
from middleware.streaming import LARGEST, streaming
from middleware.streams import ENDS, Told
from middleware.watch import Watch
from policies.agent import Agent, Caller
from policies.refusal import Refusal

JSON = ("Content-Type", "application/json")
SSE = ("Content-Type", "text/event-stream; charset=utf-8")
MESSAGE = {
    "type": "message",
    "id": "m1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hi"}],
}
ANSWER = {"object": "response", "output": [MESSAGE]}
DELTA = frame({"type": "response.output_text.delta", "item_id": "m1", "delta": "hi"})
ITEM = frame({"type": "response.output_item.done", "item": MESSAGE})
GUARDRAIL = {
    "error_code": "BAD_REQUEST",
    "message": "Streaming is not supported when output guardrails are on.",
}


class Notes:
    """A recorder that keeps what was noted."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        self.told.append((what, value))


class Next:
    """The next handler: answers one after the other, and knows what was asked and which of them were closed."""

    def __init__(self, *answers: Reply) -> None:
        self.answers = list(answers)
        self.asked: list[bool | None] = []
        self.calls: list[Call] = []
        self.closed: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        self.asked.append(call.wants_stream)
        reply = self.answers.pop(0)

        async def close(ending: str) -> None:
            self.closed.append(ending)

        return reply._replace(close=close)


def whole(value: Any, status: int = 200, *more: tuple[str, str]) -> Reply:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, headers(JSON, ("Content-Length", str(len(raw))), *more), Body(raw))


def stream(*chunks: bytes, status: int = 200, more: tuple[tuple[str, str], ...] = ()) -> Reply:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return Reply(status, headers(SSE, *more), Told(arriving(), Watch(ENDS)))


def call(wants: bool | None, **agent: Any) -> Call:
    known = Agent("default", "http://127.0.0.1:1", **agent)
    return Call(
        known, Caller(), "chat", "POST", "/invocations", headers(JSON), Body(b'{"input":[]}'), wants, "r-1"
    )


async def answered(forward: Next, wants: bool | None, notes: Notes | None = None, **agent: Any) -> Reply:
    return await streaming(notes or Notes())(call(wants, **agent), forward)  # type: ignore[arg-type]


async def read(reply: Reply) -> bytes:
    assert isinstance(reply.body, Stream)
    return b"".join([chunk async for chunk in reply.body.chunks()])


def mode(reply: Reply) -> str | None:
    return reply.headers.get("x-sidecar-stream")


# --- what passes ---------------------------------------------------------------------------------------------


async def test_a_relay_is_not_its_business() -> None:
    agents = stream(DELTA)
    forward = Next(agents)
    reply = await answered(forward, None)
    assert reply[:3] == agents[:3]
    assert forward.asked == [None]


async def test_a_stream_that_was_wanted_passes_as_it_came() -> None:
    agents = stream(DELTA, ITEM, DONE)
    reply = await answered(Next(agents), True)
    assert reply.body is agents.body
    assert mode(reply) == "raw"
    assert reply.headers["Cache-Control"] == "no-cache, no-transform"
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert reply.headers["Content-Type"] == SSE[1]


async def test_json_that_was_wanted_passes_as_it_came() -> None:
    agents = whole(b'{ "output": [], "n": 123456789012345678901 }', 200, ("ETag", '"1"'))
    reply = await answered(Next(agents), False)
    assert reply.body is agents.body
    assert mode(reply) == "raw"
    assert reply.headers["ETag"] == '"1"'


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("wants", [True, False])
async def test_an_error_passes_whatever_was_wanted(status: int, wants: bool) -> None:
    agents = whole({"detail": "no"}, status, ("Retry-After", "3"))
    forward = Next(agents)
    reply = await answered(forward, wants)
    assert (reply.status, reply.body) == (status, agents.body)
    assert reply.headers["Retry-After"] == "3"
    assert mode(reply) == "raw"
    assert len(forward.asked) == 1


async def test_an_error_that_comes_as_a_stream_passes_too() -> None:
    agents = stream(frame({"error": "no"}), status=500)
    reply = await answered(Next(agents), False)
    assert (reply.status, reply.body, mode(reply)) == (500, agents.body, "raw")


async def test_a_page_where_a_stream_was_due_is_not_told_as_one() -> None:
    page = Reply(200, headers(("Content-Type", "text/html")), Body(b"<h1>Sign in</h1>"))
    assert (await answered(Next(page), True)).body is page.body


# --- asking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wants", "permitted", "asked"),
    [
        (True, "auto", True),
        (True, "on", True),
        (True, "off", False),
        (False, "auto", False),
        (False, "on", False),
    ],
)
async def test_a_stream_is_asked_for_only_where_one_is_permitted(
    wants: bool, permitted: str, asked: bool
) -> None:
    forward = Next(whole(ANSWER))
    await answered(forward, wants, streaming=permitted)
    assert forward.asked == [asked]


# --- JSON where a stream was wanted --------------------------------------------------------------------------


@pytest.mark.parametrize("permitted", ["auto", "off"])
async def test_p11_json_where_a_stream_was_wanted_is_told_as_one(permitted: str) -> None:
    agents = whole(
        ANSWER, 200, ("ETag", '"1"'), ("Digest", "x"), ("Cache-Control", "max-age=60"), ("x-agent", "kept")
    )
    reply = await answered(Next(agents), True, streaming=permitted)
    said = await read(reply)
    assert mode(reply) == "synthesized"
    assert sorted((name.lower(), value) for name, value in reply.headers.items()) == [
        ("cache-control", "no-cache, no-transform"),
        ("content-type", "text/event-stream; charset=utf-8"),
        ("x-accel-buffering", "no"),
        ("x-agent", "kept"),
        ("x-sidecar-stream", "synthesized"),
    ]
    assert said.count(b'data: {"type":"response.output_text.delta"') == 1
    assert said.index(b'"response.output_item.done"') < said.index(b'"response.completed"')
    assert said.endswith(DONE)
    assert b"resp_r-1" in said
    assert reply.body.watch.verdict == "ok"  # type: ignore[union-attr]


async def test_s14_a_chat_completion_is_told_in_chunks() -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
    said = await read(await answered(Next(whole(answer)), True))
    values = [
        json.loads(part.removeprefix(b"data: ")) for part in said.removesuffix(DONE).split(b"\n\n") if part
    ]
    assert [value["object"] for value in values] == ["chat.completion.chunk"] * 2
    assert values[0]["choices"][0]["delta"]["content"] == "hi"
    assert values[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "value", [{"output": []}, {"answer": "42"}, {"choices": [{"message": {}}]}, [], "x", None]
)
async def test_s13_an_answer_without_output_goes_unsaid_until_somebody_insists(value: Any) -> None:
    reply = await answered(Next(whole(value)), True)
    assert (await read(reply)).endswith(DONE)
    assert reply.body.watch.unsaid  # type: ignore[union-attr]


async def test_s11_words_about_streaming_inside_an_answer_are_an_answer() -> None:
    text = "Streaming is not supported when output guardrails are enabled."
    answer = {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}
    notes, forward = Notes(), Next(whole(answer))
    reply = await answered(forward, True, notes)
    assert text.encode() in await read(reply)
    assert forward.asked == [True]
    assert notes.told == []


async def test_numbers_of_any_size_are_told_digit_for_digit() -> None:
    big = b'{"output":[],"custom_outputs":{"n":123456789012345678901234567890}}'
    assert b'"n":123456789012345678901234567890' in await read(await answered(Next(whole(big)), True))


async def test_json_deeper_than_a_fast_printer_goes_is_told_all_the_same() -> None:
    deep = b'{"output":[],"custom_outputs":' + b"[" * 300 + b"]" * 300 + b"}"
    assert b"[" * 300 in await read(await answered(Next(whole(deep)), True))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="all that can be read can be printed")
async def test_json_that_can_be_read_and_not_be_printed_is_refused() -> None:
    deep = b"[" * 1015 + b"]" * 1015
    answer = b'{"output":[],"custom_outputs":%b}' % deep
    events = b'data: {"type":"response.output_item.done","item":{"type":"x","x":%b}}\n\n' % deep
    for reply, wants in ((whole(answer), True), (stream(events, DONE), False)):
        with pytest.raises(Refusal, match="agent_protocol_error") as refused:
            await answered(Next(reply), wants)
        assert refused.value.detail == "The agent's JSON cannot be read: nested too deeply."


@pytest.mark.parametrize("raw", [b"", b"{", b"nonsense", b'{"n":1}x', b"[" * 5000])
async def test_what_is_called_json_and_is_none_is_a_protocol_error(raw: bytes) -> None:
    forward = Next(whole(raw))
    with pytest.raises(Refusal) as refused:
        await answered(forward, True)
    assert (refused.value.status, refused.value.code) == (502, "agent_protocol_error")
    assert forward.closed == ["agent_protocol_error"]


@pytest.mark.parametrize("coding", ["gzip", "none", "identity"])
async def test_compressed_json_is_read_before_it_is_told(coding: str) -> None:
    raw = json.dumps(ANSWER).encode()
    agents = whole(gzip.compress(raw) if coding == "gzip" else raw, 200, ("Content-Encoding", coding))
    reply = await answered(Next(agents), True)
    assert b'"delta":"hi"' in await read(reply)
    assert "Content-Encoding" not in reply.headers


async def test_p07_a_bomb_on_a_path_that_is_transformed_is_refused() -> None:
    forward = Next(whole(gzip.compress(bytes(64 << 20)), 200, ("Content-Encoding", "gzip")))
    with pytest.raises(Refusal) as refused:
        await answered(forward, True)
    assert (refused.value.status, refused.value.code) == (502, "agent_too_large")
    assert forward.closed == ["agent_too_large"]


async def test_compressed_json_that_was_wanted_passes_compressed() -> None:
    agents = whole(gzip.compress(b"{}"), 200, ("Content-Encoding", "gzip"))
    reply = await answered(Next(agents), False)
    assert reply.body is agents.body
    assert reply.headers["Content-Encoding"] == "gzip"


# --- a refusal to stream -------------------------------------------------------------------------------------


async def test_s10_an_agent_that_refuses_to_stream_is_asked_once_more_for_a_whole_answer() -> None:
    notes, forward = Notes(), Next(whole(GUARDRAIL, 400), whole(ANSWER))
    reply = await answered(forward, True, notes)
    assert forward.asked == [True, False]
    assert forward.closed == ["agent_refused"]
    assert forward.calls[1] == forward.calls[0]._replace(wants_stream=False)
    assert notes.told == [("stream_refused", 400)]
    assert mode(reply) == "synthesized"
    assert b'"delta":"hi"' in await read(reply)


async def test_s10_the_second_answer_is_final_whatever_it_is() -> None:
    forward = Next(whole(GUARDRAIL, 400), whole(GUARDRAIL, 400))
    reply = await answered(forward, True)
    assert reply.status == 400
    assert forward.asked == [True, False]


async def test_s10_an_agent_that_must_not_run_twice_is_asked_once() -> None:
    forward = Next(whole(GUARDRAIL, 400))
    assert (await answered(forward, True, replay="never")).status == 400
    assert forward.asked == [True]


async def test_s10_a_refusal_to_who_wanted_no_stream_is_an_error_like_others() -> None:
    forward = Next(whole(GUARDRAIL, 400))
    assert (await answered(forward, False)).status == 400
    assert len(forward.asked) == 1


@pytest.mark.parametrize("kind", ["text/html", "text/plain", ""])
async def test_s11_a_page_that_speaks_of_streaming_is_no_refusal(kind: str) -> None:
    page = Reply(400, headers(("Content-Type", kind)), Body(json.dumps(GUARDRAIL).encode()))
    forward = Next(page)
    assert (await answered(forward, True)).status == 400
    assert forward.asked == [True]


async def test_s12_a_refusal_inside_a_stream_is_no_reason_to_ask_again() -> None:
    refusal = frame({"error": GUARDRAIL["message"]})
    notes, forward = Notes(), Next(stream(DELTA, refusal, DONE))
    reply = await answered(forward, True, notes)
    assert await read(reply) == DELTA + refusal + DONE
    assert forward.asked == [True]
    assert reply.body.watch.verdict == "agent_error"  # type: ignore[union-attr]
    assert notes.told == []


# --- a stream where JSON was wanted --------------------------------------------------------------------------


async def test_p11_a_stream_where_json_was_wanted_is_folded_into_one_answer() -> None:
    agents = stream(DELTA, ITEM, DONE, more=(("Cache-Control", "no-cache"), ("x-agent", "kept")))
    forward = Next(agents)
    reply = await answered(forward, False)
    assert isinstance(reply.body, Body)
    assert json.loads(reply.body.raw) == ANSWER
    assert mode(reply) == "collected"
    assert sorted((name.lower(), value) for name, value in reply.headers.items()) == [
        ("content-type", "application/json"),
        ("x-agent", "kept"),
        ("x-sidecar-stream", "collected"),
    ]
    assert forward.closed == ["ok"]
    await reply.close("ok")
    assert forward.closed == ["ok"]


async def test_p11_what_comes_behind_the_end_is_not_waited_for() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield ITEM + DONE
        await asyncio.Event().wait()

    forward = Next(Reply(200, headers(SSE), Told(endless(), Watch(ENDS))))
    reply = await asyncio.wait_for(answered(forward, False), 5)
    assert json.loads(reply.body.raw) == ANSWER  # type: ignore[union-attr]


async def test_p11_heartbeats_in_words_are_no_part_of_the_answer() -> None:
    reply = await answered(
        Next(stream(b"event: ping\ndata: still here\n\n", DELTA, b": c\n\n", ITEM, DONE)), False
    )
    assert json.loads(reply.body.raw) == ANSWER  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("chunks", "code", "detail"),
    [
        ([DELTA, frame({"error": "boom"}), DONE], "agent_error", "boom"),
        ([DELTA, frame({"type": "error", "message": "boom"})], "agent_error", "boom"),
        ([b'event: error\ndata: {"error":"boom"}\n\n'], "agent_error", "boom"),
        ([DELTA, ITEM], "truncated", "The agent's stream ended without its closing mark."),
        ([], "truncated", "The agent's stream ended without its closing mark."),
    ],
)
async def test_s08_s09_a_stream_that_failed_is_no_whole_answer(
    chunks: list[bytes], code: str, detail: str
) -> None:
    forward = Next(stream(*chunks))
    with pytest.raises(Refusal) as refused:
        await answered(forward, False)
    assert (refused.value.status, refused.value.code, refused.value.detail) == (502, code, detail)
    assert forward.closed == [code]


async def test_s04_an_event_over_a_mebibyte_is_refused_where_it_has_to_be_read() -> None:
    forward = Next(stream(b"data: " + b"x" * (1 << 20), b"x" * 64, DONE))
    with pytest.raises(Refusal, match="agent_too_large"):
        await answered(forward, False)
    assert forward.closed == ["agent_too_large"]


async def test_s04_the_same_event_passes_where_nobody_has_to_read_it() -> None:
    large = frame({"type": "response.output_text.delta", "delta": "x" * (10 << 20)})
    assert await read(await answered(Next(stream(large, DONE)), True)) == large + DONE


async def test_what_is_collected_is_bounded_in_all() -> None:
    piece = frame({"type": "response.output_text.delta", "item_id": "m1", "delta": "x" * 1_000_000})
    forward = Next(stream(*[piece] * (LARGEST // 1_000_000 + 1), DONE))
    with pytest.raises(Refusal) as refused:
        await answered(forward, False)
    assert (refused.value.status, refused.value.code) == (502, "agent_too_large")


async def test_a_caller_who_leaves_while_its_answer_is_collected_closes_the_agent() -> None:
    reading = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DELTA
        reading.set()
        await asyncio.Event().wait()

    forward = Next(Reply(200, headers(SSE), Told(slow(), Watch(ENDS))))
    task = asyncio.ensure_future(answered(forward, False))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(forward.closed) == 1


@pytest.mark.parametrize("wants", [True, False])
async def test_a_compressed_stream_is_refused_because_nobody_can_read_on(wants: bool) -> None:
    forward = Next(stream(gzip.compress(DELTA), more=(("Content-Encoding", "gzip"),)))
    with pytest.raises(Refusal) as refused:
        await answered(forward, wants)
    assert (refused.value.status, refused.value.code) == (502, "agent_protocol_error")
    assert forward.closed == ["agent_protocol_error"]


async def test_a_coding_called_none_is_no_coding_and_is_not_handed_on() -> None:
    reply = await answered(Next(stream(DELTA, DONE, more=(("Content-Encoding", "none"),))), True)
    assert "Content-Encoding" not in reply.headers
    assert await read(reply) == DELTA + DONE


async def test_a_refusal_from_further_in_is_left_alone() -> None:
    async def forward(_: Call) -> Reply:
        raise Refusal(502, "agent_unreachable", sent="none")

    with pytest.raises(Refusal, match="agent_unreachable"):
        await streaming(Notes())(call(True), forward)  # type: ignore[arg-type]


def test_headers_of_the_agent_are_never_edited() -> None:
    agents = stream(DELTA, DONE)
    before: Headers = headers(*agents.headers.items())
    asyncio.run(answered(Next(agents), True))
    assert agents.headers == before
