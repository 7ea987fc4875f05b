"""Where frames begin and end, however they are cut. S20"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.frames import CLOSE, Frames, close, ping


def frame(payload: bytes, opcode: int = 1, mask: bytes = b"", *, final: bool = True) -> bytes:
    """A frame as RFC 6455 §5.2 has it, written down a second time."""
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 1 << 16:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | opcode]) + length + mask + payload


payloads = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([125, 126, 127, 65535, 65536]).map(bytes),
)
frames = st.builds(
    frame,
    payloads,
    st.sampled_from([0, 1, 2, 9, 10]),
    st.sampled_from([b"", b"\1\2\3\4"]),
    final=st.booleans(),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_frames_are_found_wherever_they_are_cut(sent: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    ends = {sum(map(len, sent[:count])) for count in range(len(sent) + 1)}
    reader = Frames()
    for begin, end in pairwise([0, *cuts, len(whole)]):
        began = reader.between
        belongs = reader.seen(whole[begin:end])
        assert reader.between is (end in ends)
        expected = 0 if began else min(one for one in ends if one > begin or (one == begin and one == end))
        assert belongs == min(expected - begin if not began else 0, end - begin)
    assert not reader.closed


def test_every_cut_of_a_frame_with_each_kind_of_length() -> None:
    for size in (0, 1, 125, 126, 65536):
        for mask in (b"", b"abcd"):
            whole = frame(bytes(size), 2, mask)
            for cut in range(1, min(len(whole), 40)):
                reader = Frames()
                reader.seen(whole[:cut])
                assert not reader.between
                assert reader.seen(whole[cut:] + b"\x81") == len(whole) - cut
                assert not reader.between
                reader.seen(b"\0")
                assert reader.between


@pytest.mark.parametrize("mask", [b"", b"\x9a\x00\x17\xff"])
def test_four_mebibytes_byte_ranges_at_a_time(mask: bytes) -> None:
    whole = frame(bytes(4 << 20), 2, mask) + frame(b"next", 1, mask)
    reader = Frames()
    for at in range(0, len(whole), 65_521):
        reader.seen(whole[at : at + 65_521])
    assert reader.between


def test_a_close_frame_is_noticed_and_a_payload_that_looks_like_one_is_not() -> None:
    reader = Frames()
    reader.seen(frame(close(1000)))
    assert not reader.closed
    reader.seen(frame(b"\x03\xe8", CLOSE, b"mask"))
    assert reader.closed


def test_our_own_frames_are_frames() -> None:
    assert close(1012) == b"\x88\x02\x03\xf4"
    assert close(1012, b"\1\2\3\4") == b"\x88\x82\1\2\3\4" + bytes([0x03 ^ 1, 0xF4 ^ 2])
    assert ping() == b"\x89\x00"
    assert ping(b"\1\2\3\4") == b"\x89\x80\1\2\3\4"
