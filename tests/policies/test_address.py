"""Our own address is what was set, what the platform says, or what was checked: never what anybody sends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.address import is_host, ours

BOUND = "http://127.0.0.1:8000"


def test_each_source_in_its_turn_H13() -> None:
    known = {"public": "https://p.example.org", "forwarded": "f.example.org", "host": "localhost:8000"}
    assert ours("front", bound=BOUND, **known) == "https://p.example.org"
    assert ours("front", bound=BOUND, **known | {"public": None}) == "https://f.example.org"
    assert ours("front", bound=BOUND, host="localhost:8000") == "http://localhost:8000"
    assert ours("front", bound=BOUND) == BOUND


def test_what_the_proxy_says_is_the_fronts_and_not_the_egress_doors_H13() -> None:
    known = {"forwarded": "f.example.org"}
    assert ours("egress", bound=BOUND, **known, host="localhost:9800") == "http://localhost:9800"
    assert ours("egress", bound=BOUND, **known) == BOUND


@pytest.mark.parametrize(
    "text", ["a.example.org", "a.example.org:443", "127.0.0.1:1", "[::1]:8000", "localhost."]
)
def test_a_host_is_one(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text", ["", None, "a/b", "a?b", "a#b", "u@a", "a b", "a,b", "a:", "a:123456", "[::1", "a\r\nb", "é"]
)
def test_what_could_lead_elsewhere_is_none(text: str | None) -> None:
    assert not is_host(text)


@settings(max_examples=1000, deadline=None)
@given(st.text(), st.text(), st.sampled_from(["front", "egress"]))
def test_whatever_is_sent_an_address_has_one_scheme_and_one_host(
    forwarded: str, host: str, door: str
) -> None:
    found = ours(door, bound=BOUND, forwarded=forwarded, host=host)  # type: ignore[arg-type]
    scheme, _, place = found.partition("://")
    assert scheme in ("http", "https")
    assert is_host(place)
