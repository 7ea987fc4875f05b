"""JSON that is read and printed again means what it meant."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import ANYTHING

from policies.json_exact import dumps, loads

numbers = st.integers() | st.integers(-(1 << 90), 1 << 90) | st.floats(allow_nan=False, allow_infinity=False)
values = st.tuples(numbers, st.text(max_size=6) | ANYTHING).map(lambda pair: [pair[0], {"x": pair[1]}])


@settings(max_examples=1000, deadline=None)
@given(values)
def test_every_value_survives_however_large_its_numbers(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(json.dumps(value)) == value
    assert b"\n" not in dumps(value)


@pytest.mark.parametrize("levels", [10, 300, 900])
def test_depth_that_orjson_does_not_print_is_printed(levels: int) -> None:
    raw = b"[" * levels + b"]" * levels
    assert dumps(loads(raw)) == raw


def test_depth_beyond_reason_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        loads(b"[" * 100_000 + b"1234567890123456789" + b"]" * 100_000)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        dumps(deep)


@pytest.mark.parametrize("raw", ["", "{", "[DONE]", "'x'", b"\xff"])
def test_what_is_not_json_is_a_value_error(raw: str | bytes) -> None:
    with pytest.raises(ValueError):
        loads(raw)
