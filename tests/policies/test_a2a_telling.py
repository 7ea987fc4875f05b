"""A chat's answer as an A2A task: told piece by piece, it is what it would have been whole, in either version."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import among, scattered

from policies import a2a_card, a2a_errors, cards
from policies.a2a import NEW, OLD, Tongue, heard, state
from policies.a2a_answer import Answer
from policies.a2a_telling import Task
from policies.legible import DELTAS
from policies.refusal import Refusal
from policies.synthesis import told as events_of

Json = dict[str, Any]
both = pytest.mark.parametrize("tongue", [OLD, NEW], ids=["0.3", "1.0"])


def message(text: str, ident: str = "m") -> Json:
    return {
        "type": "message",
        "id": ident,
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }


def answer(*items: Json, **more: Any) -> Json:
    return {"object": "response", "status": "completed", "output": list(items), **more}


def streamed(value: Json, tongue: Tongue = OLD) -> list[Json]:
    """The updates of a stream that this answer would have been."""
    task = Task("t", "c", tongue)
    updates = [task.begin()]
    for event in events_of(value, "1"):
        updates += task.hear(event)
    task.done()
    return [*updates, task.end()]


def read(*results: Json) -> tuple[str, str]:
    """(text, state) as a caller reads it: with our own reader of agents' results."""
    reader, said = Answer("1", 0), ""
    for result in results:
        said += "".join(event["delta"] for event in reader.hear(result) if event["type"] in DELTAS)
    return said, reader.state


@both
def test_an_answer_is_one_task_with_an_artifact_for_each_message(tongue: Tongue) -> None:
    whole = Task("t", "c", tongue).whole(answer(message("Hello"), message("you", "m2")))
    kind, task = heard(whole)
    assert (kind, task["id"], task["contextId"], state(task["status"])) == ("task", "t", "c", "completed")
    assert [one["artifactId"] for one in task["artifacts"]] == ["t-0", "t-1"]
    assert read(whole) == ("Helloyou", "completed")


@both
@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("input_required", "input-required"),
        ("cancelled", "canceled"),
        ("max_output_tokens", "completed"),
    ],
)
def test_an_incomplete_answer_ends_as_it_did(tongue: Tongue, reason: str, ended: str) -> None:
    value = answer(message("Well"), status="incomplete", incomplete_details={"reason": reason})
    assert read(Task("t", "c", tongue).whole(value)) == ("Well", ended)
    assert read(*streamed(value, tongue)) == ("Well", ended)


def test_chat_completions_are_told_as_well() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    value = {"object": "chat.completion", "choices": [choice]}
    assert read(Task("t", "c", OLD).whole(value)) == ("Hello", "completed")
    assert read(*streamed(value)) == ("Hello", "completed")


def test_what_a_tool_did_is_not_told_and_what_else_there_is_comes_as_data() -> None:
    call = {"type": "function_call", "id": "f", "name": "x", "arguments": "{}"}
    chart = {"type": "chart", "id": "k", "points": [1, 2]}
    whole = Task("t", "c", OLD).whole(answer(call, chart, message("See")))
    assert [one["parts"][0]["kind"] for one in whole["artifacts"]] == ["data", "text"]
    assert whole["artifacts"][0]["parts"][0]["data"]["points"] == [1, 2]
    updates = [
        one for one in streamed(answer(call, chart, message("See"))) if one["kind"] == "artifact-update"
    ]
    assert [one["artifact"]["parts"][0]["kind"] for one in updates] == ["data", "text"]


@both
def test_a_failure_is_a_state_with_a_reason(tongue: Tongue) -> None:
    reader = Answer("1", 0)
    reader.hear(Task("t", "c", tongue).failed("The agent broke off its answer."))
    with pytest.raises(Refusal) as refused:
        reader.end()
    assert (refused.value.code, refused.value.detail) == ("agent_error", "The agent broke off its answer.")


def test_an_error_inside_the_stream_and_a_missing_end_are_failures() -> None:
    with pytest.raises(Refusal, match="agent_error"):
        Task("t", "c", OLD).hear({"error": "It broke"})
    with pytest.raises(Refusal, match="truncated"):
        Task("t", "c", OLD).end()


texts = st.text(min_size=1, max_size=8)


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from([OLD, NEW]))
@settings(max_examples=1000, deadline=None)
def test_a_stream_of_updates_reads_as_the_whole_task(said: list[str], tongue: Tongue) -> None:
    value = answer(*(message(text, f"m{n}") for n, text in enumerate(said)))
    assert (
        read(*streamed(value, tongue))
        == read(Task("t", "c", tongue).whole(value))
        == ("".join(said), "completed")
    )


NAMES = [
    "type",
    "item",
    "item_id",
    "delta",
    "output",
    "content",
    "text",
    "choices",
    "message",
    "response",
    "error",
]
junk = scattered(among(), NAMES)
kinds = st.sampled_from(
    [
        "response.output_text.delta",
        "response.output_item.done",
        "response.completed",
        "response.failed",
        "error",
        None,
    ]
)


@given(st.lists(st.tuples(junk, kinds), max_size=2), junk)
@settings(max_examples=1000, deadline=None)
def test_whatever_an_agent_streams_is_told_or_refused(
    events: list[tuple[Any, str | None]], value: Any
) -> None:
    task, codes = Task("t", "c", NEW), {"agent_error", "truncated", "agent_protocol_error"}
    try:
        for event, kind in events:
            task.hear({**event, "type": kind} if isinstance(event, dict) and kind else event, kind)
        told = task.end()
    except Refusal as refusal:
        assert refusal.code in codes  # noqa: PT017 - both ways are right
    else:
        assert "statusUpdate" in told
    assert "task" in task.whole(value)


# --- errors, cards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ({"error": {"code": -32001, "message": "no"}}, -32001),
        ({"error": {"message": "no"}}, 0),
        ({"error": "no"}, 0),
        ({"error": None, "result": {}}, None),
        ({"result": {}}, None),
        ([], None),
    ],
)
def test_an_error_is_known_by_its_code_and_one_without_is_one_as_well(
    document: Any, number: int | None
) -> None:
    assert a2a_errors.code(document) == number


def test_the_agents_own_sentence_goes_on_with_its_number() -> None:
    refusal = a2a_errors.refusal({"error": {"code": -32602, "message": "No", "data": "the parts"}})
    assert (refusal.status, refusal.code, refusal.detail) == (400, "agent_refused", "No (-32602): the parts")
    assert refusal.quotes
    assert a2a_errors.refusal({"error": "No"}).detail == "No (0)"


def test_the_card_of_an_agent_that_has_none_leads_to_our_door_in_both_versions() -> None:
    door = "http://127.0.0.1:9800/api/agents/weather"
    found = cards.endpoints(a2a_card.card("weather", door), cards.Way("http://127.0.0.1:9800", door))
    assert {(one.url, one.binding) for one in found} == {(door, "JSONRPC")}
    assert {one.version for one in found} == {"0.3.0", "1.0", "0.3"}
