"""Whether a head has one reading. C1"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.framing import clear, known


@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
def test_a_request_without_a_coding_is_clear(version: tuple[int, int]) -> None:
    assert clear(None, version)


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_chunked_alone_is_clear(coding: str) -> None:
    assert clear(coding, (1, 1))


@pytest.mark.parametrize(
    "coding",
    [
        "",
        "identity",
        "gzip",
        "xchunked",
        ",chunked",
        "chunked,",
        "gzip, chunked",
        "chunked, chunked",
        "chunked;q=1",
    ],
)
def test_f05_f06_any_other_coding_is_not(coding: str) -> None:
    assert not clear(coding, (1, 1))


def test_f07_http_1_0_knows_no_coding() -> None:
    assert not clear("chunked", (1, 0))


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (9, 9)])
@pytest.mark.parametrize("coding", [None, "chunked"])
def test_f18_no_other_version_is_clear(version: tuple[int, int], coding: str | None) -> None:
    assert not clear(coding, version)


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_a_websocket_is_a_protocol_that_is_known(upgrade: str) -> None:
    assert known(upgrade)


@pytest.mark.parametrize("upgrade", ["", "h2c", "tcp", "websocket, h2c", "websoc\u212aet"])
def test_f27_no_other_is(upgrade: str) -> None:
    assert not known(upgrade)


@settings(max_examples=1000)
@given(
    st.text(max_size=12) | st.sampled_from(["chun\u212aed", "chunked\u0130", "\uff43hunked"]),
    st.tuples(*[st.integers(0, 3)] * 2),
)
def test_whatever_is_clear_is_that_word_in_ascii(coding: str, version: tuple[int, int]) -> None:
    if clear(coding, version):
        assert (coding.encode().lower(), version) == (b"chunked", (1, 1))
