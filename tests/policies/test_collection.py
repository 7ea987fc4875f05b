"""A stream folded into a whole answer: against the files in tests/golden/collected; S08, S09, P11."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import OBJECTS

from middleware.sse import Reader
from policies.collection import Collected
from policies.refusal import Refusal

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "collected").glob("*.sse"))


def collected(raw: bytes) -> Any:
    answer, reader = Collected(), Reader()
    for event in reader.feed(raw) + reader.end():
        if event.data == "[DONE]":
            answer.done()
        else:
            answer.add(event.value(), event.event)
    return answer.value()


def said(*values: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(value).encode() for value in values) + b"data: [DONE]\n\n"


DELTA = {"type": "response.output_text.delta", "item_id": "m1", "delta": "hi"}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_stream_is_folded_into_the_answer_that_was_agreed(golden: Path) -> None:
    assert collected(golden.read_bytes()) == json.loads(golden.with_suffix(".json").read_text("utf-8"))


def test_text_is_taken_from_the_items_or_from_the_deltas_never_from_both() -> None:
    for name in ("text", "deltas-only", "items-only", "deltas-without-ids", "deltas-of-another-id"):
        whole = collected((GOLDEN[0].parent / f"{name}.sse").read_bytes())
        assert [part["text"] for item in whole["output"] for part in item["content"]] == ["You said: hi"], (
            name
        )


def test_deltas_without_an_id_belong_to_the_message_that_is_finished_next() -> None:
    item = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "trimmed"}]}
    finished = {"type": "response.output_item.done", "item": item}
    assert collected(said({"type": DELTA["type"], "delta": " trimmed "}, finished))["output"] == [item]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"error": "boom"}, "boom"),
        ({"error": {"message": "boom", "type": "server_error"}}, "boom"),
        ({"error": ""}, "The agent gave no reason."),
        ({"error": "boom", "choices": []}, "boom"),
        ({"type": "error", "message": "boom", "code": "x"}, "boom"),
        ({"type": "error", "error": {"message": "boom"}}, "boom"),
        ({"type": "error", "error": "boom"}, "boom"),
        ({"type": "response.failed", "response": {"error": {"message": "boom"}}}, "boom"),
        ({"type": "response.failed"}, "The agent gave no reason."),
    ],
)
def test_s08_an_error_in_the_stream_is_the_agents_error(event: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal) as refused:
        collected(said(DELTA, event))
    assert (refused.value.status, refused.value.code, refused.value.detail) == (502, "agent_error", why)


def test_s08_an_error_may_be_named_by_its_frame_alone() -> None:
    with pytest.raises(Refusal, match="agent_error"):
        collected(b'event: error\ndata: {"error":"boom","code":"TIMEOUT"}\n\n')


@pytest.mark.parametrize(
    "harmless", [{"error": None}, {"error": False}, {"error": {}}, {**DELTA, "error": "a field"}]
)
def test_what_only_resembles_an_error_is_none(harmless: dict[str, Any]) -> None:
    assert collected(said(DELTA, DELTA | harmless))["output"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b": ping\n\n",
        b'data: {"type":"response.output_text.delta","item_id":"m1","delta":"hi"}\n\n',
        b'data: {"type":"response.output_item.done","item":{"type":"message","content":[]}}\n\n',
        b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}\n\n',
        b'data: {"trace_id":"tr-1"}\n\n',
    ],
)
def test_s09_a_stream_without_an_end_is_truncated(raw: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        collected(raw)
    assert (refused.value.status, refused.value.code) == (502, "truncated")


@pytest.mark.parametrize(
    "end",
    [
        {"type": "response.completed", "response": {}},
        {"type": "response.incomplete", "response": {"output": []}},
        {"choices": [{"delta": {"content": "!"}, "finish_reason": "stop"}]},
    ],
)
def test_done_is_not_the_only_end(end: dict[str, Any]) -> None:
    start = {"choices": [{"delta": {"content": "hi"}}]} if "choices" in end else DELTA
    whole = collected(said(start, end).removesuffix(b"data: [DONE]\n\n"))
    assert "hi" in json.dumps(whole)


def test_what_stands_beside_the_pieces_of_a_choice_is_kept() -> None:
    choice = {"delta": {"content": "hi"}, "logprobs": {"content": []}, "finish_reason": "stop"}
    whole = collected(said({"choices": [choice], "custom_outputs": {"k": 1}}))
    assert whole["choices"][0]["logprobs"] == {"content": []}
    assert whole["custom_outputs"] == {"k": 1}


def test_several_events_of_no_known_kind_are_refused_with_a_next_step() -> None:
    with pytest.raises(Refusal, match="agent_protocol_error") as refused:
        collected(said({"answer": "a"}, {"answer": "b"}))
    assert "stream: true" in (refused.value.hint or "")


def test_members_beside_known_events_and_unknown_response_events_are_no_answer_of_their_own() -> None:
    whole = collected(
        said({"type": "response.heartbeat"}, {"custom_outputs": {"k": 1}}, {"trace_id": "tr-1"}, DELTA)
    )
    assert whole["custom_outputs"] == {"k": 1}
    assert whole["metadata"] == {"trace_id": "tr-1"}
    assert len(whole["output"]) == 1


def folded(values: list[Any], ended: bool) -> Any:
    answer = Collected()
    for value in values:
        answer.add(value)
    if ended:
        answer.done()
    return answer.value()


@settings(max_examples=1000, deadline=None)
@given(st.lists(OBJECTS, max_size=4), st.booleans())
def test_any_events_at_all_end_in_an_answer_or_in_a_refusal(values: list[Any], ended: bool) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(folded(values, ended), dict)
        return
    with pytest.raises(Refusal, match=r"agent_error|truncated|agent_protocol_error"):
        folded(values, ended)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b ", "é"]), min_size=1, max_size=3), max_size=3),
    st.lists(st.booleans(), min_size=4),
)
def test_no_text_is_lost_and_none_comes_twice(messages: list[list[str]], finished: list[bool]) -> None:
    answer = Collected()
    for nth, pieces in enumerate(messages):
        for piece in pieces:
            answer.add({"type": "response.output_text.delta", "item_id": f"m{nth}", "delta": piece})
        if finished[nth % len(finished)]:
            content = [{"type": "output_text", "text": "".join(pieces)}]
            item = {"type": "message", "id": f"m{nth}", "content": content}
            answer.add({"type": "response.output_item.done", "item": item})
    answer.done()
    texts = [part["text"] for item in answer.value()["output"] for part in item["content"]]
    assert sorted(texts) == sorted("".join(pieces) for pieces in messages)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "", "é "])), min_size=1, max_size=6))
def test_s14_chunks_of_several_choices_are_told_apart(pieces: list[tuple[int, str]]) -> None:
    answer = Collected()
    for index, piece in pieces:
        answer.add({"choices": [{"index": index, "delta": {"content": piece}}]})
    answer.done()
    for choice in answer.value()["choices"]:
        assert choice["message"]["content"] == "".join(piece for at, piece in pieces if at == choice["index"])
