"""Heads of requests, cut anywhere: what is read of them, what is refused, and by which name."""

import string
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import framing
from policies.refusal import Refusal
from sidecar.doors.head import BYTES, FIELD, FIELDS, SINGLE, TARGET, Head

BAD, LONG, LARGE = "bad_request", "uri_too_long", "headers_too_large"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET_OLD = b"GET / HTTP/1.0\r\n"
HOST = ("Host", "a")


class Read(NamedTuple):
    """All that a head says, and what follows it."""

    method: str = "GET"
    target: str = "/"
    pairs: tuple[tuple[str, str], ...] = (HOST,)
    modern: bool = True
    kind: str = "none"
    length: int | None = None
    kept: bool = True
    rest: bytes = b""


def read(*pieces: bytes) -> Read | str | None:
    """The head that these bytes are, the code for which it is refused, or None where it has no end."""
    head = Head()
    for at, piece in enumerate(pieces):
        try:
            rest = head.begin(piece)
        except Refusal as refusal:
            return refusal.code
        if rest is not None:
            said = tuple(head.headers.items())
            rest += b"".join(pieces[at + 1 :])
            return Read(
                head.method, head.target, said, head.modern, head.kind, head.length, head.kept, rest
            )  # fmt: skip
    return None


def cuts(data: bytes) -> list[tuple[bytes, ...]]:
    """In one piece, in two cut at every byte, and byte by byte."""
    halves = [(data[:at], data[at:]) for at in range(1, len(data))]
    return [(data,), *halves, tuple(data[at : at + 1] for at in range(len(data)))]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[one:other] for one, other in pairwise(at)]


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# --- tables ------------------------------------------------------------------------------------------------

WHOLE = {
    "a plain one": (GET + b"\r\n", Read()),
    "what follows": (GET + b"\r\nGET /2", Read(rest=b"GET /2")),
    "an end that follows": (GET + b"\r\n\r\n\r\n", Read(rest=b"\r\n\r\n")),
    "empty lines before it": (b"\r\n\r\n" + GET + b"\r\n", Read()),
    "U04 a query and escapes": (
        b"GET /%c3%A9%ff;x?a=%zz&b+%26? HTTP/1.1\r\nHost: a\r\n\r\n", Read(target="/%c3%A9%ff;x?a=%zz&b+%26?"),
    ),
    "blanks around values": (
        GET + b"B: \t x y\t \r\nA:z\r\nb: \xff\r\n\r\n",
        Read(pairs=(HOST, ("B", "x y"), ("A", "z"), ("b", "\udcff"))),
    ),
    "empty values": (
        GET + b"X:\r\nY:   \r\nZ: z\r\n\r\n",
        Read(pairs=(HOST, ("X", ""), ("Y", ""), ("Z", "z"))),
    ),
    "the same name twice": (
        GET + b"Cookie: a\r\nCOOKIE: b\r\n\r\n",
        Read(pairs=(HOST, ("Cookie", "a"), ("COOKIE", "b"))),
    ),
    "a length": (
        POST + b"Content-Length: 3\r\n\r\nabcd",
        Read("POST", pairs=(HOST, ("Content-Length", "3")), kind="length", length=3, rest=b"abcd"),
    ),
    "F04 a length with zeros": (
        POST + b"Content-Length: 0003\r\n\r\n",
        Read("POST", pairs=(HOST, ("Content-Length", "0003")), kind="length", length=3),
    ),
    "a length of nothing": (
        POST + b"Content-Length: 0\r\n\r\nx",
        Read("POST", pairs=(HOST, ("Content-Length", "0")), length=0, rest=b"x"),
    ),
    "chunks, the last of their connection": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Read(
            "POST", pairs=(HOST, ("Transfer-Encoding", "chunked")), kind="chunked", kept=False,
            rest=b"0\r\n\r\n",
        ),
    ),
    "F06 chunks in capitals": (
        POST + b"Transfer-Encoding: \tCHUNKED \r\n\r\n",
        Read("POST", pairs=(HOST, ("Transfer-Encoding", "CHUNKED")), kind="chunked", kept=False),
    ),
    "closed": (
        GET + b"Connection: X, Close\r\n\r\n",
        Read(pairs=(HOST, ("Connection", "X, Close")), kept=False),
    ),
    "closed by the second of two": (
        GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n",
        Read(pairs=(HOST, ("Connection", "keep-alive"), ("Connection", "close")), kept=False),
    ),
    "HTTP/1.0": (GET_OLD + b"\r\n", Read(pairs=(), modern=False, kept=False)),
    "HTTP/1.0 that is kept": (
        GET_OLD + b"Connection: Keep-Alive\r\n\r\n",
        Read(pairs=(("Connection", "Keep-Alive"),), modern=False),
    ),
    "HTTP/1.0 that is kept and closed": (
        GET_OLD + b"Connection: keep-alive, close\r\n\r\n",
        Read(pairs=(("Connection", "keep-alive, close"),), modern=False, kept=False),
    ),
    "a WebSocket": (
        GET + b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nframe",
        Read(pairs=(HOST, ("Connection", "Upgrade"), ("Upgrade", "WebSocket")), rest=b"frame"),
    ),
    "F27 an upgrade that nobody knows, the last of its connection": (
        GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        Read(pairs=(HOST, ("Connection", "Upgrade"), ("Upgrade", "h2c")), kept=False),
    ),
    "an upgrade that is not asked for": (
        GET + b"Upgrade: h2c\r\n\r\n",
        Read(pairs=(HOST, ("Upgrade", "h2c")), kept=False),
    ),
    "an upgrade and a body": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
        Read(
            "POST", pairs=(HOST, ("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Content-Length", "2")),
            kind="length", length=2, kept=False, rest=b"ab",
        ),
    ),
    "F20 CONNECT": (
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nhello",
        Read("CONNECT", "a:443", rest=b"hello"),
    ),
    "F19 an absolute target": (
        b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", Read(target="http://b/x"),
    ),
    "F21 an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Read("OPTIONS", "*")),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_f28_a_head_says_the_same_however_it_is_cut(name: str) -> None:
    data, expected = WHOLE[name]
    for pieces in cuts(data):
        assert read(*pieces) == expected, pieces


@pytest.mark.parametrize("name", WHOLE)
def test_half_a_head_is_none(name: str) -> None:
    data, expected = WHOLE[name]
    assert isinstance(expected, Read)
    for at in range(len(data) - len(expected.rest)):
        assert read(data[:at]) is None, at


def coded(coding: bytes, *, start: bytes = POST) -> bytes:
    return start + b"Transfer-Encoding: " + coding + b"\r\n\r\n"


def sized(length: bytes) -> bytes:
    return POST + b"Content-Length: " + length + b"\r\n\r\n"


REFUSED = {
    "F01 a length and a coding": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "F01 a coding and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    "F01 no coding and a length": POST + b"Transfer-Encoding:\r\nContent-Length: 1\r\n\r\n",
    "F07 HTTP/1.0 in chunks": coded(b"chunked", start=GET_OLD),
    **{
        f"F03 {value!r}": sized(value)
        for value in (b"+5", b"0x5", b"1_0", b"-1", b"", b"1 1", b"5, 5", b"9" * 19, b"9" * 30, b"\xb2", b"5\x0b")
    },
    **{
        f"F05 F06 F08 {value!r}": coded(value)
        for value in (
            *(b"xchunked", b"identity", b"", b"chunked, chunked", b",chunked", b"chunked,", b"gzip, chunked"),
            *(b"chunked;q=1", b'"chunked"', b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"\x85chunked"),
            *(b"chunked\xa0", "chun\u212aed".encode()),
        )
    },
    "F08 a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n",
    "F13 lines that end in LF": GET.replace(b"\r\n", b"\n") + b"\n\r\n\r\n",
    "F13 one line that ends in LF": GET + b"X: a\nY: b\r\n\r\n",
    "F13 a head that ends in LF": GET + b"X: a\r\n\n\r\n\r\n",
    "F13 a line that ends in CR": GET + b"X: a\rY: b\r\n\r\n",
    "F13 CR before the end": GET + b"X: a\r\r\n\r\n",
    "F13 folded": GET + b"X: a\r\n b\r\n\r\n",
    "F13 folded by a tab": GET + b"X: a\r\n\tb\r\n\r\n",
    "F13 a first field that is folded": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    **{
        f"F14 {line!r}": GET + line + b"\r\n\r\n"
        for line in (b"X : 1", b" X: 1", b": 1", b"X", b"\xffX: 1", b"X\xc3\xa9: 1", b"X\x00: 1", b"X(: 1", b"X\t: 1")
    },
    "F17 no host": b"GET / HTTP/1.1\r\n\r\n",
    "F17 no host but fields": b"GET / HTTP/1.1\r\nX: 1\r\n\r\n",
    "F18 no version": b"GET /\r\n\r\n",
    **{
        f"F18 {version!r}": GET.replace(b"HTTP/1.1", version) + b"\r\n"
        for version in (
            *(b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.01", b"HTTP/11", b"http/1.1"),
            *(b"RTSP/1.0", b"ICE/1.0", b"HTTP/1.1 ", b"XHTTP/1.1", b"HTTP/1.1\x0b"),
        )
    },
    "F18 the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "F18 a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
    "F20 an authority": GET.replace(b" / ", b" a:443 ") + b"\r\n",
    "a target that is no ASCII": GET.replace(b" / ", b" /\xc3\xa9 ") + b"\r\n",
    "a target that is no UTF-8": GET.replace(b" / ", b" /?\xff ") + b"\r\n",
    "no target": GET.replace(b" / ", b"  ") + b"\r\n",
    "two targets": GET.replace(b" / ", b" / / ") + b"\r\n",
    "a blank before the method": b" " + GET + b"\r\n",
    "a method in small letters": b"get" + GET[3:] + b"\r\n",
    "a method that nobody knows": b"FETCH" + GET[3:] + b"\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_f28_what_is_no_head_is_refused_however_it_is_cut(name: str) -> None:
    for pieces in cuts(REFUSED[name]):
        assert read(*pieces) == BAD, pieces


@pytest.mark.parametrize("byte", [byte for byte in range(256) if byte < 32 or byte == 127])
def test_f15_no_control_character_gets_through_but_the_tab(byte: int) -> None:
    one = b"%c" % byte
    value = read(GET + b"X: a" + one + b"b\r\n\r\n")
    assert isinstance(value, Read) if byte == 9 else value == BAD
    assert read(GET + b"X" + one + b"Y: a\r\n\r\n") == BAD
    assert read(GET.replace(b" / ", b" /a" + one + b"b ") + b"\r\n") == BAD


@pytest.mark.parametrize("name", SINGLE)
def test_f02_f05_f17_two_of_what_may_stand_once_are_refused_in_any_spelling(name: str) -> None:
    value = {"transfer-encoding": b"chunked", "content-length": b"1"}.get(name, b"x")
    line = name.encode() + b": " + value + b"\r\n"
    once = GET + line if name != "host" else GET
    assert isinstance(read(once + b"\r\n"), Read)
    for other in (name, name.upper(), name.title(), name.swapcase().capitalize()):
        second = other.encode() + b": " + value + b"\r\n"
        for data in (
            once + second + b"\r\n",
            once + b"X: 1\r\n" + second + b"\r\n",
            once + second + second + b"\r\n",
        ):
            assert read(data) == BAD
            assert read(*in_pieces(data, 1)) == BAD


# --- limits ------------------------------------------------------------------------------------------------

SIZES = [1 << 20, 4096, 100, 1]


def aimed(size: int) -> bytes:
    return GET.replace(b" / ", b" /" + b"a" * (size - 1) + b" ")


@pytest.mark.parametrize("size", SIZES)
def test_f22_a_target_of_16_kib_is_read_and_a_longer_one_is_414(size: int) -> None:
    whole = read(*in_pieces(aimed(TARGET) + b"\r\n", size))
    assert isinstance(whole, Read)
    assert len(whole.target) == TARGET
    assert read(*in_pieces(aimed(TARGET + 1) + b"\r\n", size)) == LONG


@pytest.mark.parametrize("size", [4096, 1000, 100])
def test_f22_a_target_without_end_is_414_before_much_of_it_has_come(size: int) -> None:
    assert read(*in_pieces(aimed(TARGET + 2 * size), size)[: TARGET // size + 2]) == LONG


@pytest.mark.parametrize("size", [1 << 20, 4096, 100])
@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (b"X: " + b"a" * FIELD, b"X: " + b"a" * (FIELD + 1)),
        (b"X" * FIELD + b": a", b"X" * (FIELD + 1) + b": a"),
    ],
    ids=["a value", "a name"],
)
def test_f22_a_name_or_value_of_32_kib_is_read_and_a_longer_one_is_431(
    size: int, within: bytes, beyond: bytes
) -> None:
    assert isinstance(read(*in_pieces(GET + within + b"\r\n\r\n", size)), Read)
    assert read(*in_pieces(GET + beyond + b"\r\n\r\n", size)) == LARGE


@pytest.mark.parametrize("size", SIZES)
def test_f22_128_fields_are_read_and_more_are_431(size: int) -> None:
    more = b"".join(b"X-%d: a\r\n" % n for n in range(FIELDS - 1))
    whole = read(*in_pieces(GET + more + b"\r\n", size))
    assert isinstance(whole, Read)
    assert len(whole.pairs) == FIELDS
    assert read(*in_pieces(GET + more + b"Y: a\r\n\r\n", size)) == LARGE


def filled(size: int) -> bytes:
    """A head of so many bytes, in which nothing but the sum is large."""
    room = size - len(GET) - 2
    lines = b""
    while room:
        now = min(room, 30_000) if room != 30_001 else 20_000
        lines += b"X: " + b"a" * (now - 5) + b"\r\n"
        room -= now
    return GET + lines + b"\r\n"


@pytest.mark.parametrize("size", [1 << 20, 65_536, 1000])
def test_f22_a_head_of_256_kib_is_read_and_a_larger_one_is_431(size: int) -> None:
    assert len(filled(BYTES)) == BYTES
    assert isinstance(read(*in_pieces(filled(BYTES), size)), Read)
    assert read(*in_pieces(filled(BYTES + 1), size)) == LARGE


ENDLESS = {
    "small fields": b"a:\r\n",
    "fields": b"X-Filling: " + b"a" * 1000 + b"\r\n",
    "a value": b"a" * 1000,
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("size", [1 << 20, 4096, 100])
def test_f22_a_head_without_end_is_431_before_more_than_256_kib_are_kept(name: str, size: int) -> None:
    more = ENDLESS[name]
    data = GET + (b"X: " if name == "a value" else b"") + more * (BYTES // len(more) + 1)
    assert read(*in_pieces(data, size)) == LARGE


# --- hypothesis --------------------------------------------------------------------------------------------

TOKEN = (string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode()
TEXT = bytes({*range(0x20, 0x7F), 9, *range(0x80, 0x100)})
PATH = bytes(range(0x21, 0x7F))
METHODS = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"OPTIONS",
    b"PROPFIND",
    b"QUERY",
    b"M-SEARCH",
]
DECIDING = {*SINGLE, "connection", "upgrade"}
BLANKS = st.text(" \t", max_size=3).map(str.encode)
PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)


def some(letters: bytes, least: int, most: int) -> st.SearchStrategy[bytes]:
    return st.text(letters.decode("latin-1"), min_size=least, max_size=most).map(
        lambda drawn: drawn.encode("latin-1")
    )


NAMES = some(TOKEN, 1, 12).filter(lambda name: name.decode().lower() not in DECIDING)
LINES = st.tuples(NAMES, some(TEXT, 0, 20).map(lambda value: value.strip(b" \t")), BLANKS, BLANKS)


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class Sent(NamedTuple):
    data: bytes
    expected: Read


@st.composite
def heads(draw: st.DrawFn) -> Sent:
    """A head that is right, how it must be read, and something behind it."""
    method, modern = draw(st.sampled_from(METHODS)), draw(st.booleans())
    target = b"/" + draw(some(PATH, 0, 20))
    kind = draw(st.sampled_from(["none", "length", "chunked"] if modern else ["none", "length"]))
    lines = draw(st.lists(LINES, max_size=5))
    given_connection = draw(st.sampled_from([b"", b"close", b"Keep-Alive", b"x, close", b"x"]))
    length = draw(st.integers(1, 10**17)) if kind == "length" else None
    deciding = [(b"hOsT", b"a:1")] if modern or draw(st.booleans()) else []
    deciding += [(b"Connection", given_connection)] if given_connection else []
    deciding += [(b"content-LENGTH", b"%d" % length)] if length else []
    deciding += [(b"transfer-Encoding", b"chUnked")] if kind == "chunked" else []
    for name, value in deciding:
        lines.insert(draw(st.integers(0, len(lines))), (name, value, draw(BLANKS), draw(BLANKS)))
    data = b"%b %b HTTP/1.%d\r\n" % (method, target, modern)
    data += b"".join(name + b":" + one + value + other + b"\r\n" for name, value, one, other in lines)
    rest = draw(st.binary(max_size=20))
    kept = kind != "chunked" and (
        b"close" not in given_connection and (modern or given_connection == b"Keep-Alive")
    )
    pairs = tuple((name.decode(), text(value)) for name, value, _, _ in lines)
    expected = Read(method.decode(), text(target), pairs, modern, kind, length, kept, rest)
    return Sent(data + b"\r\n" + rest, expected)


@settings(max_examples=1000, deadline=None)
@given(heads(), PLACES)
def test_any_head_in_any_pieces_is_read_as_it_was_sent(sent: Sent, places: list[int]) -> None:
    assert read(*cut(sent.data, places)) == sent.expected


def sound(head: Read | str | None) -> None:
    """What must be true of whatever came."""
    if not isinstance(head, Read):
        assert head in (BAD, LONG, LARGE, None)
        return
    said = {name.lower(): value for name, value in head.pairs}
    assert head.target
    assert not {*head.target} & {"\r", "\n", "\0", " "}
    for name, value in head.pairs:
        assert name
        assert {*name.encode()} <= {*TOKEN}
        assert not {*value} & {"\r", "\n", "\0"}
        assert value == value.strip(" \t")
    for name in SINGLE:
        assert [one.lower() for one, _ in head.pairs].count(name) <= 1
    assert (head.kind == "chunked") is ("transfer-encoding" in said)
    if head.kind == "chunked":
        assert said["transfer-encoding"].lower() == "chunked"
        assert head.modern
        assert not head.kept
        assert "content-length" not in said
    assert head.length == (int(said["content-length"]) if "content-length" in said else None)
    assert (head.kind == "length") is bool(head.length)
    assert head.length is None or head.length >= 0
    assert not head.modern or "host" in said
    if head.kept:
        assert framing.known(said.get("upgrade", "websocket"))
        assert "close" not in said.get("connection", "").lower().replace(" ", "").split(",")


@settings(max_examples=1000, deadline=None)
@given(
    heads(),
    st.lists(
        st.tuples(
            st.integers(0, 1 << 16),
            st.integers(0, 2),
            st.one_of(
                st.binary(max_size=2),
                st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"\t", b","]),
            ),
        ),
        min_size=1,
        max_size=3,
    ),
    PLACES,
)
def test_a_head_with_something_wrong_is_read_or_refused_the_same_in_any_pieces(
    sent: Sent, wrongs: list[tuple[int, int, bytes]], places: list[int]
) -> None:
    data = sent.data
    for place, taken, put in wrongs:
        at = place % (len(data) + 1)
        data = data[:at] + put + data[at + taken :]
    whole = read(data)
    sound(whole)
    assert read(*cut(data, places)) == whole


WORDS = st.sampled_from(
    [
        b"GET ",
        b"/",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\n\r\n",
        b"Host: a",
        b"Host",
        b":",
        b" ",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 1",
        b"CONNECT ",
        b"a:1",
        b"Connection: upgrade",
        b"Upgrade: x",
        b"\r",
        b"\n",
        b"\0",
        b"\xff",
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.one_of(WORDS, st.binary(max_size=8)), max_size=24))
def test_whatever_comes_is_a_head_or_refused_or_has_no_end(pieces: list[bytes]) -> None:
    whole = read(b"".join(pieces))
    sound(whole)
    assert read(*pieces) == whole


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.integers(0, 40_000)), max_size=12),
    st.integers(1, 20_000),
    st.integers(50, 70_000),
)
def test_large_heads_are_read_or_refused_the_same_in_any_pieces(
    fields: list[tuple[bytes, int]], target: int, size: int
) -> None:
    lines = b"".join(name + b": " + b"a" * length + b"\r\n" for name, length in fields)
    data = aimed(target) + lines + b"\r\n"
    whole = read(data)
    sound(whole)
    if target > TARGET:
        assert whole == LONG
    else:
        assert (whole == LARGE) is (len(data) > BYTES or any(length > FIELD for _, length in fields))
    assert read(*in_pieces(data, size)) == whole
