"""Where members stand, whatever whitespace, escapes and nesting surround them."""

import pytest
from hypothesis import given, settings
from json_documents import Document, documents

from policies.json_spans import has_more_than, members


@settings(max_examples=1000, deadline=None)
@given(documents())
def test_every_member_is_found_where_it_stands(document: Document) -> None:
    raw = document.raw
    found = [(member.key, raw[member.value : member.end]) for member in members(raw)]
    assert found == [(key, value) for key, _, value in document.members]
    for member, (_, key, _) in zip(members(raw), document.members, strict=True):
        assert raw[member.start :].startswith(key)


@pytest.mark.parametrize(
    ("raw", "limit", "more"),
    [
        (b'{"a":1,"b":{"c":2}}', 3, False),
        (b'{"a":1,"b":{"c":2}}', 2, True),
        (b'{"a":"b:c:d:e"}', 1, False),
        (b'{"a":"\\"b\\":\\\\"}', 1, False),
        (b'{"a":"\\\\","b":":"}', 1, True),
        (b"[[],[],[]]", 4, False),
        (b"[[],[],[]]", 3, True),
        (b"[{},{},{}]", 3, True),
        (b'["[[[[", "{{{{"]', 1, False),
        (b'"never closed ::::', 0, False),
        (b"", 0, False),
    ],
)
def test_members_and_containers_are_counted_and_what_strings_hold_is_not(
    raw: bytes, limit: int, more: bool
) -> None:
    assert has_more_than(raw, limit) is more


def test_counting_takes_time_in_proportion_to_the_text_even_where_a_string_never_ends() -> None:
    """A million marks behind an open quotation mark: they are read once, not once for each of them."""
    assert not has_more_than(b'{"' + b":" * 1_000_000, 100_000)


def test_a_text_that_ends_inside_of_a_value_is_no_object() -> None:
    with pytest.raises(ValueError, match="ends inside"):
        list(members(b'{"a":[1,{"b":2}'))
