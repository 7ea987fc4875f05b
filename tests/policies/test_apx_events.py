"""An apx agent's stream, told as a Responses stream: every event, every cut, every end."""

import json
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from stray_json import among, scattered

from middleware.sse import Reader
from policies.apx_events import Answer
from policies.apx_items import identified
from policies.refusal import Refusal

START = ("response.output_item.start", {"item_id": "msg_001", "trace_id": "tr-1"})
ITEM = {
    "type": "message",
    "role": "assistant",
    "id": None,
    "content": [{"type": "output_text", "text": "Hello"}],
}
DONE = ("response.output_item.done", {"item_id": "msg_001", "output": ITEM})
TRACE = ("tool.trace", [{"name": "f", "args": {"a": 1}, "result": "21", "ms": 12}])


def said(text: str) -> tuple[str, Any]:
    return ("output_text.delta", {"item_id": "msg_001", "text": text})


def told(*events: tuple[str | None, Any], end: bool = True) -> list[Any]:
    answer = Answer("r1", 7)
    out = [event for name, value in events for event in answer.hear(value, name)]
    return [*out, *answer.end()] if end else out


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def texts(events: list[Any]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def test_a_stream_is_told_as_readers_of_responses_expect_it() -> None:
    events = told(START, said("Hel"), said("lo"), DONE)
    assert kinds(events) == [
        *("created", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_item.done", "completed"),
    ]
    assert texts(events) == "Hello"
    ids = {event["item_id"] for event in events if "item_id" in event}
    assert ids == {"msg_r1_0"}, "the agent's own id is the same in every answer"
    assert events[-2]["item"]["id"] == "msg_r1_0"
    assert events[-1]["response"]["output"] == [events[-2]["item"]]
    assert (events[-1]["trace_id"], events[-1]["response"]["metadata"]) == ("tr-1", {"trace_id": "tr-1"})


def test_calls_of_tools_become_items_before_or_behind_the_text() -> None:
    for order in ((START, TRACE, said("Hello"), DONE), (START, said("Hello"), DONE, TRACE)):
        output = told(*order)[-1]["response"]["output"]
        call, result = (next(i for i in output if i["type"] == f"function_call{x}") for x in ("", "_output"))
        assert (call["name"], json.loads(call["arguments"])) == ("f", {"a": 1})
        assert (result["output"], result["ms"], result["call_id"]) == ("21", 12, call["call_id"])
        assert len({item["id"] for item in output}) == 3


def test_increments_of_a_trace_are_calls_of_their_own() -> None:
    output = told(START, TRACE, TRACE, DONE)[-1]["response"]["output"]
    assert [item["type"] for item in output].count("function_call") == 2
    assert len({item["call_id"] for item in output if "call_id" in item}) == 2


def test_custom_outputs_arrive_whenever_they_come() -> None:
    beside = [("custom_outputs", {"a": 1}), ("custom_outputs", {"b": 2})]
    assert told(START, beside[0], DONE, beside[1])[-1]["response"]["custom_outputs"] == {"a": 1, "b": 2}


def test_text_that_no_delta_brought_is_told_before_its_item() -> None:
    assert texts(told(DONE)) == "Hello"
    assert kinds(told(DONE))[-3:] == ["output_text.delta", "output_item.done", "completed"]


def test_spans_and_strangers_say_nothing() -> None:
    assert (
        told(("span.start", {"name": "x"}), ("weather.report", {"rain": True}), (None, [1]), end=False) == []
    )
    assert kinds(told(START, ("span.end", {}), DONE)) == kinds(told(START, DONE))


@pytest.mark.parametrize("key", ["text", "delta"])
def test_a_frame_without_a_name_is_known_by_its_data(key: str) -> None:
    assert texts(told((None, {"item_id": "msg_001", key: "Hello"}), DONE)) == "Hello"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (("error", {"item_id": "msg_001", "error": "no model"}), "no model"),
        (("error", {"error": {"message": "no model"}}), "no model"),
        ((None, {"error": "no model"}), "no model"),
        (("error", {}), "The agent gave no reason."),
        (("error", ["?"]), "The agent gave no reason."),
        ((None, {"type": "error", "error": "ValueError", "message": "no model"}), "no model"),
        ((None, {"type": "response.failed", "response": {"error": {"message": "no model"}}}), "no model"),
    ],
)
def test_an_error_ends_it_in_the_agents_own_words(event: Any, why: str) -> None:
    with pytest.raises(Refusal) as refused:
        told(START, said("Hel"), event)
    assert (refused.value.code, refused.value.detail, refused.value.quotes) == ("agent_error", why, True)


@pytest.mark.parametrize(
    "events",
    [(), (START,), (START, said("Hel")), (START, DONE, START), (TRACE,), (("custom_outputs", {"a": 1}),)],
)
def test_an_end_without_a_finished_message_is_none(events: Any) -> None:
    with pytest.raises(Refusal) as refused:
        told(*events)
    assert refused.value.code == "truncated"


def test_events_that_are_responses_already_pass_as_they_are() -> None:
    """Today's agents send them, with frames that have no name, and no `[DONE]` behind."""
    item = {"type": "message", "id": "lc_run--1", "content": [{"type": "output_text", "text": "Hello"}]}
    events = [
        {"type": "response.created", "response": {"output": []}},
        {"type": "response.output_text.delta", "item_id": "lc_run--1", "delta": "Hello"},
        {"type": "response.output_item.done", "item": item, "output_index": 0},
        {"type": "response.completed", "response": {"output": [item]}, "custom_outputs": {"k": 1}},
    ]
    assert told(*((None, event) for event in events)) == events
    assert told(*((event["type"], event) for event in events)) == events
    with pytest.raises(Refusal) as refused:
        told(*((None, event) for event in events[:2]))
    assert refused.value.code == "truncated"


def test_what_a_tool_gave_back_is_not_said_as_text() -> None:
    """apx-agent 0.7 streams it as a delta before its item; the first delta of anything waits for the next event."""
    said_first = {"type": "response.output_text.delta", "item_id": "t1", "output_index": 1, "delta": "21"}
    result = {"type": "function_call_output", "call_id": "c", "output": "21"}
    finished = {"type": "response.output_item.done", "item": result, "output_index": 1}
    words = [
        {"type": "response.output_text.delta", "item_id": "m1", "output_index": 2, "delta": word}
        for word in ("It ", "is ", "21")
    ]
    end = {"type": "response.completed", "response": {"output": [result]}}
    assert told(*((None, event) for event in (said_first, finished, *words, end))) == [finished, *words, end]
    answer = Answer("r1", 7)
    assert [len(answer.hear(word, None)) for word in words] == [0, 2, 1], "one token late, and no more"


def test_two_messages_keep_apart() -> None:
    second = ("response.output_item.done", {"item_id": "msg_001", "output": ITEM | {"id": "theirs"}})
    output = told(START, said("Hello"), DONE, START, said("Hello"), second)[-1]["response"]["output"]
    assert [item["id"] for item in output] == ["msg_r1_0", "msg_r1_1"]


def test_a_whole_answer_gets_ids_where_it_has_none() -> None:
    answer = {"output": [ITEM], "custom_outputs": {"k": 1}}
    assert identified(answer, "r1") == {
        "object": "response",
        "status": "completed",
        "output": [ITEM | {"id": "msg_r1_0"}],
        "custom_outputs": {"k": 1},
    }
    for same in ({"output": [ITEM | {"id": "a"}]}, {"output": 3}, [], None, {"output": []}):
        assert identified(same, "r1") is same


PAYLOAD = scattered(
    among(), ["item_id", "text", "delta", "output", "type", "content", "error", "name", "args", "result"]
)
NAME = st.none() | st.sampled_from(
    [START[0], "output_text.delta", DONE[0], "tool.trace", "custom_outputs", "error", "span.start", "message"]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(NAME, PAYLOAD), max_size=5))
def test_whatever_an_agent_sends_is_told_or_refused(events: list[tuple[str | None, Any]]) -> None:
    try:
        out = told(*events)
    except Refusal as refusal:
        event("refused", refusal.code)
        return
    assert out[0]["type"] == "response.created"
    assert [one["type"] for one in out].count("response.completed") == 1
    output = out[-1]["response"]["output"]
    finished = [one["item"] for one in out if one["type"] == "response.output_item.done"]
    assert sorted(item["id"] for item in finished) == sorted(item["id"] for item in output)


STREAM = [START, said("Zürich: "), said("21°\u2028"), TRACE, DONE, ("custom_outputs", {"k": 1})]
FRAMES = "".join(
    f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n" for name, value in STREAM
)


@settings(max_examples=1000, deadline=None)
@given(st.data(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_cut_of_the_bytes_tells_the_same(data: st.DataObject, end: str) -> None:
    raw = FRAMES.replace("\n", end).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    reader, answer, out = Reader(), Answer("r1", 7), []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        for one in reader.feed(raw[start:stop]):
            out += answer.hear(one.value(), one.event)
    for one in reader.end():
        out += answer.hear(one.value(), one.event)
    assert [*out, *answer.end()] == told(*STREAM)


def test_every_single_cut_tells_the_same() -> None:
    raw = FRAMES.encode()
    whole_stream = told(*STREAM)
    for cut in range(len(raw) + 1):
        reader, answer = Reader(), Answer("r1", 7)
        events = [*reader.feed(raw[:cut]), *reader.feed(raw[cut:]), *reader.end()]
        out = [event for one in events for event in answer.hear(one.value(), one.event)]
        assert [*out, *answer.end()] == whole_stream
