"""What is read of a head and of a body in chunks at either side: who keeps a connection, and what chunks may cost."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from sidecar.fields import END, FRAMING, OVERHEAD, Fields, fields, kept

Parser = httptools.HttpRequestParser | httptools.HttpResponseParser

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "modern", "old"),
    [
        ([], True, False),
        (["keep-alive"], True, True),
        (["Keep-Alive"], True, True),
        (["close"], False, False),
        (["CLOSE"], False, False),
        (["x"], True, False),
        ([""], True, False),
        (["x , keep-alive,"], True, True),
        (["x,\tclose"], False, False),
        (["keep-alive, close"], False, False),
        (["keep-alive", "close"], False, False),
        (["close", "keep-alive"], False, False),
        (["x", "keep-alive"], True, True),
        (["closed", "keep-alive2"], True, False),
        (["close;x"], True, False),
    ],
)
def test_a_connection_is_kept_as_its_version_and_all_its_words_say(
    lines: list[str], modern: bool, old: bool
) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("connection", line) for line in lines]))
    assert (kept(headers, True), kept(headers, False)) == (modern, old)


class Told:
    """What llhttp itself tells of the fields of a head."""

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def told(parser: type[Parser], head: bytes) -> list[tuple[str, str]] | None:
    """The fields, where llhttp passes this head as we feed it; else None."""
    seen = Told()
    try:
        parser(seen).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    if not seen.complete:
        return None
    return [
        (name.decode("ascii"), value.decode("utf-8", "surrogateescape").strip(" \t"))
        for name, value in seen.pairs
    ]


REQUEST, RESPONSE = b"GET /a HTTP/1.1", b"HTTP/1.1 200 OK"
SPECIAL = [
    b"\r",
    b"\n",
    b"\r\n",
    b":",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"\r\n ",
    b": ",
]
LINES = st.lists(
    st.tuples(
        st.sampled_from([b"Host", b"host", b"X", b"x-forwarded-email", b"Content-Type", b"~!#"]),
        st.sampled_from([b": ", b":", b":\t", b":  ", b" : "]),
        st.sampled_from([b"", b"a", b"a: b", b":", b"\xc3\xa9", b"\xff", b"a\tb"]) | st.binary(max_size=8),
        st.sampled_from([b"", b" ", b"\t"]),
    ).map(b"".join),
    max_size=5,
)


@settings(max_examples=3000, deadline=None)
@given(
    st.sampled_from([(httptools.HttpRequestParser, REQUEST), (httptools.HttpResponseParser, RESPONSE)]),
    LINES,
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2), st.sampled_from(SPECIAL)), max_size=3),
)
def test_of_every_head_that_llhttp_passes_we_read_the_fields_that_it_reads(
    kind: tuple[type[Parser], bytes], lines: list[bytes], edits: list[tuple[int, int, bytes]]
) -> None:
    parser, first = kind
    head = b"\r\n".join([first, *lines])
    for at, gone, come in edits:
        at %= len(head) + 1
        head = head[:at] + come + head[at + gone :]
    head = head.lstrip(b"\r\n") + END
    head = head[: head.index(END) + len(END)]  # as both sides cut it out
    if (pairs := told(parser, head)) is not None:
        if head.count(b"\n") != head.count(b"\r\n"):
            with pytest.raises(ValueError, match="CRLF"):
                fields(head)
        else:
            line, found = fields(head)
            assert found == pairs
            assert head.startswith(line.encode("utf-8", "surrogateescape") + b"\r\n")


def test_a_target_that_lf_ends_begins_no_head() -> None:
    """llhttp takes it for HTTP/0.9, and what follows for fields."""
    head = b"GET /a\nX: HTTP/1.1\r\nHost: a\r\n\r\n"
    assert told(httptools.HttpRequestParser, head) == [("X", "HTTP/1.1"), ("Host", "a")]
    with pytest.raises(ValueError, match="CRLF"):
        fields(head)


class Body:
    """A body in chunks, behind its head."""

    def __init__(self) -> None:
        self.fields = Fields()
        self.parser = httptools.HttpRequestParser(self.fields)
        self.parser.feed_data(HEAD)

    def take(self, *pieces: bytes) -> bytes:
        return b"".join(self.fields.unchunked(self.parser, piece) for piece in pieces)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_chunks_bring_is_the_body_and_neither_extensions_nor_trailers(size: int) -> None:
    data = b'3;a="b"\r\nabc\r\n0a\r\n0123456789\r\n0;x\r\nX-Late: y\r\nHost: b\r\n\r\n'
    body = Body()
    assert body.take(*(data[at : at + size] for at in range(0, len(data), size))) == b"abc0123456789"
    assert (body.fields.over, body.fields.excess) == (True, False)


def test_chunks_of_one_byte_cost_no_more_than_they_may() -> None:
    body = Body()
    assert len(body.take(*[b"1\r\na\r\n"] * 10_000)) == 10_000
    assert body.take(b"0\r\n\r\n") == b""
    assert body.fields.over


def test_beyond_the_body_there_may_be_8_kib_and_8_bytes_for_each_of_its_bytes() -> None:
    brought = b"64;%b\r\n" + b"a" * 100 + b"\r\n"  # 0x64 bytes
    may = OVERHEAD + FRAMING * 100 - len(brought % b"") + 100
    assert Body().take(brought % (b"x" * may)) == b"a" * 100
    with pytest.raises(ValueError, match="hardly a body"):
        Body().take(brought % (b"x" * (may + 1)))


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_an_extension_without_end_is_an_error_after_8_kib(size: int) -> None:
    body, line = Body(), b"1;" + b"x" * (OVERHEAD - 2)
    assert body.take(*(line[at : at + size] for at in range(0, len(line), size))) == b""
    with pytest.raises(ValueError, match="hardly a body"):
        body.take(b"x")


def test_trailers_have_the_same_allowance() -> None:
    body = Body()
    body.take(b"0\r\n", *[b"X: " + b"a" * 995 + b"\r\n"] * 8)
    with pytest.raises(ValueError, match="hardly a body"):
        body.take(b"X: " + b"a" * 995 + b"\r\n")


@pytest.mark.parametrize(
    "behind",
    [
        b"x",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" * 2,
        HEAD + b"5\r\nhello\r\n0\r\n\r\n",
        b"\0" * 20_000,
    ],
)
@pytest.mark.parametrize("together", [0, 20, 60])
def test_what_lies_behind_the_last_chunk_is_noticed_and_nothing_of_the_body(
    behind: bytes, together: int
) -> None:
    """`together`: how much of it comes in one piece with the last chunk."""
    body, data = Body(), b"3\r\nabc\r\n0\r\n\r\n"
    assert body.take(data + behind[:together], *filter(None, [behind[together:]])) == b"abc"
    assert (body.fields.over, body.fields.excess) == (True, True)


@pytest.mark.parametrize(
    "data", [b"xyz\r\n", b"3\r\nabcd", b"-1\r\n", b"3\nabc\r\n", b"0\r\nX: \0\r\n", b"f" * 17 + b"\r\n"]
)
@pytest.mark.parametrize("size", [1, 100])
def test_what_are_no_chunks_is_an_error(data: bytes, size: int) -> None:
    with pytest.raises(ValueError):
        Body().take(*(data[at : at + size] for at in range(0, len(data), size)))
