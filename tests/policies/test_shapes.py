"""A body's question told in the other shape, and nothing else of the body."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_documents import VALUES, Document, documents, spelled

from policies.body import read
from policies.refusal import Refusal
from policies.shapes import asked_for, translate


def told(raw: bytes, to: Any) -> bytes:
    return translate(raw, read(raw), to)


# --- telling


def test_messages_become_input_and_every_other_byte_stays() -> None:
    raw = b'{ "seed" : 12345678901234567890123 , "messages" : [{"role":"user","content":"hi"}],\n"n":1.10}'
    assert told(raw, "input") == (
        b'{ "seed" : 12345678901234567890123 , "input":[{"role":"user","content":"hi"}],\n"n":1.10}'
    )


def test_input_becomes_messages_and_every_other_byte_stays() -> None:
    raw = b'{"input" : [{"type":"function_call","call_id":"c","name":"n","arguments":"{}"}] ,"stream":true}'
    assert told(raw, "messages") == (
        b'{"messages":[{"role":"assistant","content":null,"tool_calls":'
        b'[{"id":"c","type":"function","function":{"name":"n","arguments":"{}"}}]}] ,"stream":true}'
    )


@pytest.mark.parametrize("to", ["input", "messages"])
def test_a_string_becomes_one_user_message(to: str) -> None:
    assert told(b'{"input":"hi \\u00e9","stream":true}', to) == (
        b'{"%b":[{"role":"user","content":"hi \xc3\xa9"}],"stream":true}' % to.encode()
    )
    assert told(b'{"input":"","stream":true}', to) == (
        b'{"%b":[{"role":"user","content":""}],"stream":true}' % to.encode()
    )


@pytest.mark.parametrize(
    ("raw", "to"),
    [
        (b'{"input":[{"role":"user","content":"hi"}]}', "input"),
        (b'{"messages":[{"role":"user","content":"hi"}]}', "messages"),
        (b'{"input":[],"messages":[{"role":"critic"}]}', "input"),
        (b'{"input":[{"type":"reasoning"}],"messages":[]}', "messages"),
        (b'{"input":null}', "input"),
        (b'{"input":{"a":1}}', "messages"),
        (b'{"messages":"x"}', "input"),
        (b'{"prompt":"hi"}', "input"),
        (b'["input"]', "input"),
    ],
)
def test_what_has_the_shape_or_neither_of_the_two_is_the_same_object(raw: bytes, to: str) -> None:
    assert told(raw, to) is raw


def test_b03_input_wins_where_both_are_there() -> None:
    raw = b'{"messages":[{"role":"user","content":"old"}],"input":"new"}'
    assert told(raw, "input") == (
        b'{"messages":[{"role":"user","content":"old"}],"input":[{"role":"user","content":"new"}]}'
    )


@pytest.mark.parametrize(
    ("raw", "to", "changed"),
    [
        (b'{"input":null,"messages":[]}', "input", b'{"input":[]}'),
        (b'{"messages":[], "input":null , "x":1}', "input", b'{"input":[] , "x":1}'),
        (b'{"messages":null,"input":"hi"}', "messages", b'{"messages":[{"role":"user","content":"hi"}]}'),
    ],
)
def test_a_member_of_the_name_that_holds_nothing_makes_room(raw: bytes, to: str, changed: bytes) -> None:
    assert told(raw, to) == changed


def test_numbers_inside_of_a_message_keep_their_digits() -> None:
    digits = b"[12345678901234567890123,1.10,1E5,-0,0.10000000000000001,9007199254740993]"
    raw = b'{"messages":[{"role":"user","content":"hi","n":' + digits + b"}]}"
    assert told(raw, "input") == b'{"input":[{"role":"user","content":"hi","n":' + digits + b"}]}"


def test_what_cannot_be_told_is_refused_by_its_index() -> None:
    raw = b'{"messages":[{"role":"user","content":"hi"},{"role":"user","content":[{"type":"input_audio"}]}]}'
    with pytest.raises(Refusal) as caught:
        told(raw, "input")
    assert (caught.value.code, caught.value.extra) == ("unsupported_content", {"index": 1})


MESSAGES = st.sampled_from(
    [
        [],
        [{"role": "user", "content": 'hé ]}"\\ \u2028'}],
        [{"role": "user", "content": [{"type": "text", "text": "a"}], "name": "b"}],
        [{"role": "assistant", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "21"}],
        [{"role": "user", "content": "hi", "seed": 12345678901234567890123, "deep": [{"messages": 1.5}]}],
    ]
)
PRINTED = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"separators": (",", ":"), "ensure_ascii": False}, {"indent": 1}]
)


@settings(max_examples=1000, deadline=None)
@given(documents(["a", '"messages"', "stream", "x,]}", "é"]), MESSAGES, PRINTED, st.integers(0, 4), st.data())
def test_a_body_told_there_and_back_differs_in_nothing_but_that_members_spelling(
    document: Document, messages: list[Any], printed: dict[str, Any], at: int, data: st.DataObject
) -> None:
    key, value = data.draw(spelled("messages")), json.dumps(messages, **printed).encode()

    def saying(key: bytes, value: bytes) -> bytes:
        member = ("", key, value)
        return document._replace(members=[*document.members[:at], member, *document.members[at:]]).raw

    raw = saying(key, value)
    there = translate(raw, orjson.loads(raw), "input")
    back = translate(there, orjson.loads(there), "messages")
    before, _, after = raw.partition(key + document.gap + b":" + document.gap + value)
    assert there.startswith(before + b'"input":')
    assert there.endswith(after)
    assert back.startswith(before + b'"messages":')
    assert back.endswith(after)
    assert json.loads(back[len(before) + len(b'"messages":') : len(back) - len(after)]) == messages


@settings(max_examples=1000, deadline=None)
@given(documents(["input", "messages", "x"]), VALUES, st.sampled_from(["input", "messages"]))
def test_any_body_is_told_or_refused_and_stays_valid(document: Document, value: bytes, to: Any) -> None:
    raw = document._replace(members=[*document.members, ("y", b'"y"', b"[" + value + b"]")]).raw
    changed = raw
    with suppress(Refusal):
        changed = translate(raw, orjson.loads(raw), to)
    assert orjson.loads(changed).keys() - {"input", "messages"} == orjson.loads(raw).keys() - {
        "input",
        "messages",
    }
    assert b"[" + value + b"]" in changed


# --- what a refusal asks for

VALIDATION = (
    "Invalid data for ResponsesAgentRequest: 1 validation error for ResponsesAgentRequest\ninput\n  …"
)


@pytest.mark.parametrize(
    ("status", "answer", "asked"),
    [
        (400, {"detail": f"Invalid parameters for ResponsesAgent: {VALIDATION}"}, ("input",)),
        (400, {"detail": VALIDATION}, ("input",)),
        (
            422,
            {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
            ("messages",),
        ),
        (422, {"detail": [{"type": "list_type", "loc": ["body", "input"], "input": "hi"}]}, ("input",)),
        (422, {"detail": [{"type": "missing", "loc": ["messages"]}]}, ("messages",)),
        (
            422,
            {
                "detail": [
                    {"type": "missing", "loc": ["body", "input"]},
                    {"type": "extra_forbidden", "loc": ["body", "messages"]},
                ]
            },
            ("input",),
        ),
        (400, {"error": "Invalid request", "details": {"input": ["Required"]}}, ("input",)),
        (400, {"errors": [{"path": ["messages"], "message": "Required"}]}, ("messages",)),
        (400, {"error": "messages is required"}, ("messages",)),
        (400, {"error": {"message": "Missing required parameter: 'input'.", "code": 400}}, ("input",)),
        (400, {"message": "`input` must be a list"}, ("input",)),
        (400, {"detail": "1 validation error for ChatRequest\nmessages\n  Field required"}, ("messages",)),
        (400, {"detail": "input is required", "errors": [{"loc": ["messages"]}]}, ("input", "messages")),
        (500, {"detail": "'messages'"}, ()),
        (500, {"detail": f"Invalid parameters for ResponsesAgent: {VALIDATION}"}, ()),
        (404, {"detail": [{"loc": ["body", "input"]}]}, ()),
        (400, {"detail": "Invalid JSON in request body: input"}, ()),
        (400, {"error": "content filter", "message": "The user said: messages is required"}, ()),
        (400, {"error": "The model's input is too long"}, ()),
        (422, {"detail": [{"type": "missing", "loc": ["body", "model"]}]}, ()),
        (422, {"detail": [{"type": "missing", "loc": ["body", "x", "input"]}]}, ()),
        (422, {"detail": ["input", 1, {"loc": "input"}]}, ()),
        (400, {"detail": 7, "error": None, "details": None}, ()),
        (400, [{"loc": ["body", "input"]}], ()),
        (400, None, ()),
    ],
)
def test_a_refusal_by_validation_names_the_field_that_it_wants(
    status: int, answer: Any, asked: tuple[str, ...]
) -> None:
    assert asked_for(status, answer) == asked
