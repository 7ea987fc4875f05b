"""When an agent is asked for a stream."""

import pytest

from policies.streaming import ask


@pytest.mark.parametrize(
    ("wanted", "permitted", "asked"),
    [
        (True, "auto", True),
        (True, "on", True),
        (True, "off", False),
        (False, "auto", False),
        (False, "on", False),
        (False, "off", False),
    ],
)
def test_a_stream_is_asked_for_where_it_is_wanted_and_permitted(
    wanted: bool, permitted: str, asked: bool
) -> None:
    assert ask(wanted, permitted) is asked
