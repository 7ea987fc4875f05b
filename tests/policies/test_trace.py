"""A caller's trace goes on, or a new one starts."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.trace import continued_or_new, usual

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NEW, SPAN = "a" * 32, "b" * 16
RANDOM = NEW + SPAN


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_valid_trace_goes_on_with_a_span_of_ours_sampled_as_it_was(flags: str) -> None:
    """O04"""
    trace = continued_or_new(f"00-{TRACE}-{PARENT}-{flags}", "vendor=1", RANDOM)
    assert trace == (f"00-{TRACE}-{SPAN}-{flags}", "vendor=1")


@pytest.mark.parametrize(("given_flags", "kept"), [("03", "01"), ("fe", "00"), ("ff", "01")])
def test_flags_that_we_do_not_know_are_not_promised_on(given_flags: str, kept: str) -> None:
    assert continued_or_new(f"00-{TRACE}-{PARENT}-{given_flags}", None, RANDOM)[0].endswith(f"-{kept}")


@pytest.mark.parametrize(
    "traceparent", [f"cc-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-comes-later"]
)
def test_a_later_version_goes_on_as_ours(traceparent: str) -> None:
    assert continued_or_new(traceparent, None, RANDOM)[0] == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "garbage",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
    ],
)
def test_without_a_valid_one_a_new_trace_starts_and_no_state_is_handed_on(traceparent: str | None) -> None:
    """O04"""
    assert continued_or_new(traceparent, "vendor=1", RANDOM) == (f"00-{NEW}-{SPAN}-01", None)


@pytest.mark.parametrize(
    ("tracestate", "kept"),
    [
        ("a=1,b=2", "a=1,b=2"),
        ("x=" + "1" * 510, "x=" + "1" * 510),
        ("x=" + "1" * 598, None),
        ("x=é", None),
        ("x=\r\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_state_is_handed_on_unless_it_is_too_long_or_no_text(
    tracestate: str | None, kept: str | None
) -> None:
    """O04"""
    assert continued_or_new(f"00-{TRACE}-{PARENT}-01", tracestate, RANDOM)[1] == kept


def hexes(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


@settings(max_examples=1000, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{}-{}-{}-{}{}".format, hexes(1), hexes(16), hexes(8), hexes(1), st.sampled_from(["", "-x"])
        ),
    ),
    st.text(max_size=20),
)
def test_what_goes_out_is_always_a_valid_trace_that_continues_ours(traceparent: str, tracestate: str) -> None:
    told, _ = continued_or_new(traceparent, tracestate, RANDOM)
    trace_id = told[3:35]
    assert re.fullmatch(rf"00-{trace_id}-{SPAN}-0[01]", told)
    assert trace_id == NEW or trace_id in traceparent


USUAL = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@settings(max_examples=1000, deadline=None)
@given(
    st.text(st.sampled_from("0af-"), min_size=52, max_size=52).map("00-".__add__)
    | st.builds(
        "00-{}-{}-{}".format,
        hexes(16) | st.just("0" * 32),
        hexes(8) | st.just("0" * 16),
        hexes(1) | st.text(st.sampled_from("0aAg-\n\u0660"), min_size=2, max_size=2),
    )
)
def test_what_is_usual_is_known_without_a_pattern_and_no_other(traceparent: str) -> None:
    assert usual(traceparent) == bool(USUAL.fullmatch(traceparent))
