"""Parts of a message's content, told both ways."""

from typing import Any

import pytest

from policies.parts import Unsayable, as_chat, as_items

BOTH_WAYS = [
    ("user", {"type": "text", "text": "hi"}, {"type": "input_text", "text": "hi"}),
    ("system", {"type": "text", "text": ""}, {"type": "input_text", "text": ""}),
    ("tool", {"type": "text", "text": "21 °C"}, {"type": "input_text", "text": "21 °C"}),
    ("assistant", {"type": "text", "text": "hi"}, {"type": "output_text", "text": "hi"}),
    (
        "assistant",
        {"type": "text", "text": "hi", "annotations": [{"type": "url_citation"}]},
        {"type": "output_text", "text": "hi", "annotations": [{"type": "url_citation"}]},
    ),
    (
        "user",
        {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
        {"type": "input_text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    ),
    ("assistant", {"type": "refusal", "refusal": "no"}, {"type": "refusal", "refusal": "no"}),
    (
        "user",
        {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
        {"type": "input_image", "image_url": "https://a/b.png"},
    ),
    (
        "user",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}, "x": 1},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low", "x": 1},
    ),
    ("user", {"type": "file", "file": {"file_id": "f1"}}, {"type": "input_file", "file_id": "f1"}),
    (
        "user",
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
    ),
]


@pytest.mark.parametrize(("role", "chat", "item"), BOTH_WAYS)
def test_a_part_with_a_counterpart_is_told_both_ways(
    role: str, chat: dict[str, Any], item: dict[str, Any]
) -> None:
    assert as_items([chat], role) == [item]
    assert as_chat([item], role) == [chat]


def test_a_string_is_a_string_in_both_shapes_and_null_is_an_empty_one() -> None:
    for told in (as_items, as_chat):
        assert told("hi", "user") == "hi"
        assert told(None, "assistant") == ""
        assert told([], "user") == []


def test_an_image_whose_url_stands_alone_is_understood() -> None:
    assert as_items([{"type": "image_url", "image_url": "https://a/b.png"}], "user") == [
        {"type": "input_image", "image_url": "https://a/b.png"}
    ]


def test_what_a_chat_keeps_inside_of_the_image_stands_beside_it_in_an_item() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://a/b", "format": "image/png"}}
    assert as_items([part], "user") == [
        {"type": "input_image", "image_url": "https://a/b", "format": "image/png"}
    ]


def test_fields_of_an_item_that_are_null_say_nothing() -> None:
    part = {"type": "input_image", "image_url": "https://a/b", "file_id": None, "detail": None}
    assert as_chat([part], "user") == [{"type": "image_url", "image_url": {"url": "https://a/b"}}]


@pytest.mark.parametrize(
    ("told", "role", "content", "cause"),
    [
        (as_items, "user", [{"type": "input_audio", "input_audio": {}}], "'input_audio'"),
        (as_items, "user", [{"type": "refusal", "refusal": "no"}], "'refusal'"),
        (as_items, "user", [{"type": "image_url"}], "'image_url'"),
        (as_items, "user", [{"type": "image_url", "image_url": {"detail": "low"}}], "'image_url'"),
        (as_items, "user", [{"type": "file", "file": {"filename": "a.pdf"}}], "'file'"),
        (as_items, "user", [{"type": "text"}], "'text'"),
        (as_items, "user", [{"type": 1}], "without a type"),
        (as_items, "user", [{}], "without a type"),
        (as_items, "user", ["hi"], "without a type"),
        (as_items, "user", {"text": "hi"}, "neither a string nor a list"),
        (as_items, "user", 1, "neither a string nor a list"),
        (as_chat, "user", [{"type": "refusal", "refusal": "no"}], "'refusal'"),
        (as_chat, "user", [{"type": "input_image", "file_id": "f1"}], "`file_id`"),
        (as_chat, "user", [{"type": "input_image", "image_url": None}], "without image_url"),
        (as_chat, "user", [{"type": "input_file", "file_url": "https://a/b"}], "`file_url`"),
        (as_chat, "user", [{"type": "input_file", "filename": "a"}], "without file_data or file_id"),
        (as_chat, "user", [{"type": "x" * 100}], "'" + "x" * 40 + "'"),
        (as_chat, "user", [None], "without a type"),
    ],
)
def test_a_part_without_a_counterpart_is_named(told: Any, role: str, content: Any, cause: str) -> None:
    with pytest.raises(Unsayable, match=cause):
        told(content, role)
