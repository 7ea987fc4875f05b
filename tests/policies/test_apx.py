"""What an apx agent is told, and which of its paths are for everybody."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from stray_json import among, scattered

from policies.apx import PRIVILEGED, concerns, privileged, question
from policies.refusal import Refusal

USER = {"role": "user", "content": "hi"}


def test_what_it_takes_is_left_alone() -> None:
    for body in (
        {"input": [USER], "custom_inputs": {"a": 1}},
        {"input": []},
        {"messages": "no list"},
    ):
        assert question(body) is body


def test_messages_and_parts_become_roles_and_texts() -> None:
    parts = [{"type": "input_text", "text": "how"}, {"type": "text", "text": "warm?"}]
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "21"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    told = question({"messages": history, "stream": True, "x": 1})
    assert told == {
        "stream": True,
        "x": 1,
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "how warm?"},
            {"type": "message", "role": "assistant", "content": "21"},
            {"role": "assistant", "content": "no"},
        ],
    }
    assert history[1]["content"] is parts, "nothing of the caller's is changed"


def test_input_wins_over_messages() -> None:
    body = {"input": [USER], "messages": [{"role": "user", "content": "other"}]}
    assert question(body)["input"] == [USER]
    assert question({"input": None, "messages": [USER]}) == {"input": [USER]}


def test_a_text_becomes_a_turn() -> None:
    assert question({"input": "hi", "stream": False}) == {"input": [USER], "stream": False}


@pytest.mark.parametrize(("name", "word"), PRIVILEGED.items())
def test_what_is_not_for_every_caller_is_found_unless_it_is_allowed(name: str, word: str) -> None:
    body = {"input": [USER], "custom_inputs": {"tenant": "a", name: "x"}}
    assert privileged(body, ()) == (name, word)
    assert privileged(body, (word,)) is None
    for harmless in ({"custom_inputs": {name: None}}, {"custom_inputs": [name]}, {name: "x"}, [], None):
        assert privileged(harmless, ()) is None


def test_what_lies_between_the_turns_is_left_out() -> None:
    """As a page sends it back that was shown a trace: an apx agent's own history holds roles and texts."""
    asked, answered = {"role": "user", "content": "warm?"}, {"role": "assistant", "content": "21"}
    items = [
        asked,
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "21"},
        answered,
        asked,
    ]
    assert question({"input": items})["input"] == [asked, answered, asked]
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        asked,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c", "content": "21"},
        answered | {"tool_calls": calls},
        {"role": "assistant", "content": "", "tool_calls": calls},
        answered | {"tool_calls": []},
    ]
    assert question({"messages": messages})["input"] == [asked, answered, answered]


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ({"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}, "'input_image'"),
        ({"role": "user", "content": ["text"]}, "a part"),
        ({"role": "user", "content": [{"type": "text"}]}, "'text'"),
        ({"role": "assistant", "content": None}, "without text"),
        ({"type": "computer_call", "id": "c"}, "'computer_call'"),
        ({"role": "narrator", "content": "1"}, "known role"),
        ("hi", "a turn"),
    ],
)
def test_what_has_no_words_is_refused_by_its_index(turn: Any, words: str) -> None:
    with pytest.raises(Refusal) as refused:
        question({"input": [USER, turn]})
    assert (refused.value.status, refused.value.code) == (400, "unsupported_content")
    assert refused.value.extra == {"index": 1}
    assert words in str(refused.value.detail)
    assert refused.value.sent == "none"


ANYTHING = scattered(
    among("user", "text", "input_text", "message"),
    ["role", "content", "type", "text", "input", "messages", "tool_calls", "refusal"],
)


@settings(max_examples=1000, deadline=None)
@given(st.dictionaries(st.sampled_from(["input", "messages", "stream", "custom_inputs"]), ANYTHING))
def test_whatever_comes_it_is_told_or_refused(body: dict[str, Any]) -> None:
    try:
        told = question(body)
    except Refusal as refusal:
        event("refused", refusal.code)
        return
    turns = told.get("input")
    if isinstance(turns, list):
        assert all(isinstance(turn["content"], str) for turn in turns)
    assert question(told) is told, "what was told once stays"
    assert privileged(body, ()) is None


@pytest.mark.parametrize(
    ("target", "belongs"),
    [
        ("/_apx/agent", "dev"),
        ("/_apx/probe?url=http://169.254.169.254/", "dev"),
        ("/_apx", "dev"),
        ("/%5Fapx/tools", "dev"),
        ("//_apx/tools", "dev"),
        ("/x%2F_apx/tools", "dev"),
        ("/api/tools/weather", "tools"),
        ("/v2/tools/weather?x=1", "tools"),
        ("/api/%74ools/weather", "tools"),
        ("/responses", "question"),
        ("/%72esponses?x", "question"),
        ("/invocations/", "question"),
        ("/mcp", "mcp"),
        ("/mcp/sse", "mcp"),
        ("/%6Dcp/messages/?session_id=1", "mcp"),
        ("/health", None),
        ("/.well-known/agent.json", None),
        ("/api/users", None),
        ("/tools", None),
        ("/_apxx/agent", None),
        ("/?_apx/agent", None),
    ],
)
def test_a_path_belongs_to_what_the_agent_will_read(target: str, belongs: str | None) -> None:
    assert concerns(target) == belongs


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(["_apx", "tools"]),
    st.lists(st.sampled_from(["", "a", "api", "mcp2"]), max_size=3),
    st.data(),
)
def test_no_spelling_gets_around(closed: str, before: list[str], data: st.DataObject) -> None:
    spelled = "".join(
        f"%{ord(letter):02x}" if data.draw(st.booleans()) else quote(letter) for letter in closed
    )
    assert concerns("/".join(["", *before, spelled, "x"])) in ("dev", "tools")
