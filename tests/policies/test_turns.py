"""Whole conversations, told both ways."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import scattered

from policies.refusal import Refusal
from policies.turns import items, messages

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Zürich"}'}}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Zürich"}'}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "21 °C"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "21 °C"}


def other(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return CALL | {"id": name}, ITEM | {"call_id": name}


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_message_is_a_message_in_both_shapes_and_keeps_what_is_unknown_on_it(role: str) -> None:
    message = {"role": role, "content": "hi", "name": "ann", "id": "m1", "metadata": {"n": [1, None]}}
    assert items([message]) == [message]
    assert messages([message]) == [message]


def test_a_conversation_with_tools_is_told_in_its_order() -> None:
    second_call, second_item = other("call_2")
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "How warm is it?"}]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, second_call]},
        RESULT,
        {
            "role": "tool",
            "tool_call_id": "call_2",
            "content": [{"type": "text", "text": "9 °C"}],
            "name": "weather",
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": "call_3"}]},
        RESULT | {"tool_call_id": "call_3"},
        {"role": "assistant", "content": [{"type": "text", "text": "Warm."}]},
        {"role": "user", "content": "Thanks!"},
    ]
    told = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "How warm is it?"}]},
        {"role": "assistant", "content": "Let me see."},
        ITEM,
        second_item,
        OUTPUT,
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "9 °C"}],
            "name": "weather",
        },
        ITEM | {"call_id": "call_3"},
        OUTPUT | {"call_id": "call_3"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Warm."}]},
        {"role": "user", "content": "Thanks!"},
    ]
    assert items(chat) == told
    assert messages(told) == chat


def test_what_an_agent_answered_can_be_sent_back_to_it_in_a_chat() -> None:
    """Items as a Responses agent puts them out: typed, with ids and states."""
    answered = [
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "c",
            "name": "n",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "c", "output": "21"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Warm.", "annotations": []}],
        },
    ]
    assert messages(answered) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "21"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Warm.", "annotations": []}],
            "id": "msg_1",
            "status": "completed",
        },
    ]


def test_what_a_chat_model_answered_can_be_sent_back_with_all_its_nulls() -> None:
    """A completion's message as the openai client prints it."""
    answered = {
        "content": "hi",
        "refusal": None,
        "role": "assistant",
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }
    assert items([answered]) == [{"role": "assistant", "content": "hi"}]
    assert items([answered | {"content": None}]) == [{"role": "assistant", "content": ""}]
    assert messages([answered]) == [{"role": "assistant", "content": "hi"}]


def test_a_refusal_beside_the_content_becomes_a_part_of_it() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    said = {"type": "output_text", "text": "Well."}
    assert items([{"role": "assistant", "content": None, "refusal": "No."}]) == [
        {"role": "assistant", "content": [refusal]}
    ]
    assert items([{"role": "assistant", "content": "Well.", "refusal": "No."}]) == [
        {"role": "assistant", "content": [said, refusal]}
    ]
    assert items(
        [{"role": "assistant", "content": [{"type": "text", "text": "Well."}], "refusal": "No."}]
    ) == [{"role": "assistant", "content": [said, refusal]}]


@pytest.mark.parametrize("content", [None, "", []])
def test_calls_without_a_text_are_calls_alone(content: Any) -> None:
    assert items([{"role": "assistant", "content": content, "tool_calls": [CALL]}]) == [ITEM]
    assert items([{"role": "assistant", "tool_calls": [CALL]}]) == [ITEM]


def test_unknown_fields_of_a_call_stay_on_it() -> None:
    assert items([{"role": "assistant", "tool_calls": [CALL | {"extra_content": {"a": 1}}]}]) == [
        ITEM | {"extra_content": {"a": 1}}
    ]
    assert messages([ITEM | {"extra_content": {"a": 1}}])[0]["tool_calls"] == [
        CALL | {"extra_content": {"a": 1}}
    ]


@pytest.mark.parametrize(
    ("told", "turn", "cause"),
    [
        (items, {"role": "user", "content": [{"type": "input_audio"}]}, "'input_audio'"),
        (items, {"role": "user", "parts": [{"type": "text", "text": "hi"}]}, "without `content`"),
        (items, {"role": "critic", "content": "hi"}, "known role"),
        (items, {"role": ["user"], "content": "hi"}, "known role"),
        (items, {"role": "tool", "content": "21"}, "`tool_call_id`"),
        (items, {"role": "function", "name": "f", "content": "21"}, "known role"),
        (items, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, "`function_call`"),
        (items, {"role": "assistant", "audio": {"id": "a"}}, "`audio`"),
        (items, {"role": "assistant", "tool_calls": [CALL | {"type": "custom"}]}, "no function's"),
        (items, {"role": "assistant", "tool_calls": [{"id": "c"}]}, "lacks"),
        (items, {"role": "assistant", "tool_calls": [7]}, "lacks"),
        (items, {"role": "assistant", "tool_calls": 7}, "no list"),
        (items, {"role": "assistant", "refusal": 7}, "no text"),
        (items, "hi", "known role"),
        (items, None, "known role"),
        (messages, {"type": "reasoning", "summary": []}, "'reasoning'"),
        (messages, {"type": "item_reference", "id": "m1"}, "'item_reference'"),
        (messages, {"type": "function_call", "call_id": "c"}, "lacks"),
        (messages, {"role": "user"}, "without `content`"),
        (messages, {"role": "tool", "tool_call_id": "c", "content": "21"}, "known role"),
        (messages, {"role": "assistant", "content": "", "tool_calls": [CALL]}, "`tool_calls`"),
        (messages, {"type": "function_call_output", "call_id": "c", "output": {"a": 1}}, "neither a string"),
        (messages, ["hi"], "without a type"),
    ],
)
def test_a_turn_without_a_counterpart_is_refused_by_its_index(told: Any, turn: Any, cause: str) -> None:
    fine = {"role": "user", "content": "hi"}
    with pytest.raises(Refusal) as caught:
        told([fine, fine, turn, fine])
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.extra) == (400, "unsupported_content", {"index": 2})
    assert cause in (refusal.detail or "")
    assert f"`{'messages' if told is items else 'input'}[2]`" in (refusal.detail or "")


TEXT = st.sampled_from(["", "hi", "é😀", '"quoted"'])
UNKNOWN = st.sampled_from([{}, {}, {"name": "ann"}, {"id": "m1", "x": [1, {"y": None}]}])
CHAT_PARTS = st.lists(
    st.sampled_from(
        [
            {"type": "text", "text": "hi"},
            {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://a/b", "detail": "high"}},
            {"type": "file", "file": {"file_id": "f1"}},
            {"type": "file", "file": {"filename": "a", "file_data": "AA=="}, "x": 1},
        ]
    ),
    max_size=3,
)
SAID_PARTS = st.lists(
    st.sampled_from([{"type": "text", "text": "yes"}, {"type": "refusal", "refusal": "no"}]),
    min_size=1,
    max_size=2,
)
CALLS = st.lists(
    st.sampled_from([CALL, CALL | {"id": "call_2"}, CALL | {"id": "c3", "x": 1}]), min_size=1, max_size=3
)
ASKED = st.builds(
    lambda role, content, unknown: {"role": role, "content": content} | unknown,
    st.sampled_from(["system", "developer", "user"]),
    TEXT | CHAT_PARTS,
    UNKNOWN,
)
ANSWERED = st.builds(
    lambda content, unknown: {"role": "assistant", "content": content} | unknown,
    TEXT.filter(bool) | SAID_PARTS,
    UNKNOWN,
)
CALLED = st.builds(
    lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
    st.sampled_from([None, "Let me see."]) | SAID_PARTS,
    CALLS,
)
FOUND = st.builds(
    lambda content, unknown: {"role": "tool", "tool_call_id": "call_1", "content": content} | unknown,
    TEXT | CHAT_PARTS,
    UNKNOWN,
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(ASKED | ANSWERED | CALLED | FOUND, max_size=6))
def test_a_conversation_told_there_and_back_is_the_conversation(chat: list[Any]) -> None:
    """Calls without a text belong to the assistant's message before them: two such return as one."""
    before = copy.deepcopy(chat)
    told = items(chat)
    assert items(messages(told)) == told
    assert messages(told) == together(chat)
    assert chat == before


def together(chat: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for message in chat:
        if merged and merged[-1]["role"] == message["role"] == "assistant" and message["content"] is None:
            earlier = merged[-1].get("tool_calls", [])
            merged[-1] = merged[-1] | {"tool_calls": [*earlier, *message["tool_calls"]]}
        else:
            merged.append(message)
    return merged


KEYS = [
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "tool_call_id",
    "id",
    "function",
    "name",
    "arguments",
]
KEYS += ["call_id", "output", "refusal", "image_url", "url", "file", "file_id", "file_url"]
PLAIN = [None, 1, "", "hi", "user", "assistant", "tool", "text", "input_text", "output_text", "function_call"]
PLAIN += ["function_call_output", "message", "image_url", "input_image", "file", "input_file"]
TURNS = scattered(lambda random: random.choice(PLAIN), KEYS)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from([items, messages]), st.lists(TURNS, min_size=1, max_size=3))
def test_any_turns_are_told_or_refused_by_an_index_and_never_changed(told: Any, turns: list[Any]) -> None:
    before = copy.deepcopy(turns)
    index = 0
    try:
        told(turns)
    except Refusal as refusal:
        index = refusal.extra["index"]
    assert 0 <= index < len(turns)
    assert turns == before
