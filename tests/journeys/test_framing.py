"""Requests that two servers could read differently, byte for byte at the real doors: refused, and seen by nobody. C1

Each is sent in one piece and byte by byte, to the app behind the front, to our own chats, and to an agent's relays and
chats at egress; behind each comes a request that nobody may ever see.
"""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, NamedTuple

import orjson
import pytest
from journeys.conftest import Running, Start
from wire.hostile import Server, always, serving
from yarl import URL

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ASKED: Final = b'{"input":"hi"}'
CHUNKED: Final = b"e\r\n" + ASKED + b"\r\n0\r\n\r\n"
HOST: Final = b"Host: 127.0.0.1"
HIDDEN: Final = b"GET TARGET/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WAYS: Final = {
    "the app": ("front", b"/x"),
    "our chat": ("front", b"/api/chat"),
    "a relay": ("egress", b"/agents/default/x"),
    "an agent's chat": ("egress", b"/agents/default/invocations"),
}
SMALL: Final = 1000  # bytes of a request that is sent byte by byte too


def post(
    *lines: bytes, body: bytes = b"", start: bytes = b"POST TARGET HTTP/1.1", host: bytes = HOST
) -> bytes:
    kind = (b"Content-Type: application/json", b"Accept: application/json")
    given = (start, *((host,) if host else ()), *kind, *lines)
    return b"\r\n".join((*given, b"", body))


def of_length(value: bytes) -> bytes:
    return post(b"Content-Length: " + value, body=ASKED)


def coded(value: bytes) -> bytes:
    return post(b"Transfer-Encoding: " + value, body=CHUNKED)


def in_chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


class Row(NamedTuple):
    payload: bytes
    status: int = 400
    code: str = "bad_request"


class Told(NamedTuple):
    """All that came back on a connection until its end."""

    answers: list[tuple[int, bytes]]

    @property
    def statuses(self) -> list[int]:
        return [status for status, _ in self.answers]

    @property
    def errors(self) -> list[tuple[int, str]]:
        return [(status, orjson.loads(body)["error"]) for status, body in self.answers]


# What the parser refuses, and what it would take but somebody else would read differently.
HEADS: Final = {
    "F01 length, coding": Row(post(b"Content-Length: 14", b"Transfer-Encoding: chunked", body=CHUNKED)),
    "F01 coding, length": Row(post(b"Transfer-Encoding: chunked", b"Content-Length: 14", body=CHUNKED)),
    "F01 no coding, length": Row(post(b"Transfer-Encoding:", b"Content-Length: 14", body=ASKED)),
    "F02 equal": Row(of_length(b"14\r\nContent-Length: 14")),
    "F02 different": Row(of_length(b"14\r\nContent-Length: 15")),
    "F02 a list": Row(of_length(b"14, 14")),
    **{
        f"F03 {value!r}": Row(of_length(value))
        for value in (b"+14", b"0xe", b"1_4", b"-1", b"", b"9" * 30, b"14 14", b"14.0")
    },
    **{
        f"F05 {value!r}": Row(coded(value))
        for value in (b"xchunked", b"identity", b"gzip", b"", b"chunked, chunked", b"chunked, identity")
    },
    **{
        f"F05 chunked and {value!r}": Row(coded(b"chunked\r\nTransfer-Encoding: " + value))
        for value in (b"chunked", b"identity", b"gzip")
    },
    **{
        f"F06 {value!r}": Row(coded(value))
        for value in (b",chunked", b"gzip, chunked", b"identity, chunked", b"chunked;q=1", b"chunked,")
    },
    "F06 quoted": Row(coded(b'"chunked"')),
    "F06 gzip and chunked": Row(coded(b"gzip\r\nTransfer-Encoding: chunked")),
    "F07": Row(post(b"Transfer-Encoding: chunked", body=CHUNKED, start=b"POST TARGET HTTP/1.0")),
    "F07 kept": Row(
        post(
            b"Transfer-Encoding: chunked",
            b"Connection: keep-alive",
            body=CHUNKED,
            start=b"POST TARGET HTTP/1.0",
        )
    ),
    **{
        f"F08 {value!r}": Row(coded(value))
        for value in (b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"\x85chunked", b"chunked\xa0")
    },
    "F08 a letter that is lowered to k": Row(coded("chun\u212aed".encode())),
    "F08 space before the colon": Row(post(b"Transfer-Encoding : chunked", body=CHUNKED)),
    "F13 lines that end in LF": Row(of_length(b"14").replace(b"\r\n", b"\n")),
    "F13 one line that ends in LF": Row(post(b"X: a\nY: b")),
    "F13 a line that ends in CR": Row(post(b"X: a\rContent-Length: 14")),
    "F13 folded": Row(post(b"X: a\r\n b")),
    "F13 folded by a tab": Row(post(b"X: a\r\n\tb")),
    **{
        f"F14 {line!r}": Row(post(line))
        for line in (b"X : 1", b" X: 1", b": 1", b"X", b"\xffX: 1", b"X\xc3\xa9: 1", b"X\x00: 1", b"X(: 1")
    },
    **{f"F15 {line!r}": Row(post(line)) for line in (b"X: a\x00b", b"X: a\rb", b"X: a\x07b", b"X: \x7f")},
    "F17 none": Row(post(host=b"")),
    "F17 two": Row(post(HOST)),
    "F18 0.9": Row(b"GET TARGET\r\n"),
    **{
        f"F18 {version}": Row(post(start=b"POST TARGET HTTP/" + version.encode()))
        for version in ("0.9", "1.2", "2.0", "9.9", "1.01")
    },
    "F18 a target that LF ends": Row(post(start=b"GET TARGET\nX: HTTP/1.1")),
    "F18 the preface of HTTP/2": Row(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "F18 a TLS hello": Row(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    "F20 an authority": Row(post(start=b"GET evil.example:443 HTTP/1.1")),
    "F22 a long line": Row(post(start=b"POST TARGET?%b HTTP/1.1" % (b"a" * 20_480)), 414, "uri_too_long"),
    "F22 a long header": Row(post(b"X: line " + b"a" * 40_960), 431, "headers_too_large"),
    "F22 a long name": Row(post(b"X" * 40_960 + b": a"), 431, "headers_too_large"),
    "F22 many headers": Row(post(*(b"X-%d: a" % n for n in range(200))), 431, "headers_too_large"),
}
# What is HTTP, and ends its connection all the same: who stands in between may have meant something else.
MEANT: Final = {
    **{
        f"F17 {host!r}": Row(post(host=b"Host: " + host))
        for host in (b"u@127.0.0.1", b"127.0.0.1/x", b"127.0.0.1 x", b"")
    },
    "F17 none in HTTP/1.0": Row(
        post(b"Connection: keep-alive", host=b"", start=b"POST TARGET HTTP/1.0"), 400, "bad_request"
    ),
    "F19": Row(post(start=b"GET http://evil.exampleTARGET HTTP/1.1"), 400, "invalid_path"),
    "F20 CONNECT": Row(post(start=b"CONNECT evil.example:443 HTTP/1.1"), 405, "method_not_allowed"),
    "F21": Row(post(start=b"OPTIONS * HTTP/1.1"), 400, "invalid_path"),
    **{
        f"F26 {value!r}": Row(
            post(b"Expect: " + value, b"Content-Length: 14", body=ASKED), 417, "unsupported_expectation"
        )
        for value in (b"wonders", b"100-continue, wonders", b"100-continue\r\nExpect: wonders")
    },
    "F26 without a body": Row(post(b"Expect: wonders"), 417, "unsupported_expectation"),
}
CHUNKS: Final = {
    **{
        f"F09 {size!r}": Row(in_chunks(size + b"\r\n" + ASKED + b"\r\n0\r\n\r\n"))
        for size in (b"0xe", b"+e", b" e", b"e ", b"e_0", b"-e", b"", b"f" * 16 + b"e")
    },
    "F10 a size that ends in LF": Row(in_chunks(b"e\n" + ASKED + b"\r\n0\r\n\r\n")),
    "F10 LF in an extension": Row(in_chunks(b"e;a\nb\r\n" + ASKED + b"\r\n0\r\n\r\n")),
    "F10 nothing behind the bytes": Row(in_chunks(b"e\r\n" + ASKED + b"0\r\n\r\n")),
    "F10 too many bytes": Row(in_chunks(b"2\r\n" + ASKED + b"\r\n0\r\n\r\n")),
    "F12 a trailer that is a length": Row(in_chunks(CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n")),
    "F13 a trailer that ends in LF": Row(in_chunks(CHUNKED[:-2] + b"X: 1\n\r\n")),
}


@pytest.fixture
async def agent() -> AsyncIterator[Server]:
    """An agent that remembers every byte."""
    async with serving(always(ANSWER)) as one:
        yield one


@pytest.fixture
async def app() -> AsyncIterator[Server]:
    """And an app behind the front, which does too."""
    async with serving(always(ANSWER)) as one:
        yield one


@pytest.fixture
async def sidecar(start: Start, agent: Server, app: Server) -> Running:
    return await start(agent.url, FRONTEND_URL=app.url, FRONT_ROUTES="/api/chat")


async def told(sidecar: Running, way: str, payload: bytes, *, split: int = 0, behind: bytes = HIDDEN) -> Told:
    """What is answered, until the connection is closed, to this and to a request behind it.

    `split`: into pieces of so many bytes; 0: not at all.
    """
    name, target = WAYS[way]
    door, loop = URL(getattr(sidecar, name)), asyncio.get_running_loop()
    sent = (payload + behind).replace(b"TARGET", target)
    with socket.socket() as one:  # no stream of asyncio's: a reset would take away what has come
        one.setblocking(False)
        await loop.sock_connect(one, (door.host, door.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        came = b""
        with suppress(ConnectionError):
            for piece in (sent[at : at + split] for at in range(0, len(sent), split)) if split else (sent,):
                await loop.sock_sendall(one, piece)
                for _ in range(4 if split else 0):  # turns of the loop in which it is read
                    await asyncio.sleep(0)
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while chunk := await loop.sock_recv(one, 65536):
                    came += chunk
    return Told([parted(part) for part in re.split(rb"(?=HTTP/1\.[01] \d{3} )", came) if part])


def parted(answer: bytes) -> tuple[int, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), body


def unframed(request: bytes) -> bytes:
    """The body of what an agent or the app was sent, out of its chunks if it is in such."""
    head, _, body = request.partition(b"\r\n\r\n")
    chunks = re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", body, re.DOTALL)
    return b"".join(chunks) if b"chunked" in head else body


def both(row: Row) -> tuple[bool, ...]:
    return (False, True) if len(row.payload) < SMALL else (False,)


# --- what is no HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADS)
async def test_f01_f22_f28_a_head_of_two_readings_is_refused_in_constant_words_and_seen_by_nobody(
    sidecar: Running, agent: Server, app: Server, name: str
) -> None:
    row = HEADS[name]
    for way in WAYS:
        for split in both(row):
            answer = await told(sidecar, way, row.payload, split=split)
            assert answer.answers == [(row.status, b'{"error":"%b"}' % row.code.encode())], (way, split)
    assert (agent.connections, app.connections) == (0, 0)


@pytest.mark.parametrize("name", MEANT)
async def test_f17_f26_f28_what_others_could_have_taken_otherwise_ends_its_connection(
    sidecar: Running, agent: Server, app: Server, name: str
) -> None:
    row = MEANT[name]
    for way in WAYS:
        for split in both(row):
            answer = await told(sidecar, way, row.payload, split=split)
            assert answer.errors == [(row.status, row.code)], (way, split)
            assert b"evil" not in answer.answers[0][1]
    assert (agent.connections, app.connections) == (0, 0)


@pytest.mark.parametrize("name", CHUNKS)
async def test_f09_f10_f28_a_body_that_is_broken_is_never_a_whole_request_of_an_agent_or_app(
    sidecar: Running, agent: Server, app: Server, name: str
) -> None:
    row = CHUNKS[name]
    for way in WAYS:
        for split in both(row):
            answer = await told(sidecar, way, row.payload, split=split)
            assert answer.errors == [(row.status, row.code)], (way, split)
    await asyncio.gather(agent.empty(), app.empty())
    assert (agent.requests, app.requests) == ([], [])


async def test_f16_of_all_that_is_no_http_one_line_a_second_is_told_and_nothing_of_it(
    sidecar: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    marked = {name: row.payload.replace(b"X", b"Canary") for name, row in HEADS.items()}
    began = time.monotonic()
    for payload in marked.values():
        await told(sidecar, "a relay", payload)
    seconds = time.monotonic() - began
    sidecar.app.telemetry.flush()
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    kinds = {row.code for row in HEADS.values()}
    assert len(kinds) <= len(lines) <= len(kinds) * (1 + seconds)
    assert not [line for line in lines if "canary" in line.lower() or "evil" in line]
    counted = await sidecar.metric("sidecar_requests_total", door="egress", outcome="refused_input")
    assert counted == len(HEADS)


async def test_f23_what_was_asked_before_is_answered_and_nothing_behind_it_is_read(
    sidecar: Running, agent: Server
) -> None:
    door = URL(sidecar.egress)
    asked = post(b"Content-Length: 14", body=ASKED).replace(b"TARGET", b"/agents/default/x")
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(asked)
    assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")
    writer.write(asked.replace(b"Content-Length: 14", b"Content-Length: +14") + asked)
    assert (await reader.read()).endswith(b'{"error":"bad_request"}')
    assert len(agent.requests) == 1
    writer.close()


async def test_f23_of_three_in_one_piece_the_first_is_answered_the_second_refused_and_the_third_not_read(
    sidecar: Running, agent: Server
) -> None:
    asked = post(b"Content-Length: 14", body=ASKED)
    answer = await told(sidecar, "a relay", asked + asked.replace(b"14", b"+14") + asked)
    assert answer.statuses == [200, 400]
    assert answer.answers[1][1] == b'{"error":"bad_request"}'
    assert len(agent.requests) == 1


# --- what is HTTP, if unusual -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
async def test_f04_a_length_with_zeros_before_it_is_told_without_them(
    sidecar: Running, agent: Server, app: Server, way: str, split: bool
) -> None:
    asked = post(b"Content-Length: 0014", b"Connection: close", body=ASKED)
    answer = await told(sidecar, way, asked, split=split, behind=b"")
    assert answer.statuses == [200]
    (seen,) = agent.requests + app.requests
    assert re.findall(rb"(?i)content-length: *(\d+)", seen) == [b"14"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"chunked ", b"\tchunked"])
async def test_f06_chunked_in_any_case_and_with_any_blank_around_it_is_chunked_and_told_anew(
    sidecar: Running, agent: Server, app: Server, way: str, split: bool, coding: bytes
) -> None:
    """RFC 9112 §5 allows a tab there as it does a space, and the parser hands on neither."""
    answer = await told(sidecar, way, coded(coding), split=split)
    assert answer.statuses == [200]
    (seen,) = agent.requests + app.requests
    assert unframed(seen) == ASKED
    assert set(re.findall(rb"(?i)transfer-encoding:([^\r]*)", seen)) <= {b" chunked"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    "trailer",
    [b"X-Forwarded-Email: eve@example.org", b"Authorization: Bearer eve", b"Host: eve", b"X-Eve: 1"],
)
async def test_f12_a_trailer_is_no_header_neither_of_its_request_nor_of_the_next(
    start: Start, agent: Server, app: Server, way: str, split: bool, trailer: bytes
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, FRONT_ROUTES="/api/chat", TRUST="127.0.0.0/8")
    await told(sidecar, way, in_chunks(CHUNKED[:-2] + b"X: 1\r\n" + trailer + b"\r\n\r\n"), split=split)
    seen = b"".join(agent.requests + app.requests)
    assert b"eve" not in seen.lower()
    assert b"hidden" not in seen


async def test_f11_ten_thousand_chunks_of_one_byte_are_one_body_and_cost_little(
    sidecar: Running, agent: Server
) -> None:
    began = time.process_time()
    answer = await told(sidecar, "a relay", in_chunks(b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n"))
    assert time.process_time() - began < 0.5  # of which ours is the smaller part
    assert answer.statuses == [200]
    (seen,) = agent.requests
    assert unframed(seen) == b"a" * 10_000


@pytest.mark.parametrize("split", [1, 1000, 100_000])
async def test_f11_the_extension_of_a_chunk_is_skipped_and_one_without_measure_is_no_body(
    sidecar: Running, agent: Server, split: int
) -> None:
    short = await told(sidecar, "a relay", in_chunks(b"1;" + b"secret" * 600 + b"\r\na\r\n0\r\n\r\n"))
    assert short.statuses == [200]
    assert b"secret" not in agent.requests[0]
    asked = in_chunks(b"1;" + b"a" * (16 << 10) + b"\r\na\r\n0\r\n\r\n")
    answer = await told(sidecar, "a relay", asked, split=split, behind=b"")
    assert answer.errors == [(400, "bad_request")]
    assert len(agent.requests) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_f24_what_is_longer_than_it_said_is_no_second_request(
    sidecar: Running, agent: Server, app: Server, way: str
) -> None:
    for split in (False, True):
        answer = await told(sidecar, way, of_length(b"14") + b"more", split=split)
        assert answer.statuses == [200, 400]
    assert b"hidden" not in b"".join(agent.requests + app.requests)


@pytest.mark.parametrize("way", WAYS)
async def test_f24_what_is_shorter_than_it_said_reaches_nobody_as_a_whole(
    sidecar: Running, agent: Server, app: Server, way: str
) -> None:
    name, target = WAYS[way]
    door = URL(getattr(sidecar, name))
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(of_length(b"15").replace(b"TARGET", target))
    writer.write_eof()
    assert b" 200 " not in await reader.read()
    await asyncio.gather(agent.empty(), app.empty())
    assert (agent.requests, app.requests) == ([], [])
    writer.close()


@pytest.mark.parametrize("way", ["the app", "a relay"])
@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
async def test_f25_a_body_where_none_is_usual_goes_along_with_its_exact_length(
    sidecar: Running, agent: Server, app: Server, way: str, method: bytes
) -> None:
    lines = (b"Content-Length: 14", b"Connection: close")
    asked = post(*lines, body=ASKED, start=method + b" TARGET HTTP/1.1")
    assert (await told(sidecar, way, asked, behind=b"")).statuses == [200]
    (seen,) = agent.requests + app.requests
    assert seen.startswith(method + b" /x ")
    assert seen.endswith(b"\r\n\r\n" + ASKED)
    assert re.findall(rb"(?i)content-length: *(\d+)", seen) == [b"14"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    "protocol", ["h2c", "tcp", "h2c, websocket", "websocket\r\nUpgrade: h2c", "websoc\u212aet"]
)
async def test_f27_an_upgrade_to_anything_else_than_a_websocket_is_ignored_told_to_nobody_and_nothing_is_read_behind_it(
    sidecar: Running, agent: Server, app: Server, way: str, split: bool, protocol: str
) -> None:
    """Whoever stands in between may have taken what follows for that protocol."""
    lines = (
        b"Connection: Upgrade, HTTP2-Settings",
        f"Upgrade: {protocol}".encode(),
        b"HTTP2-Settings: AAMAAABk",
    )
    answer = await told(sidecar, way, post(*lines, b"Content-Length: 14", body=ASKED), split=split)
    assert answer.statuses == [200]
    (seen,) = agent.requests + app.requests
    assert not [word for word in (b"h2c", b"http2", b"upgrade", b"hidden") if word in seen.lower()]
