"""Bytes of a stream told again for the plainest reader: the same for every cut, and what a reader of events tells."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.reframing import Reframing
from middleware.sse import DONE, LIMIT, Reader, frame, reframed
from policies.legible import Legible
from policies.refusal import Refusal

DELTA = frame({"type": "response.output_text.delta", "item_id": "m1", "delta": "hi é\u2028"})
ITEM = frame(
    {
        "type": "response.output_item.done",
        "item": {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "hi"}]},
    }
)
COMPLETED = (
    ITEM.replace(b"response.output_item.done", b"response.completed")
    .replace(b'"item":{', b'"response":{"output":[{')
    .replace(b"}}\n", b"}]}}\n")
)


def told(pieces: list[bytes], limit: int = LIMIT) -> tuple[bytes, str | None]:
    """All that is told, and how it broke."""
    reframing, said = Reframing(limit), b""
    try:
        for piece in pieces:
            said += reframing.feed(piece)
        return said + reframing.end(), None
    except Refusal as refusal:
        return said, refusal.code


def told_by_events(raw: bytes, limit: int = LIMIT) -> tuple[bytes, str | None]:
    """The same, event by event: what the quick way must equal."""
    reader, legible, said = Reader(limit), Legible(), b""
    try:
        for read in (lambda: reader.feed(raw), reader.end):
            for event in read():
                try:
                    missing = legible.missing(event.value())
                except ValueError:
                    missing = []
                said += b"".join(map(frame, missing)) + reframed(event)
    except Refusal as refusal:
        return said, refusal.code
    return said, None


def cut(raw: bytes, at: list[int]) -> list[bytes]:
    return [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("lead", [b"data: ", b"data:"])
def test_every_framing_becomes_the_plainest_however_it_is_cut(eol: bytes, lead: bytes) -> None:
    plain = DELTA * 3 + ITEM + DELTA + DONE
    raw = plain.replace(b"\n", eol).replace(b"data: ", lead)
    assert told([raw]) == told([raw[i : i + 1] for i in range(len(raw))]) == (plain, None)
    for at in range(len(raw)):
        assert told([raw[:at], b"", raw[at:]]) == (plain, None), at
    frames = raw.split(eol + eol)[:-1]
    assert told([one + eol + eol for one in frames]) == (plain, None)


def test_text_that_only_an_item_brought_is_told_as_a_delta_first_in_every_framing() -> None:
    for raw in (ITEM, COMPLETED):
        for eol in (b"\n", b"\r\n"):
            said, _ = told([DONE, raw.replace(b"\n", eol)])
            assert said.startswith(DONE + b'data: {"type":"response.output_text.delta"')
            assert said.endswith(raw)
            assert told([DELTA, raw.replace(b"\n", eol)]) == (DELTA + raw, None)


def test_a_delta_whose_text_cannot_be_told_alone_leaves_the_item_as_it_is() -> None:
    half = b'"text":"\\ud800","n":' + b"1" * 20  # read where an integer is long, and never written
    raw = ITEM.replace(b'"text":"hi"', half)
    assert told([DONE, raw, DONE]) == (DONE + raw + DONE, None)


def test_a_frame_larger_than_the_limit_is_refused_after_those_before_it() -> None:
    large = b"data: " + b"x" * (LIMIT + 1) + b"\n\n"
    assert told([DELTA, DELTA + large, DELTA]) == (DELTA * 2, "agent_too_large")
    assert told([DELTA, large]) == (DELTA, "agent_too_large")
    fits = b"data: " + b"x" * (LIMIT - 6) + b"\n\n"
    assert told([DELTA, fits]) == (DELTA + fits, None)


LONG = b'{"type": "response.output_text.delta", "item_id": "m1", "sequence_number": 12345678901234567890}'
RUN = [  # of one item, and what may come in between
    b'{"type":"response.output_text.delta","item_id":"m%d","delta":"%b"%b}' % (number, text, behind)
    for number in (1, 2)
    for text in (b"hi", b"so", rb"\"delta\": \"", b"\xff", "é".encode(), b"\\")
    for behind in (b"", b',"type":"response.output_item.done"', b',"item_id":"m2"')
]
said = [
    *(one[6:-2] for one in (DELTA, ITEM, COMPLETED, DONE)),
    *(LONG, b'{"a": \xff}', b"\xed\xa0\x80", b'"\\ud800"', b"[]", b"1", b" {}", b"", b"x" * 1100, b'{"type": []}'),
    b'{"type": "response.output_item.done", "item": {"type": "message", "content": "plain \\ud800"}}',
]  # fmt: skip
leads = [b"data: ", b"data:", b"data:  ", b"event: e\r\ndata: ", b"event: \xff\ndata:", b"id: 1\ndata:"]
leads += [b": c\n\ndata: ", b"\xef\xbb\xbfdata: "]
ends = [b"\n\n", b"\r\n\r\n", b"\r\r", b"\r\n\n", b"\n\r\n", b"\n\n\n", b"\n", b"\r\n", b"\r", b""]
likely = (leads + leads[:1] * 8, said + RUN, ends + ends[:2] * 4)
frames = st.builds(lambda *parts: b"".join(parts), *map(st.sampled_from, likely))
cuts = st.lists(st.integers(0, 1500), max_size=8).map(sorted)


@settings(max_examples=2000, deadline=None)
@given(st.lists(frames, max_size=8), cuts)
def test_what_is_told_is_what_a_reader_of_events_would_tell_for_every_cut(
    pieces: list[bytes], at: list[int]
) -> None:
    raw = b"".join(pieces)
    assert told(pieces) == told(cut(raw, at)) == told_by_events(raw)


@settings(max_examples=1000, deadline=None)
@given(st.lists(frames, max_size=6), st.integers(0, 200), cuts)
def test_the_bound_is_the_same_for_every_cut(pieces: list[bytes], limit: int, at: list[int]) -> None:
    raw = b"".join(pieces)
    assert told(pieces, limit) == told(cut(raw, at), limit) == told_by_events(raw, limit)


run = st.lists(
    st.sampled_from([*RUN, ITEM[6:-2], ITEM.replace(b"m1", b"m2")[6:-2], COMPLETED[6:-2]]), max_size=12
)


@settings(max_examples=2000, deadline=None)
@given(run, st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_deltas_one_after_the_other_are_followed_as_if_each_was_read(lines: list[bytes], end: bytes) -> None:
    for lead in (b"data: ", b"data:", b"event: e" + end[: len(end) // 2] + b"data: ", b"event:e\ndata:"):
        pieces = [lead + line + end for line in lines]
        assert told(pieces) == told_by_events(b"".join(pieces))


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(leads), st.sampled_from(RUN[::3]), st.sampled_from(ends[:6])), max_size=9
    )
)
def test_a_delta_that_is_framed_in_another_way_than_the_one_before_it_is_told_as_it_is_framed(
    parts: list[tuple[bytes, bytes, bytes]],
) -> None:
    pieces = [b"".join(part) for part in parts]
    assert told(pieces) == told_by_events(b"".join(pieces))
