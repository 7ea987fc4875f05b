"""What of a chat goes to a builder's agent as its message."""

from typing import Any

import pytest

from policies.builder_question import LONGEST, question
from policies.refusal import Refusal


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


CHAT = [
    turn("system", "Be brief."),
    turn("user", "Hi"),
    turn("assistant", "Hello."),
    turn("user", "And now?"),
]


def test_the_last_question_is_the_message_whatever_the_shape() -> None:
    parts = [{"type": "input_text", "text": "And"}, {"type": "input_text", "text": "now?"}]
    for body, text in (
        ({"input": "And now?"}, "And now?"),
        ({"input": CHAT}, "And now?"),
        ({"messages": CHAT}, "And now?"),
        ({"input": [turn("user", parts)]}, "And\nnow?"),
    ):
        assert question(body).text == text


def test_a_conversation_that_the_agent_does_not_know_is_told_in_front_of_it() -> None:
    assert question({"input": CHAT}).retold == (
        "This conversation so far:\n\nInstructions: Be brief.\n\nUser: Hi\n\nYou: Hello.\n\nNow:\n\nAnd now?"
    )
    assert question({"input": "Hi"}).retold == "Hi"


def test_of_a_long_conversation_the_newest_turns_are_told() -> None:
    turns = [turn("user", f"{nth} " + "x" * (LONGEST // 4)) for nth in range(9)]
    retold = question({"input": turns}).retold
    assert "User: 8 " not in retold, "that one is the question"
    assert [nth for nth in range(9) if f"User: {nth} " in retold] == [5, 6, 7]


def test_calls_of_tools_and_what_is_no_text_in_earlier_turns_are_left_out() -> None:
    image = {"type": "input_image", "image_url": "data:"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    body = {"input": [turn("user", [image]), call, turn("assistant", None), turn("user", "Hi")]}
    assert question(body).before == ()


@pytest.mark.parametrize(
    ("body", "index"),
    [
        ({"input": [turn("user", [{"type": "input_image", "image_url": "data:"}])]}, 0),
        (
            {
                "messages": [
                    turn("user", "a"),
                    turn("user", [{"type": "image_url"}, {"type": "text", "text": "b"}]),
                ]
            },
            1,
        ),
        ({"input": [turn("assistant", "a")]}, 0),
        ({"input": "  "}, 0),
        ({"input": []}, 0),
        ({"input": None}, 0),
        ({"messages": [turn("user", 7)]}, 0),
    ],
)
def test_a_question_without_text_is_refused_before_anything_is_sent(body: Any, index: int) -> None:
    with pytest.raises(Refusal) as refused:
        question(body)
    assert (refused.value.status, refused.value.code) == (400, "unsupported_content")
    assert (refused.value.extra, refused.value.sent) == ({"index": index}, "none")


def test_where_the_agent_works_is_the_callers_to_say_and_another_workspaces_token_is_not() -> None:
    given = {
        "cluster_id": "c1",
        "default_catalog": "main",
        "target_databricks_token": "dapi",
        "warehouse_id": 7,
    }
    asked = question({"input": "Hi", "custom_inputs": given})
    assert dict(asked.options) == {"cluster_id": "c1", "default_catalog": "main"}


def test_a_conversation_is_called_by_the_beginning_of_its_first_question() -> None:
    assert question({"input": "  What\n is it " + "x" * 60}).title == "What is it " + "x" * 29
