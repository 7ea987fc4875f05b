"""What the list of middleware means, and which lists do not start."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.order import DEFAULT, REQUIRED, objections, order

BUILT_IN = "access contract streaming outbound retry credentials"


@pytest.mark.parametrize(
    ("asked", "without", "standing"),
    [
        ("default", "", BUILT_IN),
        ("redact default", "", f"redact {BUILT_IN}"),
        ("default audit", "credentials", "access contract streaming outbound retry audit"),
        (
            "access contract outbound sign default",
            "",
            "access contract outbound sign streaming retry credentials",
        ),
        ("retry default", "", "retry access contract streaming outbound credentials"),
        ("default", "streaming retry", "access contract outbound credentials"),
        (BUILT_IN, "", BUILT_IN),
        (f"{BUILT_IN} default", "", BUILT_IN),
        ("access contract outbound credentials", "", "access contract outbound credentials"),
        ("", "", ""),
    ],
)
def test_default_stands_for_the_members_not_named_elsewhere(asked: str, without: str, standing: str) -> None:
    assert order(asked.split(), without.split()) == tuple(standing.split())


@pytest.mark.parametrize(
    ("asked", "without", "said"),
    [
        ("default", "", []),
        ("redact default", "", []),
        ("default", "contract", []),
        ("access contract outbound", "credentials", []),
        ("access contract outbound sign retry credentials", "", []),
        ("contract outbound credentials", "", ["no 'access'"]),
        ("redact", "", ["no 'access'", "no 'contract'", "no 'outbound'", "no 'credentials'"]),
        ("", "", ["no 'access'", "no 'contract'", "no 'outbound'", "no 'credentials'"]),
        ("redact redact default", "", ["names 'redact' 2 times"]),
        ("default default default", "", ["names 'default' 3 times"]),
        ("default", "guard", ["SIDECAR_WITHOUT names 'guard'; it may name access, contract"]),
        ("access default", "access", ["gives up 'access', and SIDECAR_MIDDLEWARE names it"]),
        ("default spy", "", ["puts 'spy' behind `credentials`"]),
        ("access contract outbound credentials retry", "", []),
    ],
)
def test_a_list_that_would_be_unsafe_is_objected_to(asked: str, without: str, said: list[str]) -> None:
    sentences = objections(asked.split(), without.split())
    assert len(sentences) == len(said), sentences
    assert all(part in sentence for part, sentence in zip(said, sentences, strict=True))


@settings(max_examples=1000, deadline=None)
@given(
    others=st.lists(st.sampled_from([*DEFAULT, "redact", "sign", "quota"]), unique=True),
    place=st.integers(0, 9),
    without=st.sets(st.sampled_from(DEFAULT)),
)
def test_a_list_with_default_is_whole_and_keeps_its_order(
    others: list[str], place: int, without: set[str]
) -> None:
    asked = [*others[:place], "default", *others[place:]]
    standing = order(asked, sorted(without))
    assert len(set(standing)) == len(standing)
    assert set(standing) == set(others) | (set(DEFAULT) - without)
    assert [name for name in standing if name in others] == others
    assert [name for name in standing if name not in others] == [
        name for name in DEFAULT if name in standing and name not in others
    ]


@settings(max_examples=1000, deadline=None)
@given(
    asked=st.lists(st.sampled_from([*DEFAULT, "default", "redact"]), max_size=9),
    without=st.lists(st.sampled_from([*DEFAULT, "nonsense"]), max_size=3),
)
def test_a_list_without_objections_holds_what_is_required_or_was_given_up(
    asked: list[str], without: list[str]
) -> None:
    if not objections(asked, without):
        assert set(REQUIRED) <= set(order(asked, without)) | set(without)
