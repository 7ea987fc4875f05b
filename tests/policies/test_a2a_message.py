"""A chat's question as an A2A message and back, versions by card and header, and which conversation it belongs to."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import among, scattered

from policies import a2a, a2a_parts
from policies.a2a import NEW, OLD
from policies.a2a_message import Place, chat, message, thread
from policies.jsonrpc import Wrong
from policies.refusal import Refusal

PNG = "data:image/png;base64,aGk="


def parts(content: Any, tongue: a2a.Tongue = OLD) -> Any:
    return message({"input": [{"role": "user", "content": content}]}, "m", Place(), tongue)["parts"]


def test_a_question_in_the_words_of_either_version() -> None:
    asked = {"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]}
    assert message(asked, "m", Place("c", "t"), OLD) == {
        "kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}],
        "contextId": "c", "taskId": "t",
    }  # fmt: skip
    assert message(asked, "m", Place(), NEW) == {
        "messageId": "m",
        "role": "ROLE_USER",
        "parts": [{"text": "hi"}],
    }


def test_only_the_last_turn_of_the_users_goes_out() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    told = message({"input": [*turns, {"type": "function_call", "name": "x"}]}, "m", Place(), NEW)
    assert told["parts"] == [{"text": "c"}]
    assert message({"input": "plain"}, "m", Place(), NEW)["parts"] == [{"text": "plain"}]


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        (
            {"type": "input_image", "image_url": PNG},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png"}},
            {"raw": "aGk=", "mediaType": "image/png"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a"}},
            {"kind": "file", "file": {"uri": "https://x.example/a", "mimeType": "image/*"}},
            {"url": "https://x.example/a", "mediaType": "image/*"},
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "text/plain", "name": "a.txt"}},
            {"raw": "aGk=", "mediaType": "text/plain", "filename": "a.txt"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "audio/wav"}},
            {"raw": "aGk=", "mediaType": "audio/wav"},
        ),
    ],
    ids=["image held", "image addressed", "file", "audio"],
)
def test_what_is_no_text_is_a_file(part: Any, old: Any, new: Any) -> None:
    assert parts([part]) == [old]
    assert parts([part], NEW) == [new]


@pytest.mark.parametrize(
    "body",
    [
        {"input": []},
        {"input": None},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"role": "user", "content": [{"type": "mystery"}]}]},
        {"input": [{"role": "user"}]},
    ],
)
def test_what_cannot_be_said_is_refused_with_its_place(body: Any) -> None:
    with pytest.raises(Refusal) as refused:
        message(body, "m", Place(), OLD)
    refusal = refused.value
    assert (refusal.status, refusal.code, refusal.sent) == (400, "unsupported_content", "none")
    assert "index" in refusal.extra


# --- from a caller's message -------------------------------------------------------------------------------


def said(*given: Any, role: str = "user", **more: Any) -> Any:
    return {"message": {"messageId": "m", "role": role, "parts": list(given), **more}}


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ([{"kind": "text", "text": "hi"}], "hi"),
        ([{"text": "hi"}], "hi"),
        (
            [{"text": "a"}, {"text": "b"}],
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        ),
        ([{"raw": "aGk=", "mediaType": "image/png"}], [{"type": "input_image", "image_url": PNG}]),
        (
            [{"kind": "file", "file": {"uri": "https://x.example/a", "name": "a", "mimeType": "text/plain"}}],
            [{"type": "input_file", "filename": "a", "file_url": "https://x.example/a"}],
        ),
        ([{"kind": "data", "data": {"n": 1}}], '{"n":1}'),
    ],
)
def test_a_callers_message_is_a_chat(given: list[Any], content: Any) -> None:
    assert chat(said(*given)).body == {"input": [{"role": "user", "content": content}]}
    assert chat(said(*given, role="ROLE_USER", contextId="c")).body["context"] == {"conversation_id": "c"}


@pytest.mark.parametrize(
    "params",
    [None, [], {}, {"message": "x"}, said(), said({}), said("x"), said({"text": "x"}, role="assistant")],
)
def test_a_message_that_is_none_is_32602(params: Any) -> None:
    with pytest.raises(Wrong) as wrong:
        chat(params)
    assert wrong.value.code == -32602


names = (
    "kind text file uri bytes raw url data message role parts type image_url input messages content context"
)
junk = scattered(among(), names.split())


@given(junk, st.sampled_from([OLD, NEW]))
@settings(max_examples=1000, deadline=None)
def test_whatever_comes_is_told_or_refused(value: Any, tongue: a2a.Tongue) -> None:
    for attempt in (
        lambda: chat(value),
        lambda: chat(said(value)),
        lambda: message(value if isinstance(value, dict) else {"input": value}, "m", Place(), tongue),
    ):
        with suppress(Refusal, Wrong):
            attempt()
    assert isinstance(a2a_parts.text(value), str)
    a2a_parts.files(value)


# --- versions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "tongue"),
    [("", OLD), ("0.2.6", OLD), ("0.3.0", OLD), ("1.0", NEW), ("1.0.2", NEW), ("latest", OLD)],
)
def test_a_card_says_how_its_agent_is_spoken_to(version: str, tongue: a2a.Tongue) -> None:
    assert a2a.of_card(version) is tongue


@pytest.mark.parametrize(
    ("value", "tongue"), [(None, OLD), ("", OLD), ("0.3", OLD), (" 1.0 ", NEW), ("0.2", OLD)]
)
def test_a_header_says_how_its_caller_speaks(value: str | None, tongue: a2a.Tongue) -> None:
    assert a2a.of_header(value) is tongue


@pytest.mark.parametrize("value", ["9", "9.9", "2.0", "one", "0.1", "1.7"])
def test_b09_a_version_that_nobody_speaks_is_32009(value: str) -> None:
    with pytest.raises(Wrong) as wrong:
        a2a.of_header(value)
    assert wrong.value.code == -32009


@pytest.mark.parametrize(
    "state", ["input-required", "TASK_STATE_INPUT_REQUIRED", {"state": "input_required"}]
)
def test_a_state_is_one_in_any_spelling(state: Any) -> None:
    assert a2a.state(state) == "input-required"


# --- conversations -----------------------------------------------------------------------------------------


def turns(*said: str) -> Any:
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]


def test_an_answer_and_the_question_behind_it_are_one_conversation_in_either_shape() -> None:
    kept = thread({"input": turns("a")}, "b")
    assert kept == thread({"messages": turns("a", "b", "c")})
    typed = [{"type": "output_text", "text": "b"}]
    assert kept == thread({"input": [*turns("a"), {"role": "assistant", "content": typed}, *turns("c")]})


def test_other_turns_are_another_conversation_and_a_first_question_none() -> None:
    assert thread({"input": turns("a")}) == b""
    assert thread({"input": turns("a", "b", "c")}) != thread({"input": turns("a", "x", "c")})


def test_a_caller_who_names_its_conversation_means_it() -> None:
    named = {"conversation_id": "one"}
    assert thread(named | {"input": "a"}, "b") == thread(named | {"input": "z"}) != b""
    assert thread({"context": named, "input": "a"}) == thread(named | {"input": "a"})
