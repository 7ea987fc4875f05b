"""Text that came in finished items alone, for readers of deltas."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import ANYTHING

from policies.legible import Legible


def delta(text: str, ident: str = "m1") -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": ident, "delta": text}


def item(text: str, ident: str = "m1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "response.output_item.done", "item": {"type": "message", "id": ident, "content": content}}


def completed(*texts: str) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"output": [item(text)["item"] for text in texts]}}


CALL = {"type": "response.output_item.done", "item": {"type": "function_call", "id": "f1", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ([delta("a"), item("a")], []),
        ([item("a")], ["a"]),
        ([CALL, item("a")], ["a"]),
        ([delta("a"), item("a"), item("b", "m2")], ["b"]),
        ([delta("a", "x"), item("a", "y")], []),
        ([delta("a"), delta("b", "m2"), item("a"), item("b", "m2")], []),
        ([completed("a", "b")], ["a", "b"]),
        ([item("a"), completed("a")], ["a"]),
        ([delta("a"), completed("a")], []),
        ([CALL, completed()], []),
        ([{"choices": [{"delta": {"content": "a"}}]}], []),
    ],
)
def test_what_no_delta_brought_is_told_as_one(events: list[Any], missing: list[str]) -> None:
    legible = Legible()
    assert [said["delta"] for event in events for said in legible.missing(event)] == missing


@settings(max_examples=1000, deadline=None)
@given(st.lists(ANYTHING, max_size=3))
def test_any_events_at_all_can_be_followed(values: list[Any]) -> None:
    legible = Legible()
    for value in values:
        assert all(said["type"].endswith(".delta") for said in legible.missing(value))
