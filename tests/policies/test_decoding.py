"""Bodies out of their Content-Encoding: P07."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decoding import LIMIT, decoded, is_plain
from policies.refusal import Refusal

BARE = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": gzip.compress(b"hello", mtime=0),
    "x-gzip": gzip.compress(b"hello", mtime=0),
    "GZIP ": gzip.compress(b"hello", mtime=0),
    "deflate": zlib.compress(b"hello"),
    "none": b"hello",
    "identity": b"hello",
    "": b"hello",
}


@pytest.mark.parametrize(("coding", "raw"), CODED.items())
def test_a_body_is_read_in_the_coding_that_it_names(coding: str, raw: bytes) -> None:
    assert decoded(raw, coding) == b"hello"


def test_bare_deflate_goes_by_the_same_name() -> None:
    assert decoded(BARE.compress(b"hello") + BARE.flush(), "deflate") == b"hello"


def test_none_is_no_coding() -> None:
    assert is_plain("none")
    assert is_plain("Identity")
    assert not is_plain("gzip")


def test_p07_a_bomb_is_stopped_at_eight_mebibytes() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    with pytest.raises(Refusal) as refused:
        decoded(bomb, "gzip")
    assert (refused.value.status, refused.value.code) == (502, "agent_too_large")


def test_p07_the_bound_itself_is_allowed() -> None:
    assert len(decoded(gzip.compress(bytes(LIMIT)), "gzip")) == LIMIT


@pytest.mark.parametrize(
    ("raw", "coding", "code"),
    [
        (b"plain", "gzip", "agent_protocol_error"),
        (b"plain", "br", "agent_protocol_error"),
        (gzip.compress(b"hello", mtime=0)[:-4], "gzip", "agent_broke_off"),
        (b"", "gzip", "agent_broke_off"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(raw: bytes, coding: str, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        decoded(raw, coding)


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["gzip", "deflate", "br", "none"]))
def test_any_bytes_are_decoded_within_the_bound_or_refused(raw: bytes, coding: str) -> None:
    with contextlib.suppress(Refusal):
        assert len(decoded(raw, coding, limit=1000)) <= 1000
