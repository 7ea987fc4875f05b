"""Bodies of requests, cut anywhere: read whole, or broken, and never more of them held than may be."""

import asyncio
from collections.abc import Coroutine
from functools import cache
from itertools import pairwise
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.refusal import Refusal
from sidecar.doors import Content, Request
from sidecar.doors.connection import Connection
from sidecar.doors.content import HELD
from sidecar.doors.head import Head
from sidecar.doors.server import Server

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)


class Pipe(asyncio.Transport):
    """A transport that only remembers whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.flows: list[bool] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.flows.append(False)

    def resume_reading(self) -> None:
        self.flows.append(True)


async def nobody(request: Request) -> NoReturn:
    raise AssertionError


async def server() -> Server:
    return Server(
        nobody, keepalive=1, head_timeout=1, malformed=lambda code, error: None, warn=lambda line: None
    )


@cache
def anyones() -> Server:
    """Of a loop that is not waited in."""
    return asyncio.run(server())


def sized(length: int) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % length


def behind(head: bytes, of: Server) -> tuple[Content, Pipe]:
    """The content behind this head, none of which has come, and how it is read."""
    read, connection, pipe = Head(), Connection(of), Pipe()
    assert read.begin(head) == b""
    connection.transport = pipe
    return Content(read, connection), pipe


def now(waiting: Coroutine[Any, Any, bytes]) -> bytes:
    """What comes without a wait."""
    with pytest.raises(StopIteration) as done:
        waiting.send(None)
    return bytes(done.value.value)


def in_pieces(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[one:other] for one, other in pairwise(at)]


def chunked(chunks: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    lines = [b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk]
    return b"".join(lines) + b"0" + extension + b"\r\n" + trailer + b"\r\n"


CHUNKS = st.lists(st.binary(max_size=40), max_size=5)
EXTENSIONS = st.sampled_from([b"", b";a", b';a="b";c=d'])
TRAILERS = st.sampled_from([b"", b"X-Late: y\r\n", b"Content-Type: a\r\nCookie: b\r\n"])


# --- read whole --------------------------------------------------------------------------------------------


@settings(max_examples=1000, deadline=None)
@given(CHUNKS, EXTENSIONS, TRAILERS, PLACES, st.lists(st.booleans(), min_size=1))
def test_any_body_in_chunks_in_any_pieces_is_read_whole(
    chunks: list[bytes], extension: bytes, trailer: bytes, places: list[int], reads: list[bool]
) -> None:
    content, _ = behind(CHUNKED, anyones())
    whole, data = b"".join(chunks), chunked(chunks, extension, trailer)
    came = b""
    for at, piece in enumerate(in_pieces(data, places)):
        assert not content.over
        assert content.at_hand() is None
        assert content.take(piece) == b""
        if reads[at % len(reads)] and content.begun and len(came) < len(whole) and content._held:
            came += now(content.more())
    assert content.over
    assert content.error is None
    assert came + now(content.more()) == whole
    assert now(content.more()) == b""
    assert content.begun is bool(whole)


@settings(max_examples=1000, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.binary(max_size=40), PLACES)
def test_any_body_with_a_length_in_any_pieces_is_read_whole_and_what_is_behind_it_given_back(
    body: bytes, rest: bytes, places: list[int]
) -> None:
    content, _ = behind(sized(len(body)), anyones())
    returned, came = b"", 0
    for piece in in_pieces(body + rest, places):
        if content.over:  # who has the connection asks
            returned += piece
            continue
        assert content.at_hand() is None
        given_back = content.take(piece)
        came += len(piece)
        assert content.over is (came >= len(body))
        assert given_back == b"" or content.over
        returned += given_back
    assert returned == rest
    assert content.at_hand() == body
    assert now(content.more()) == b""


@settings(max_examples=1000, deadline=None)
@given(CHUNKS, st.integers(0, 1 << 16), st.binary(max_size=3), PLACES)
def test_a_body_with_something_wrong_is_read_or_breaks_the_same_in_any_pieces(
    chunks: list[bytes], place: int, wrong: bytes, places: list[int]
) -> None:
    data = chunked(chunks)
    at = place % (len(data) + 1)
    data = data[:at] + wrong + data[at + 1 :]

    def read(*pieces: bytes) -> tuple[bool, str, bytes]:
        content, _ = behind(CHUNKED, anyones())
        for piece in pieces:
            if not content.over:
                assert content.take(piece) == b""
        code = content.error.code if isinstance(content.error, Refusal) else ""
        assert (content.at_hand() is None) is (not content.over or bool(code))
        held = b"".join(content._held)
        return content.over, code, b"" if code else held

    whole = read(data)
    assert whole[1] in ("", "bad_request")
    assert read(*in_pieces(data, places))[:2] == whole[:2]


def test_no_body_is_at_hand_at_once() -> None:
    for head in (POST + b"\r\n", sized(0)):
        content, _ = behind(head, anyones())
        assert (content.over, content.begun, content.at_hand()) == (True, False, b"")
        assert now(content.more()) == b""


# --- waiting for it, and what breaks it --------------------------------------------------------------------


async def test_who_waits_gets_what_comes_as_it_comes() -> None:
    content, _ = behind(sized(4), await server())
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    assert not reading.done()
    content.take(b"ab")
    content.take(b"c")
    assert await reading == b"abc"
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    assert content.take(b"dNEXT") == b"NEXT"
    assert await reading == b"d"
    assert await content.more() == b""


async def test_who_gave_up_waiting_can_wait_again() -> None:
    content, _ = behind(sized(2), await server())
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    content.take(b"a")
    assert await content.more() == b"a"
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    content.take(b"b")
    assert await reading == b"b"


async def test_who_waits_is_told_that_it_broke() -> None:
    content, _ = behind(CHUNKED, await server())
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    assert content.take(b"xyz\r\n") == b""
    with pytest.raises(Refusal, match="bad_request"):
        await reading
    assert (content.over, content.at_hand()) == (True, None)


async def test_what_came_before_it_broke_is_read_first_and_then_it_breaks_again_and_again() -> None:
    content, _ = behind(CHUNKED, await server())
    content.take(b"3\r\nabc\r\n")
    content.take(b"-1\r\n")
    assert content.at_hand() is None
    assert await content.more() == b"abc"
    for _ in range(2):
        with pytest.raises(Refusal, match="bad_request"):
            await content.more()


async def test_a_caller_who_left_breaks_a_body_that_is_not_whole_and_no_other() -> None:
    gone = ConnectionResetError("the caller is gone")
    content, _ = behind(sized(4), await server())
    reading = asyncio.ensure_future(content.more())
    await asyncio.sleep(0)
    content.fail(gone)
    with pytest.raises(ConnectionResetError, match="gone"):
        await reading
    content, _ = behind(sized(4), await server())
    content.take(b"abcd")
    content.fail(gone)
    assert content.at_hand() == b"abcd"


# --- how much is held --------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [sized(10 * HELD), CHUNKED], ids=["a length", "chunks"])
def test_who_sends_more_than_is_read_is_made_to_wait_until_it_is(head: bytes) -> None:
    content, pipe = behind(head, anyones())
    piece = b"a" * (HELD // 4)
    sent = piece if head is not CHUNKED else b"%x\r\n%b\r\n" % (len(piece), piece)
    for _ in range(3):
        content.take(sent)
    assert pipe.flows == []
    content.take(sent)
    assert pipe.flows == [False]
    assert len(now(content.more())) == HELD
    assert pipe.flows == [False, True]
    for _ in range(4):
        content.take(sent)
    assert pipe.flows == [False, True, False]


def test_who_has_sent_all_is_not_made_to_wait_for_he_would_not_be_seen_to_leave() -> None:
    content, pipe = behind(sized(HELD), anyones())
    content.take(b"a" * HELD)
    assert content.at_hand() == b"a" * HELD
    assert pipe.flows == []


def test_of_what_nobody_will_read_nothing_is_held_and_nobody_waits() -> None:
    content, pipe = behind(sized(4 * HELD), anyones())
    content.take(b"a" * HELD)
    assert pipe.flows == [False]
    content.discard()
    assert pipe.flows == [False, True]
    for _ in range(2):
        assert content.take(b"a" * HELD) == b""
    assert content.take(b"a" * HELD + b"NEXT") == b"NEXT"
    assert (content.over, content._held, pipe.flows) == (True, [], [False, True])


def test_of_chunks_that_nobody_will_read_the_end_is_seen() -> None:
    content, _ = behind(CHUNKED, anyones())
    content.discard()
    content.take(b"3\r\nabc\r\n")
    assert (content.over, content._held) == (False, [])
    content.take(b"0\r\n\r\n")
    assert (content.over, content.error, content._held) == (True, None, [])
