"""The words that direct a stand-in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.sim.script import WORDS, Scene, scene, spoken


def test_ordinary_words_direct_nothing():
    assert scene("Hello! What is the weather in Zürich?") == Scene()


@pytest.mark.parametrize("word", WORDS)
def test_each_word_directs_something_and_sets_only_what_a_scene_has(word):
    played = scene(f"Please {word.upper()}, thanks.")
    assert played != Scene()
    assert {name: getattr(played, name) for name in WORDS[word].sets} == dict(WORDS[word].sets)


@pytest.mark.parametrize("word", [word for word, known in WORDS.items() if known.number])
def test_a_number_behind_a_word_is_taken(word):
    assert getattr(scene(f"{word} 2.5"), WORDS[word].number) == 2.5


@pytest.mark.parametrize("spelled", ["fail mid-stream", "fail midstream", "Fail mid stream"])
def test_the_longest_word_counts_in_each_spelling(spelled):
    assert scene(spelled).after == 2


def test_later_texts_overrule_earlier_ones():
    assert scene("drip 1 slow 2", "", "drip 3") == Scene(gap=3, delay=2)


def test_the_table_for_people_has_every_word_and_shows_where_a_number_goes():
    rows = {row["say"]: row["does"] for row in spoken()}
    assert len(rows) == len(WORDS)
    assert rows["slow N"].startswith("waits N seconds")
    assert all(rows.values())


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "hello", "5", "0.1", "…"])).map(" ".join))
def test_any_mixture_of_words_is_a_scene(text):
    assert scene(text) == scene(text.upper(), "")
