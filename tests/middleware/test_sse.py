"""One reader for every framing: S03, and the reader's bound of S04."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.sse import (
    DONE,
    KEEPALIVE,
    LIMIT,
    Event,
    Reader,
    error_frame,
    first_frame_end,
    frame,
    line_end,
    readable_by_hook,
    reframed,
)
from policies.refusal import Refusal

FOREIGN = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"  # where str.splitlines would split

CORPUS = {
    "LF": (b"data: a\n\ndata: b\n\n", [Event("a"), Event("b")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("a"), Event("b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [Event("a"), Event("b")]),
    "all three": (b"data: a\r\n\rdata: b\n\r\ndata: c\r\r\n", [Event("a"), Event("b"), Event("c")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: lost\n\n", [Event("a")]),
    "no space": (b"data:a\n\ndata:  b\n\n", [Event("a"), Event(" b")]),
    "many lines": (b"data: a\ndata:\ndata: b\n\n", [Event("a\n\nb")]),
    "many lines with CRLF": (b"data: a\r\ndata: b\r\nid: 1\r\n\r\n", [Event("a\nb", None, "1")]),
    "empty data": (b"data\n\ndata:\n\n", [Event(""), Event("")]),
    "comments": (b": ping\n\n:\ndata: a\n: in between\n\n", [Event("a")]),
    "names and ids": (b"id: 1\nevent: x\ndata: a\n\ndata: b\n\n", [Event("a", "x", "1"), Event("b")]),
    "an id with NUL": (b"id: a\0b\ndata: a\n\n", [Event("a")]),
    "an empty id": (b"id\ndata: a\n\n", [Event("a", None, "")]),
    "retry": (b"retry: 5\n\nretry: x\ndata: a\n\n", [Event("a")]),
    "strangers": (b"foo: bar\n data: no\ndata : no\nDATA: no\ndata: a\n\n", [Event("a")]),
    "a name without data": (b"event: x\n\ndata: a\n\n", [Event("a")]),
    "no blank line at the end": (b"data: a\n\ndata: b\ndata: c", [Event("a"), Event("b\nc")]),
    "no line ends": (b"data: a", [Event("a")]),
    "colons": (b"data: a: b\n\ndata::\n\n", [Event("a: b"), Event(":")]),
    "unicode": ("data: é漢字😀\n\n".encode(), [Event("é漢字😀")]),
    "no line ends of other people": (f"data: {FOREIGN}\n\n".encode(), [Event(FOREIGN)]),
    "broken unicode": (b"data: a\xff\xe6b\n\n", [Event("a\ufffd\ufffdb")]),
    "nothing": (b"", []),
    "blank lines": (b"\n\r\n\r\n\n\r\r", []),
}  # fmt: skip


def read(*chunks: bytes, limit: int = LIMIT) -> list[Event]:
    reader = Reader(limit)
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.end()


@pytest.mark.parametrize(("raw", "events"), CORPUS.values(), ids=CORPUS)
def test_s03_every_framing_reads_the_same_however_it_is_cut(raw: bytes, events: list[Event]) -> None:
    assert read(raw) == events
    assert read(*(raw[i : i + 1] for i in range(len(raw)))) == events
    for at in range(len(raw)):
        assert read(raw[:at], b"", raw[at:]) == events, at


alphabet = [
    b"data: ",
    b"data:",
    b"data",
    b"event: e",
    b"id: 1",
    b"retry: 1",
    b": c",
    b":",
    b" ",
    b"x",
    b"[DONE]",
]
ends = [b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r"]
others = [b"\xef\xbb\xbf", "é漢😀\u2028\x85".encode(), b"\xff", b"\0"]
raws = st.lists(st.sampled_from(alphabet + ends * 2 + others), max_size=30).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(raws, st.lists(st.integers(0, 120), max_size=8).map(sorted))
def test_s03_every_cut_of_any_bytes_reads_as_the_whole(raw: bytes, at: list[int]) -> None:
    pieces = [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]
    assert read(*pieces) == read(raw) == read(*(raw[i : i + 1] for i in range(len(raw))))


texts = st.text(max_size=8) | st.sampled_from(["\n\r\n", FOREIGN, "é漢😀"])
values = texts | st.none() | st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=2)


@settings(max_examples=1000, deadline=None)
@given(st.lists(values, max_size=5), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_what_the_writer_wrote_the_reader_reads_in_every_framing(said: list[object], eol: bytes) -> None:
    raw = b"".join(frame(value, event="e") for value in said).replace(b"\n", eol)
    events = read(raw)
    assert [(event.value(), event.event) for event in events] == [(value, "e") for value in said]
    assert read(*(reframed(event) for event in events)) == events


@settings(max_examples=1000, deadline=None)
@given(raws, st.integers(0, 40), st.lists(st.integers(0, 120), max_size=8).map(sorted))
def test_s04_the_bound_is_the_same_for_every_cut(raw: bytes, limit: int, at: list[int]) -> None:
    def told(pieces: list[bytes]) -> tuple[list[Event], str | None]:
        reader, events = Reader(limit), []
        try:
            for piece in pieces:
                events += reader.feed(piece)
            events += reader.end()
        except Refusal as refusal:
            return events, refusal.code
        return events, None

    assert told([raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]) == told([raw])


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
@pytest.mark.parametrize("ending", [b"", b"\n\n"])
def test_s04_an_event_larger_than_a_mebibyte_is_refused_after_those_before_it(
    size: int, ending: bytes
) -> None:
    reader = Reader()
    assert reader.feed(b"data: first\n\ndata: " + b"x" * size + ending) == [Event("first")]
    with pytest.raises(Refusal, match="agent_too_large") as refused:
        reader.feed(b"\n\n")
    assert refused.value.status == 502
    with pytest.raises(Refusal, match="agent_too_large"):
        reader.end()


def test_s04_many_lines_of_one_event_are_bounded_as_one() -> None:
    with pytest.raises(Refusal, match="agent_too_large"):
        read(*[b"data: " + b"x" * 1024 + b"\n"] * 2000)


def test_s04_just_under_a_mebibyte_is_read_however_finely_it_comes() -> None:
    raw = b"data: " + b"x" * (LIMIT - 6) + b"\n\n"
    assert len(read(*(raw[i : i + 7] for i in range(0, len(raw), 7)))[0].data) == LIMIT - 6


@pytest.mark.parametrize(
    ("chunk", "line"),
    [(b"data: a\n\n", b"data: a"), (b"data: a\r\n\r\n", b"data: a"), (b"\n\n", b""), (b"\r\n\r\n", b""), (b"", b"")]
    + [(chunk, b"") for chunk in (b"a", b"a\n", b"ab\nc", b"ab\ncd", b"a\n\n\n", b"a\rb\n\n", b"a\r\n\n", b"a\n\r\n")]
    + [(chunk, b"") for chunk in (b"a\rb\r\n\r\n", b"a\nb\n\n", b"a\r\nb\r\n\r\n", b"\r\na\r\n", b"a\r\r", b"a\n\n\r")],
)  # fmt: skip
def test_a_chunk_that_is_one_frame_of_one_line_is_told_from_all_others(chunk: bytes, line: bytes) -> None:
    assert chunk[: line_end(chunk)] == line


def test_our_frames_please_the_plainest_reader() -> None:
    assert frame({"delta": "a\nb\u2028é"}) == 'data: {"delta":"a\\nb\u2028é"}\n\n'.encode()
    assert frame({"x": 1}, event="e") == b'event: e\ndata: {"x":1}\n\n'
    assert DONE == b"data: [DONE]\n\n"
    assert read(KEEPALIVE) == []


def test_the_last_word_is_what_the_design_says() -> None:
    said = error_frame("agent_broke_off", 'It broke\noff "here".', "r-1")
    assert said.endswith(b"\n\n")
    head, data = said[:-2].split(b"\n")
    assert head == b"event: error"
    assert list(json.loads(data.removeprefix(b"data: ")).items()) == [
        ("type", "error"),
        ("error", "agent_broke_off"),
        ("code", "agent_broke_off"),
        ("message", 'It broke\noff "here".'),
        ("request_id", "r-1"),
    ]


@pytest.mark.parametrize(
    ("event", "raw"),
    [
        (Event('{"a":\n 1}'), b'data: {"a":  1}\n\n'),
        (Event("a\nb"), b"data: a\ndata: b\n\n"),
        (Event("x", "e", "7"), b"id: 7\nevent: e\ndata: x\n\n"),
        (Event("[DONE]"), DONE),
    ],
)
def test_an_event_told_again_has_one_line_of_json(event: Event, raw: bytes) -> None:
    assert reframed(event) == raw


def test_a_big_number_is_told_again_digit_for_digit() -> None:
    assert b"123456789012345678901234567890" in reframed(Event('{"n":123456789012345678901234567890}'))


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_the_first_frame_is_over_after_its_blank_line_and_comments_are_not_it(eol: bytes) -> None:
    first = b": ping\n\n\n:\nevent: e\n: x\ndata: a\n\n".replace(b"\n", eol)
    whole = first + b"data: b\n\n".replace(b"\n", eol)
    assert first_frame_end(whole) == len(first)
    # after a lone CR nobody knows yet whether the LF of a CRLF follows
    early = [at for at in range(len(first)) if first_frame_end(whole[:at])]
    assert early == ([len(first) - 1] if eol == b"\r\n" else [])


@settings(max_examples=1000, deadline=None)
@given(raws)
def test_the_first_frame_is_found_where_the_reader_finds_it_or_before(raw: bytes) -> None:
    end = first_frame_end(raw)
    if end is not None:
        assert len(Reader().feed(raw[:end])) <= 1
    elif raw[-1:] != b"\r":
        assert Reader().feed(raw) == []


def test_the_first_frame_is_looked_for_in_linear_time() -> None:
    assert first_frame_end(b"data: x\n" * 200_000) is None
    assert first_frame_end(b": x\n" * 200_000) is None


@pytest.mark.parametrize(
    "first",
    [
        b'data: {"type":"response.output_text.delta","delta":"x"}\n\n',
        b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: more',
        b': ping\n\nevent: x\nid: 1\ndata: {"type":"response.created"}\n\n',
        b'data: {"type": "response.output_item.done", "item": {"type": "function_call"}}\n\n',
        b'data: {"error": "boom"}\n\n',
        b"data: [DONE]\n\n",
    ],
)
def test_the_recipes_hook_reads_plain_frames(first: bytes) -> None:
    assert readable_by_hook(first)


@pytest.mark.parametrize(
    "first",
    [
        b'data: {"x":1}\r\n\r\n',
        b'data: {"x":1}\r\r',
        b'data:{"x":1}\n\n',
        b'data: {"x":\ndata: 1}\n\n',
        b'\xef\xbb\xbfdata: {"x":1}\n\n',
        b"retry: 5\n\n",
        b"data\n\n",
        b'data: {"type": "response.output_item.done", "item": {"type": "message", "content": []}}\n\n',
        b'data: {"type":"response.output_item.done","item":{"id":"m","type":"message","content":[]}}\n\n',
        b'data: {"type":"response.completed","response":{"output":[]}}\n\n',
    ],
)
def test_the_recipes_hook_does_not_read_other_framings_nor_text_that_no_delta_brought(first: bytes) -> None:
    assert not readable_by_hook(first)


def test_an_events_value_is_its_json() -> None:
    assert Event('{"a":[1]}').value() == {"a": [1]}
    with pytest.raises(orjson.JSONDecodeError):
        Event("[DONE]").value()
