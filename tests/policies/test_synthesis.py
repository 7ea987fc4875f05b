"""A whole answer told as a stream: S13 and S14, against the files in tests/golden/told."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import ANYTHING, OBJECTS

from middleware.sse import DONE, Reader, frame
from policies.collection import Collected
from policies.json_exact import loads
from policies.synthesis import deltas, says_nothing, told

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "told").glob("*.json"))
ANSWERS = {path.stem: loads(path.read_bytes()) for path in GOLDEN}
RESPONSES = [name for name, value in ANSWERS.items() if "output" in value]
CHATS = [name for name, value in ANSWERS.items() if "choices" in value]


def events(name: str) -> list[dict[str, Any]]:
    return told(ANSWERS[name], "r1", 1763626501)


def hook(raw: bytes) -> str:
    """The recipe's reader: what it shows of a stream."""
    shown = ""
    for block in raw.decode().split("\n\n"):
        line = next((line for line in block.split("\n") if line.startswith("data: ")), None)
        if line is None or line == "data: [DONE]":
            continue
        value = loads(line.removeprefix("data: "))
        if value.get("type") == "response.output_text.delta":
            shown += value["delta"]
        elif value.get("choices"):
            shown += value["choices"][0]["delta"].get("content") or ""
    return shown


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_s13_an_answer_is_told_byte_for_byte_as_agreed(golden: Path) -> None:
    frames = b"".join([*map(frame, events(golden.stem)), DONE])
    assert frames.decode() == golden.with_suffix(".sse").read_text("utf-8")


@pytest.mark.parametrize("name", RESPONSES)
def test_s13_the_last_event_carries_the_whole_answer(name: str) -> None:
    last = events(name)[-1]
    answer = ANSWERS[name]
    assert last["type"] == ("response.incomplete" if name == "incomplete" else "response.completed")
    assert {key: last["response"][key] for key in answer if key != "output"} == {
        key: part for key, part in answer.items() if key != "output"
    }
    finished = [event["item"] for event in events(name) if event["type"] == "response.output_item.done"]
    assert last["response"]["output"] == finished
    assert len(finished) == len(answer["output"])
    for item, given_ in zip(finished, answer["output"], strict=True):
        kept = {key: part for key, part in given_.items() if not isinstance(part, str) or key != "content"}
        assert {key: item[key] for key in kept} == kept


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("text", "Grüezi.\nHow can I help?"),
        ("tool-calls", "It is 21 °C in Zürich."),
        ("reasoning", "Hello."),
        ("annotations", "See the manual."),
        ("outputs", "One.Two, in parts."),
        ("without-ids", "Plain text.No type."),
        ("empty", ""),
        ("chat", "Hello."),
        ("chat-tool-calls", ""),
        ("chat-choices", "A"),
    ],
)
def test_s13_the_recipes_hook_shows_the_text_once(name: str, text: str) -> None:
    assert hook(b"".join([*map(frame, events(name)), DONE])).startswith(text)
    assert len(hook(b"".join(map(frame, events(name))))) <= len(text) + len("BC")


@pytest.mark.parametrize("name", RESPONSES)
def test_s13_every_event_knows_its_item_and_every_item_begins_and_ends_once(name: str) -> None:
    begun: list[str] = []
    for event in events(name)[1:-1]:
        if event["type"] == "response.output_item.added":
            begun.append(event["item"]["id"])
        else:
            assert event.get("item_id", event.get("item", {}).get("id")) == begun[-1]
    assert len(set(begun)) == len(begun) == len(ANSWERS[name]["output"])


def test_s14_a_chat_completion_is_told_in_chunks_of_its_own_tongue() -> None:
    first, end = events("chat")
    assert first["object"] == end["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "Hello."}
    assert first["choices"][0]["finish_reason"] is None
    assert end["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert end["usage"] == ANSWERS["chat"]["usage"]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in ("error", "stranger")])
def test_what_was_told_folds_back_into_the_answer(name: str) -> None:
    collected = Collected()
    for event in events(name):
        collected.add(event)
    collected.done()
    folded, answer = collected.value(), ANSWERS[name]
    assert set(folded) >= set(answer)
    for key in set(answer) - {"output", "choices"}:
        assert folded[key] == answer[key]
    text = lambda value: "".join(delta["delta"] for item in value["output"] for delta in deltas(item))  # noqa: E731
    if "output" in answer and name != "without-ids":
        assert text(folded) == text(answer)
    if name in ("chat", "chat-tool-calls"):
        assert [choice["message"] for choice in folded["choices"]] == [
            c["message"] for c in answer["choices"]
        ]


@pytest.mark.parametrize(
    ("value", "nothing"),
    [
        ({"output": []}, True),
        ({"output": [{"type": "message", "content": []}]}, True),
        ({"output": [{"type": "message", "content": [{"type": "output_text", "text": ""}]}]}, True),
        ({"output": [{"type": "message", "content": "x"}]}, False),
        ({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}, False),
        ({"output": [{"type": "function_call"}]}, False),
        ({"choices": [{"message": {"content": ""}}]}, True),
        ({"choices": [{"message": {"content": None, "tool_calls": [{}]}}]}, False),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "x"}]}}]}, False),
        ({"answer": "42"}, True),
        ({"error": "boom"}, True),
        (["x"], True),
        (None, True),
    ],
)
def test_an_answer_without_output_says_nothing(value: Any, nothing: bool) -> None:
    assert says_nothing(value) is nothing


@settings(max_examples=1000, deadline=None)
@given(OBJECTS | ANYTHING)
def test_any_json_at_all_can_be_told_and_ends_as_a_stream_should(value: Any) -> None:
    said = told(value, "r1")
    assert said
    raw = b"".join([*map(frame, said), DONE])
    assert [event.value() for event in Reader().feed(raw)[:-1]] == said
    assert says_nothing(value) in (True, False)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), max_size=4))
def test_every_text_of_an_answer_is_told_exactly_once(texts: list[tuple[str, str]]) -> None:
    output = [
        {"type": "message", "content": [{"type": "output_text", "text": text} for text in pair]}
        for pair in texts
    ]
    said = [
        event["delta"] for event in told({"output": output}, "r1") if event["type"].endswith("text.delta")
    ]
    assert said == [text for pair in texts for text in pair if text]
