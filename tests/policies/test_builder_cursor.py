"""Which events of a run are news, whatever stamps they have and however often they come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.builder_cursor import OVERLAP, Cursor, pause
from policies.refusal import Refusal


def event(stamp: float, text: str = "a") -> dict[str, object]:
    return {"type": "text_delta", "text": text, "_cursor": stamp}


def test_the_next_window_is_asked_for_from_before_the_last_event() -> None:
    cursor = Cursor()
    assert cursor.ask() is None
    assert cursor.fresh(event(100.0))
    assert cursor.fresh(event(107.5))
    assert cursor.ask() == 107.5 - OVERLAP


def test_what_comes_once_more_is_no_news_as_often_as_it_was_heard() -> None:
    cursor = Cursor()
    assert [cursor.fresh(event(100.0)) for _ in range(2)] == [True, True], "twice in one window is twice"
    cursor.ask()
    assert [cursor.fresh(event(100.0)) for _ in range(3)] == [False, False, True]


def test_signs_of_life_move_the_cursor_and_are_none_of_the_runs_events() -> None:
    cursor = Cursor()
    assert cursor.fresh({"type": "keepalive", "_cursor": 50.0})
    assert (cursor.ask(), cursor.told) == (50.0 - OVERLAP, 0)
    assert cursor.fresh(event(51.0))
    assert cursor.told == 1


def test_a_clock_that_is_set_back_is_followed() -> None:
    cursor = Cursor()
    for stamp in (100.0, 99.4):
        assert cursor.fresh(event(stamp))
    assert cursor.ask() == 99.4 - OVERLAP
    assert not cursor.fresh(event(100.0))


def test_without_stamps_the_window_itself_says_where_the_next_begins() -> None:
    cursor = Cursor()
    assert cursor.fresh({"type": "text_delta", "text": "a"})
    cursor.moved(12.5)
    assert cursor.ask() == 12.5
    assert cursor.fresh({"type": "text_delta", "text": "a"}), "behind that, the same words are news"


def test_where_events_have_stamps_the_window_is_not_believed() -> None:
    cursor = Cursor()
    cursor.fresh(event(10.0))
    cursor.moved(99.0)
    assert cursor.ask() == 10.0 - OVERLAP


def test_what_is_not_known_again_is_not_asked_for_again() -> None:
    cursor = Cursor(kept=2)
    for stamp in (10.0, 10.2, 10.4, 10.6):
        cursor.fresh(event(stamp))
    assert cursor.ask() == 10.2


@pytest.mark.parametrize("stamp", [None, "later", True, [1]])
def test_a_stamp_that_is_no_number_is_none(stamp: object) -> None:
    cursor = Cursor()
    cursor.moved(stamp)
    assert cursor.fresh({"type": "text", "_cursor": stamp})
    assert cursor.ask() is None


def test_an_event_that_is_nested_too_deeply_is_refused_and_breaks_nothing() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Refusal) as refused:
        Cursor().fresh({"type": "tool_use", "tool_input": deep})
    assert refused.value.code == "agent_protocol_error"


def test_lost_windows_are_asked_for_again_ever_later() -> None:
    assert [pause(tries) for tries in range(1, 7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.4, 2.0, -0.1]), st.sampled_from("ab")), max_size=16),
    st.lists(st.integers(0, 16), max_size=5),
)
def test_whatever_is_replayed_each_event_is_news_once_and_in_order(
    steps: list[tuple[float, str]], cuts: list[int]
) -> None:
    """The server brings all whose stamp is greater than what was asked for; each window is cut somewhere."""
    stamp, stored = 1000.0, []
    for step, text in steps:
        stamp += max(step, 999.5 + 0.01 * len(stored) - stamp)  # set back by little, and not again and again
        stored.append(event(stamp, text))
    cursor, heard = Cursor(), []
    for cut in [*cuts, 1000]:
        after = cursor.ask()
        window = [one for one in stored if after is None or float(str(one["_cursor"])) > after]
        heard += [one for one in window[:cut] if cursor.fresh(one)]
    assert heard == stored
