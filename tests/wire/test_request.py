"""What leaves for an agent: one request in one piece, framed by us alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire.calls import asking, fetching
from wire.hostile import Peer, always, serving

from middleware.exchange import EMPTY, Body, headers
from policies.refusal import Refusal
from sidecar.wire.origin import place
from sidecar.wire.request import head

HI = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Pieces:
    """An upload of these pieces."""

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self.pieces, self.length = pieces, length

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
            await asyncio.sleep(0)


async def test_a_chat_leaves_as_it_was_given(wire, notes):
    async with serving(always(HI)) as agent:
        call = asking(agent.url + "/base", "/invocations?a=%2F", content_type="application/json", x_b="é")
        reply = await wire(call)
        assert (reply.status, reply.body.raw) == (200, b"{}")
        host = agent.url.removeprefix("http://").encode()
        assert agent.requests == [
            b"POST /base/invocations?a=%2F HTTP/1.1\r\nHost: "
            + host
            + b"\r\ncontent-type: application/json\r\n"
            b"x-b: \xc3\xa9\r\nContent-Length: 12\r\n\r\n" + b'{"input":[]}'
        ]
        assert notes.attempts == [("full", "answered")]


async def test_a_request_is_one_write(wire):
    async with serving(always(HI)) as agent:
        await wire(asking(agent.url))
        (pool,) = wire.pools.values()
        written = []
        connection = pool.idle[-1]
        transport, connection.transport = connection.transport, Counting(connection.transport, written)
        await wire(asking(agent.url))
        connection.transport = transport
        assert len(written) == 1
        assert written[0].endswith(b'{"input":[]}')


class Counting:
    """A transport whose writes are kept."""

    def __init__(self, inner, written: list[bytes]) -> None:
        self._inner, self._written = inner, written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._inner.write(data)

    def __getattr__(self, name: str):
        return getattr(self._inner, name)


async def test_a_body_of_megabytes_arrives_whole(wire):
    async with serving(always(HI)) as agent:
        body = Body(b"x" * (5 << 20))
        await wire(asking(agent.url, body=body))
        assert agent.requests[0].endswith(b"Content-Length: 5242880\r\n\r\n" + body.raw)


@pytest.mark.parametrize(
    ("method", "said"), [("GET", False), ("DELETE", False), ("POST", True), ("PUT", True)]
)
async def test_an_empty_body_is_said_to_be_empty_where_one_is_expected(wire, method, said):
    async with serving(always(HI)) as agent:
        await wire(asking(agent.url, method=method, body=EMPTY))
        assert (b"Content-Length: 0" in agent.requests[0]) is said


async def test_what_frames_a_message_is_ours_whatever_the_call_carries(wire):
    async with serving(always(HI)) as agent:
        fields = {
            "Expect": "100-continue",
            "Transfer_Encoding": "chunked",
            "Content_Length": "99",
            "Connection": "upgrade",
            "Upgrade": "websocket",
            "TE": "trailers",
            "Keep_Alive": "5",
        }
        await wire(asking(agent.url, **fields))
        sent = agent.requests[0].lower()
        assert sent.count(b"content-length: 12\r\n") == 1
        for name in (b"expect", b"transfer-encoding", b"connection", b"upgrade", b"te:", b"keep-alive"):
            assert name not in sent.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "a\rb", "a\0b"])
async def test_p13_a_header_cannot_split_the_request(wire, notes, value):
    async with serving(always(HI)) as agent:
        with pytest.raises(Refusal) as refused:
            await wire(asking(agent.url, x_reflected=value))
        assert (refused.value.status, refused.value.code, refused.value.sent) == (400, "bad_request", "none")
        assert agent.connections == 0


@pytest.mark.parametrize("target", ["/a b", "/a HTTP/1.1\r\nX: y", "/a\n"])
async def test_p13_a_path_cannot_split_the_request(wire, target):
    with pytest.raises(Refusal):
        await wire(asking("http://127.0.0.1:1", target))


TOKEN = st.text("abcXYZ-019!#$", min_size=1, max_size=8)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(TOKEN, st.text(max_size=12)), max_size=4), st.text(max_size=12))
def test_p13_a_head_has_the_lines_it_was_given_or_is_refused(pairs: list[tuple[str, str]], path: str) -> None:
    values = [path, *(text for _, text in pairs)]
    wrong = " " in path or any(set(text) & set("\r\n\0") for text in values) or not all(map(told, values))
    try:
        lines = head("GET", "/" + path, "h", headers(*pairs), "").split(b"\r\n")
    except Refusal:
        assert wrong
        return
    assert not wrong
    assert lines[0] == f"GET /{path} HTTP/1.1".encode("utf-8", "surrogateescape")
    assert len(lines) == 2 + len(pairs) + 2  # the Host, and the empty line


def told(text: str) -> bool:
    """Whether these characters stand for bytes."""
    try:
        return bool(text.encode("utf-8", "surrogateescape")) or True
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
        ("http://agent", "agent", ""),
        ("https://agent:443/base/", "agent", "/base"),
        ("https://agent:80/a%2Fb", "agent:80", "/a%2Fb"),
        ("http://[::1]:8000", "[::1]:8000", ""),
    ],
)
def test_the_host_and_the_base_path_are_those_of_the_url(url, authority, path):
    origin, base = place(url)
    assert (origin.authority, base) == (authority, path)


@pytest.mark.parametrize("url", ["", "agent:8000", "ftp://agent", "http://"])
async def test_a_url_that_leads_nowhere_is_said(wire, url):
    with pytest.raises(Refusal) as refused:
        await wire(asking(url))
    assert (refused.value.code, refused.value.sent) == ("agent_unreachable", "none")


# --- uploads -----------------------------------------------------------------------------------------------


async def test_an_upload_of_unknown_length_leaves_in_chunks_as_it_comes(wire, notes):
    async with serving(always(HI)) as agent:
        reply = await wire(fetching(agent.url, method="POST", body=Pieces(b"hello", b"", b"x" * 20)))
        assert reply.status == 200
        head, _, body = agent.requests[0].partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"5\r\nhello\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"
        assert notes.attempts == [("full", "answered")]


async def test_an_upload_of_known_length_leaves_as_it_is(wire):
    async with serving(always(HI)) as agent:
        await wire(fetching(agent.url, method="PUT", body=Pieces(b"hel", b"lo", length=5)))
        assert agent.requests[0].endswith(b"Content-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize("length", [3, 7])
async def test_an_upload_that_is_not_as_long_as_it_said_ends_the_connection(wire, length):
    async def waiting(peer: Peer) -> None:
        await peer.left()

    async with serving(waiting) as agent:
        with pytest.raises(Refusal) as refused:
            await wire(fetching(agent.url, method="PUT", body=Pieces(b"hel", b"lo", length=length)))
        assert (refused.value.code, refused.value.status) == ("bad_request", 400)
        await agent.empty()


class Endless:
    """An upload without an end; counts what was taken of it."""

    length = None
    taken = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 65536
            yield b"x" * 65536
            await asyncio.sleep(0)


async def test_an_agent_that_does_not_read_stops_the_upload_and_is_late(wired, notes):
    async def deaf(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    upload = Endless()
    async with serving(deaf) as agent:
        with pytest.raises(Refusal) as refused:
            await wired(first_byte=0.2)(fetching(agent.url, method="POST", body=upload))
        assert (refused.value.code, refused.value.sent) == ("agent_first_byte_timeout", "partial")
        assert notes.attempts == [("partial", "agent_first_byte_timeout")]
        before = upload.taken
        await asyncio.sleep(0.02)
        assert upload.taken == before  # what the sockets took, and not a byte more
        assert before < 16 << 20


async def test_an_answer_before_the_end_of_an_upload_stops_it(wire):
    async def refusing(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.left()

    upload = Endless()
    async with serving(refusing) as agent:
        reply = await wire(fetching(agent.url, method="POST", body=upload))
        assert reply.status == 413
        assert [chunk async for chunk in reply.body.chunks()] == []
        await agent.empty()  # not kept: the agent still expects the rest
        before = upload.taken
        await asyncio.sleep(0.02)
        assert upload.taken == before


async def test_the_pace_of_the_caller_is_not_the_agents_fault(wired):
    class Slow(Pieces):
        async def chunks(self) -> AsyncIterator[bytes]:
            for piece in self.pieces:
                await asyncio.sleep(0.15)
                yield piece

    async with serving(always(HI)) as agent:
        reply = await wired(first_byte=0.2)(fetching(agent.url, method="POST", body=Slow(b"a", b"b", b"c")))
        assert reply.status == 200


async def test_an_upload_that_fails_leaves_the_agent_at_once(wire):
    class Failing(Pieces):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"a"
            raise Refusal(408, "body_timeout")

    async def waiting(peer: Peer) -> None:
        await peer.left()

    async with serving(waiting) as agent:
        with pytest.raises(Refusal) as refused:
            await wire(fetching(agent.url, method="POST", body=Failing()))
        assert refused.value.code == "body_timeout"
        await agent.empty()
