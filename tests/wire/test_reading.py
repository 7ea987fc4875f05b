"""Answers read from bytes that are cut anywhere: what is taken for an answer, what is refused, and what is reused."""

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.fields import OVERHEAD
from sidecar.wire.faults import Fault, Malformed
from sidecar.wire.head import BYTES
from sidecar.wire.reading import Reading

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKE = "agent_broke_off"
MALFORMED = "agent_protocol_error"


class Read(NamedTuple):
    """What became of an answer: its body, or the code of the fault."""

    status: int
    body: bytes
    reusable: bool


def read(*pieces: bytes, method: str = "GET") -> Read | str:
    """The answer that these bytes are, with the end of the connection behind them."""
    reading, body = Reading(method), b""
    try:
        for piece in pieces:
            body += reading.feed(piece)
        reading.eof()
    except Fault as fault:
        return fault.code
    return Read(reading.status, body, reading.reusable)


def cuts(data: bytes) -> list[tuple[bytes, ...]]:
    """In one piece, in two cut at every byte, and byte by byte."""
    halves = [(data[:at], data[at:]) for at in range(1, len(data))]
    return [(data,), *halves, tuple(data[at : at + 1] for at in range(len(data)))]


WHOLE = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", Read(200, b"hello", True)),
    "a length of nothing": (OK + b"Content-Length: 0\r\n\r\n", Read(200, b"", True)),
    "chunks": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Read(200, b"hello", True)),
    "a coding in capitals": (
        OK + b"transfer-encoding:  Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n",
        Read(200, b"x", True),
    ),
    "extensions of chunks": (CHUNKED + b'5;a="b";c\r\nhello\r\n0;d\r\n\r\n', Read(200, b"hello", True)),
    "trailers, which are dropped": (CHUNKED + b"1\r\nx\r\n0\r\nX-T: y\r\n\r\n", Read(200, b"x", True)),
    "P06 an end that is the connection's": (OK + b"X: y\r\n\r\nhello", Read(200, b"hello", False)),
    "P06 the same, and nothing": (OK + b"\r\n", Read(200, b"", False)),
    "a connection that is closed": (
        OK + b"Content-Length: 2\r\nConnection: X, Close\r\n\r\nhi",
        Read(200, b"hi", False),
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Read(200, b"hi", False)),
    "HTTP/1.0 that is kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        Read(200, b"hi", True),
    ),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", Read(404, b"", True)),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", Read(204, b"", True)),
    "304 that tells a length": (b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", Read(304, b"", True)),
    "P05 204 with a body": (b"HTTP/1.1 204 X\r\nX: y\r\n\r\nhello", Read(204, b"", False)),
    "P05 304 with a body": (b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\nhello", Read(304, b"", False)),
    "more than the length": (OK + b"Content-Length: 2\r\n\r\nhi!", Read(200, b"hi", False)),
    "more than the chunks": (CHUNKED + b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200", Read(200, b"hi", False)),
    "an answer behind the chunks": (
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        Read(200, b"hi", False),
    ),
    "junk behind the chunks": (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n!", Read(200, b"hi", False)),
    "P04 interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"
        + OK
        + b"Content-Length: 2\r\n\r\nhi",
        Read(200, b"hi", True),
    ),
    "P04 ten interim answers": (
        b"HTTP/1.1 102 X\r\n\r\n" * 10 + OK + b"Content-Length: 0\r\n\r\n",
        Read(200, b"", True),
    ),
}
REFUSED = {
    "P01 NUL in a value": (OK + b"X: a\0b\r\n\r\n", MALFORMED),
    "P01 CR in a value": (OK + b"X: a\rb\r\n\r\n", MALFORMED),
    "P01 LF in a value": (OK + b"X: a\nSet-Cookie: b\r\n\r\n", MALFORMED),
    "P01 a folded line": (OK + b"X: a\r\n b\r\n\r\n", MALFORMED),
    "P01 lines that end with LF": (b"HTTP/1.1 200 OK\nX: y\n\nhello", MALFORMED),
    "P01 a head that ends with LF": (OK + b"X: y\r\n\nhello", MALFORMED),
    "P01 a space before the colon": (OK + b"X : y\r\n\r\n", MALFORMED),
    "P01 no name": (OK + b": y\r\n\r\n", MALFORMED),
    "P01 no colon": (OK + b"nonsense\r\n\r\n", MALFORMED),
    "P02 two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", MALFORMED),
    "P02 the same length twice": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", MALFORMED),
    "P02 two lengths in one": (OK + b"Content-Length: 2, 2\r\n\r\nhi", MALFORMED),
    "P02 a length and chunks": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        MALFORMED,
    ),
    "P02 chunks and a length": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        MALFORMED,
    ),
    "P02 a length with a sign": (OK + b"Content-Length: +2\r\n\r\nhi", MALFORMED),
    "P02 a length in hex": (OK + b"Content-Length: 0x2\r\n\r\nhi", MALFORMED),
    "P02 no length": (OK + b"Content-Length:\r\n\r\nhi", MALFORMED),
    "P02 a length beyond numbers": (OK + b"Content-Length: 99999999999999999999\r\n\r\n", MALFORMED),
    "P02 gzip, chunked": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", MALFORMED),
    "P02 chunked, gzip": (OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", MALFORMED),
    "P02 xchunked": (OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", MALFORMED),
    "P02 identity": (OK + b"Transfer-Encoding: identity\r\n\r\nhello", MALFORMED),
    "P02 chunked twice": (
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        MALFORMED,
    ),
    "P02 a quoted coding": (OK + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', MALFORMED),
    "P02 chunks in HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        MALFORMED,
    ),
    "a chunk that is longer than it says": (CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", MALFORMED),
    "a chunk in octal": (CHUNKED + b"0o2\r\nhi\r\n0\r\n\r\n", MALFORMED),
    "a chunk in 0x": (CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n", MALFORMED),
    "a chunk of less than nothing": (CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n", MALFORMED),
    "a chunk beyond numbers": (CHUNKED + b"fffffffffffffffff\r\nhi\r\n", MALFORMED),
    "a chunk after a space": (CHUNKED + b" 2\r\nhi\r\n0\r\n\r\n", MALFORMED),
    "a chunk that ends with LF": (CHUNKED + b"2\nhi\n0\n\n", MALFORMED),
    "NUL in a trailer": (CHUNKED + b"0\r\nX: a\0\r\n\r\n", MALFORMED),
    "P03 half a length": (OK + b"Content-Length: 5\r\n\r\nhel", BROKE),
    "P03 half a chunk": (CHUNKED + b"5\r\nhel", BROKE),
    "P03 no last chunk": (CHUNKED + b"5\r\nhello\r\n", BROKE),
    "P03 half a last chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n", BROKE),
    "P03 half a head": (OK + b"Content-Le", BROKE),
    "P03 nothing": (b"", BROKE),
    "P04 eleven interim answers": (b"HTTP/1.1 100 X\r\n\r\n" * 11 + OK + b"\r\n", MALFORMED),
    "P04 101": (b"HTTP/1.1 101 X\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\n", MALFORMED),
    "P04 101 and no word of an upgrade": (b"HTTP/1.1 101 X\r\n\r\n", MALFORMED),
    "P04 nothing but interim answers": (b"HTTP/1.1 100 X\r\n\r\n", BROKE),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", MALFORMED),
    "RTSP": (b"RTSP/1.0 200 OK\r\n\r\n", MALFORMED),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\n\r\n", MALFORMED),
    "HTTP/0.9": (b"HTTP/0.9 200 OK\r\n\r\n", MALFORMED),
    "empty lines in front": (b"\r\n\r\n" + OK + b"\r\n", MALFORMED),
    "status 0": (b"HTTP/1.1 000 X\r\n\r\n", MALFORMED),
    "status 99": (b"HTTP/1.1 99 X\r\n\r\n", MALFORMED),
    "status 1000": (b"HTTP/1.1 1000 X\r\n\r\n", MALFORMED),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_read_the_same_however_it_is_cut(name: str) -> None:
    data, expected = WHOLE[name]
    for pieces in cuts(data):
        assert read(*pieces) == expected, pieces


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_answer_is_refused_however_it_is_cut(name: str) -> None:
    data, code = REFUSED[name]
    for pieces in cuts(data):
        assert read(*pieces) == code, pieces


@pytest.mark.parametrize("name", [name for name, (_, one) in WHOLE.items() if one.status == 200])
def test_p05_a_head_that_was_asked_for_ends_at_the_head(name: str) -> None:
    data, _ = WHOLE[name]
    head = data[: data.rindex(b"\r\n\r\n", 0, data.find(b"\r\n\r\n", data.index(OK[8:])) + 4) + 4]
    for pieces in cuts(head):
        answer = read(*pieces, method="HEAD")
        assert isinstance(answer, Read)
        assert answer.body == b""
    assert read(head, b"hello", method="HEAD").reusable is False


@pytest.mark.parametrize("byte", [byte for byte in range(256) if byte < 32 or byte == 127])
def test_p01_no_control_character_gets_through_but_the_tab(byte: int) -> None:
    answer = read(OK + b"X: a%cb\r\nContent-Length: 0\r\n\r\n" % byte)
    assert isinstance(answer, Read) if byte == 9 else answer == MALFORMED


def test_p01_a_head_of_a_megabyte_is_refused_before_it_is_kept() -> None:
    reading = Reading("GET")
    reading.feed(OK)
    line = b"X-Filling: " + b"a" * 1000 + b"\r\n"
    with pytest.raises(Malformed, match="head of more than"):
        flood(reading, line, BYTES // len(line) + 1)


def test_p01_a_head_that_is_large_in_one_piece_is_refused_too() -> None:
    assert read(OK + b"X: " + b"a" * BYTES + b"\r\nContent-Length: 0\r\n\r\n") == MALFORMED


def test_p01_ten_thousand_headers_are_refused() -> None:
    assert read(OK + b"a:\r\n" * 10_000 + b"\r\n") == MALFORMED
    assert read(OK + b"a: b\r\n" * 257 + b"Content-Length: 0\r\n\r\n") == MALFORMED
    assert read(OK + b"a: b\r\n" * 255 + b"Content-Length: 0\r\n\r\n") == Read(200, b"", True)


def test_p04_interim_answers_share_the_bytes_of_one_head() -> None:
    interim = b"HTTP/1.1 103 X\r\nX: " + b"a" * 30_000 + b"\r\n\r\n"
    assert read(interim, interim, interim) == MALFORMED


def test_trailers_and_extensions_without_end_are_refused() -> None:
    for start, more in ((b"0\r\n", b"X-T: " + b"a" * 1000 + b"\r\n"), (b"0;", b"a" * 1000)):
        reading = Reading("GET")
        reading.feed(CHUNKED + start)
        with pytest.raises(Malformed, match="hardly a body"):
            flood(reading, more, OVERHEAD // len(more) + 1)


def flood(reading: Reading, data: bytes, times: int) -> None:
    for _ in range(times):
        reading.feed(data)


def test_headers_keep_their_order_their_doubles_and_their_bytes() -> None:
    reading = Reading("GET")
    reading.feed(OK + b"B: 1\r\na:  2 \t\r\nB: 3\r\nC: \xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n")
    pairs = list(reading.headers.items())
    assert pairs[:3] == [("B", "1"), ("a", "2"), ("B", "3")]
    assert pairs[3][1].encode("utf-8", "surrogateescape") == b"\xc3\xa9\xff"


def test_no_trailer_becomes_a_header() -> None:
    reading = Reading("GET")
    reading.feed(CHUNKED + b"1\r\nx\r\n0\r\nX-Late: y\r\nTransfer-Encoding: gzip\r\n\r\n")
    assert reading.over
    assert list(reading.headers) == ["Transfer-Encoding"]


# --- hypothesis --------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    data: bytes
    method: str
    expected: Read


FIELDS = [
    ("X-A", ""),
    ("content-type", "text/plain; charset=utf-8"),
    ("Server", "é\tü \u2028"),
    ("Set-Cookie", "a=b; c"),
    ("x-" + "b" * 30, ":" * 30),
]


@st.composite
def answers(draw: st.DrawFn) -> Sent:
    """An answer that is right, and how it must be read."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    status = draw(st.sampled_from([200, 201, 204, 206, 304, 400, 404, 429, 500, 503]))
    pieces = draw(st.lists(st.binary(max_size=40), max_size=3))
    framing = draw(st.sampled_from(["length", "chunked", "eof"]))
    kept = draw(st.booleans())
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=3))
    bodiless = method == "HEAD" or status in (204, 304)
    body = b"".join(pieces)
    if framing == "length" and status != 204:
        fields.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
    if not kept:
        fields.insert(draw(st.integers(0, len(fields))), ("Connection", "close"))
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n" * draw(st.integers(0, 3))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    data = interim + b"HTTP/1.1 %d Reason\r\n%b\r\n" % (status, head)
    if not bodiless:
        if framing == "chunked":
            data += (
                b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
            )
        else:
            data += body
    if bodiless:
        told = method != "HEAD" or (framing == "length" and status != 204)
        return Sent(data, method, Read(status, b"", kept and told))
    ends = framing == "chunked" or (framing == "length" and status != 204)
    return Sent(data, method, Read(status, body, kept and ends))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[one:other] for one, other in pairwise(at)]


@settings(max_examples=1000, deadline=None)
@given(answers(), st.lists(st.integers(0, 1 << 16), max_size=12))
def test_any_answer_in_any_pieces_is_read_as_it_was_sent(sent: Sent, places: list[int]) -> None:
    assert read(*cut(sent.data, places), method=sent.method) == sent.expected


@settings(max_examples=1000, deadline=None)
@given(
    answers(), st.integers(0, 1 << 16), st.binary(max_size=3), st.lists(st.integers(0, 1 << 16), max_size=4)
)
def test_an_answer_with_something_wrong_is_read_or_refused_the_same_in_any_pieces(
    sent: Sent, place: int, wrong: bytes, places: list[int]
) -> None:
    at = place % len(sent.data)
    data = sent.data[:at] + wrong + sent.data[at + 1 :]
    whole, pieces = read(data, method=sent.method), read(*cut(data, places), method=sent.method)
    if isinstance(whole, Read) and isinstance(pieces, Read):
        # whether something followed a whole answer may be seen later, when it is not reused any more
        assert whole[:2] == pieces[:2]
    else:
        assert whole == pieces


@settings(max_examples=1000, deadline=None)
@given(answers(), st.integers(0, 1 << 16))
def test_an_answer_that_is_cut_short_is_never_taken_for_whole(sent: Sent, place: int) -> None:
    short = sent.data[: place % len(sent.data)]
    answer = read(short, method=sent.method)
    if answer != BROKE:
        assert isinstance(answer, Read)
        assert answer.reusable is False
        assert b"transfer-encoding" not in short.lower() or sent.expected.body == b""
        assert b"content-length" not in short.lower() or sent.expected.body == b""


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_comes_is_an_answer_or_a_fault(pieces: list[bytes]) -> None:
    assert read(*pieces) in (BROKE, MALFORMED) or isinstance(read(*pieces), Read)
