"""A builder's run as a Responses answer: every event, and every way in which it ends."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.builder_answer import HEARD, Answer
from policies.collection import Collected
from policies.refusal import Refusal

END = {"type": "stream.completed", "is_error": False}


def delta(text: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": text}


def told(*events: dict[str, Any]) -> list[dict[str, Any]]:
    answer = Answer("r1", 7)
    out = [event for one in events for event in answer.hear(one)]
    return [*out, *answer.end()]


def last(*events: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = told(*events)[-1]["response"]
    return response


def test_pieces_of_text_are_one_message() -> None:
    events = told(delta("Hel"), delta("lo"), END)
    assert [event["delta"] for event in events if "delta" in event] == ["Hel", "lo"]
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_text_in_one_block_counts_where_there_were_no_pieces() -> None:
    assert last({"type": "text", "text": "Hello"}, END)["output"][0]["content"][0]["text"] == "Hello"
    output = last(delta("Hello"), {"type": "text", "text": "Hello"}, END)["output"]
    assert output[0]["content"][0]["text"] == "Hello"


def test_tools_and_thoughts_stand_between_messages_in_their_order() -> None:
    call = {"type": "tool_use", "tool_id": "t1", "tool_name": "Bash", "tool_input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "a.txt", "is_error": True}
    output = last(
        {"type": "thinking", "thinking": "Hm."}, delta("I look."), call, result, delta("One."), END
    )["output"]
    assert [item["type"] for item in output] == [
        *("reasoning", "message", "function_call", "function_call_output", "message")
    ]
    assert (output[2]["name"], json.loads(output[2]["arguments"])) == ("Bash", {"command": "ls"})
    assert (output[3]["call_id"], output[3]["output"], output[3]["is_error"]) == ("t1", "a.txt", True)
    assert len({item["id"] for item in output}) == 5


def test_what_it_cost_and_where_it_was_stand_in_the_metadata() -> None:
    """The session's id stays with the agent."""
    result = {"type": "result", "session_id": "s1", "duration_ms": 9, "total_cost_usd": 0.5, "num_turns": 2}
    metadata = last({"type": "conversation.created", "conversation_id": "c1"}, delta("a"), result, END)[
        "metadata"
    ]
    assert metadata == {
        "conversation_id": "c1",
        "duration_ms": "9",
        "total_cost_usd": "0.5",
        "num_turns": "2",
    }


@pytest.mark.parametrize("kind", ["system", "todos", "keepalive", "stream.reconnect", "news", None, 7])
def test_what_is_the_runs_own_is_not_told(kind: Any) -> None:
    assert Answer("r1", 7).hear({"type": kind, "data": {}, "todos": []}) == []


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (
            [delta("a"), {"type": "error", "error": "It broke."}, {"type": "error", "error": "Again."}, END],
            "It broke.",
        ),
        ([{"type": "error", "error": "It broke."}, END | {"is_error": True}], "It broke."),
        ([END | {"is_error": True}], "The agent gave no reason."),
        ([{"type": "result", "is_error": True}, END], "The agent gave no reason."),
        ([{"type": "error", "error": None}, END], "The agent gave no reason."),
    ],
)
def test_a_failure_is_one_whatever_the_end_says(events: list[dict[str, Any]], reason: str) -> None:
    """With text before it, an error leaves `stream.completed.is_error` false."""
    with pytest.raises(Refusal) as refused:
        told(*events)
    assert (refused.value.code, refused.value.detail, refused.value.quotes) == ("agent_error", reason, True)


def test_a_summary_that_is_an_error_does_not_spoil_an_answer() -> None:
    assert last(delta("a"), {"type": "result", "is_error": True}, END)["status"] == "completed"


@pytest.mark.parametrize(
    "event", [{"type": "cancelled"}, {"type": "stream.cancelled"}, END | {"is_cancelled": True}]
)
def test_a_cancelled_run_is_incomplete(event: dict[str, Any]) -> None:
    response = last(delta("a"), event, END)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "cancelled"})


@pytest.mark.parametrize(
    ("said", "kept", "deltas"),
    [
        ("", "Hello", ["Hello"]),
        ("Hel", "Hello", ["Hel", "lo"]),
        ("Hello", "Hello", ["Hello"]),
        ("Let me see. Hello", "Hello", ["Let me see. Hello"]),
        ("Bye", "Hello", ["Bye", "Hello"]),
    ],
)
def test_of_an_answer_that_was_kept_only_the_rest_is_told(said: str, kept: str, deltas: list[str]) -> None:
    answer = Answer("r1", 7)
    events = (answer.hear(delta(said)) if said else []) + answer.recalled(kept)
    assert [event["delta"] for event in events if event["type"] == "response.output_text.delta"] == deltas
    assert answer.over


VALUES = st.sampled_from([None, True, 0, 1.5, "", "a", "Müller", [], ["a"], {}, {"a": [1]}, 10**30])
NAMES = [
    "text",
    "thinking",
    "tool_id",
    "tool_name",
    "tool_input",
    "tool_use_id",
    "content",
    "is_error",
    "error",
]
EVENTS = st.builds(
    lambda kind, rest: {"type": kind} | rest,
    st.sampled_from([*HEARD, "todos", "other"]),
    st.dictionaries(
        st.sampled_from([*NAMES, "conversation_id", "is_cancelled", "num_turns"]), VALUES, max_size=4
    ),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(EVENTS, max_size=5))
def test_no_event_breaks_it_and_what_is_told_collects_to_its_text(events: list[dict[str, Any]]) -> None:
    answer, collected = Answer("r1", 7), Collected()
    out = [event for one in events for event in answer.hear(one)]
    with suppress(Refusal):  # a run that failed
        out += answer.end()
    if not out or out[-1]["type"] not in ("response.completed", "response.incomplete"):
        return
    for event in out:
        collected.add(event)
    texts = [part["text"] for item in collected.value()["output"] for part in item.get("content", [])]
    assert "".join(texts) == answer.text
