"""Whether a head has one reading. C1"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.framing import clear, known, length


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_chunked_alone_is_clear(coding: str) -> None:
    assert clear(coding, modern=True)


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
    assert not clear(coding, modern=True)


def test_f07_http_1_0_knows_no_coding() -> None:
    assert not clear("chunked", modern=False)


@pytest.mark.parametrize(("value", "size"), [("0", 0), ("14", 14), ("0014", 14), ("9" * 18, 10**18 - 1)])
def test_f04_a_length_is_digits(value: str, size: int) -> None:
    assert length(value) == size


@pytest.mark.parametrize(
    "value", ["", "+1", "-1", "1_0", "0x1", "1.0", "1 1", "1, 1", "\u0661", "\u00b2", "9" * 19]
)
def test_f02_f03_and_nothing_else(value: str) -> None:
    assert length(value) is None


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_a_websocket_is_a_protocol_that_is_known(upgrade: str) -> None:
    assert known(upgrade)


@pytest.mark.parametrize("upgrade", ["", "h2c", "tcp", "websocket, h2c", "websoc\u212aet"])
def test_f27_no_other_is(upgrade: str) -> None:
    assert not known(upgrade)


@settings(max_examples=1000)
@given(
    st.text(max_size=12) | st.sampled_from(["chun\u212aed", "chunked\u0130", "\uff43hunked"]), st.booleans()
)
def test_whatever_is_clear_is_that_word_in_ascii(coding: str, modern: bool) -> None:
    if clear(coding, modern=modern):
        assert modern
        assert coding.encode().lower() == b"chunked"


@settings(max_examples=1000)
@given(st.text(st.sampled_from("0123456789+-_., \u0661\u00b2"), max_size=20))
def test_a_length_reads_as_it_is_written(value: str) -> None:
    if (size := length(value)) is not None:
        assert value.lstrip("0") == (str(size) if size else "")
