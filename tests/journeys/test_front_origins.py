"""The front before the servers that apps really run on: uvicorn on both of its parsers, and Express on Node. F29

Each is a process of its own. What is told of a request is the same through us as without us; and however a
request is written, the server sees exactly as many as we let in.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httptools
import pytest
from journeys import node
from journeys.conftest import Running, Start
from needs import need
from peers import running
from yarl import URL

from sidecar import sim

HERE = Path(__file__).resolve().parent
SERVERS = ["uvicorn, h11", "uvicorn, httptools", "express"]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an app on such a server."""
    folder = tmp_path_factory.mktemp("server")
    name, _, http = request.param.partition(", ")
    if name == "express":
        app = node.app("express", folder)
        script = (HERE / "echo_express.mjs").read_text()
        (app / "echo.mjs").write_text(script)
        process = running.start(need("node"), app / "echo.mjs", folder=app)
        folder = app
    else:
        ours = str(Path(httptools.__file__).parent.parent)
        process = running.start(need("peers"), HERE / "echo_asgi.py", http, ours, folder=folder)
    try:
        yield running.ready(process, folder)
    finally:
        running.end(process)


@pytest.fixture
async def before(start: Start, server: str) -> AsyncIterator[Running]:
    async with sim.agent() as agent:
        yield await start(agent.url, FRONTEND_URL=server)


async def both(before: Running, server: str, method: str, path: str, **how: Any) -> list[dict[str, Any]]:
    """What the server saw of one request, without us and through us."""
    told = []
    for door in (server, before.front):
        answer = await before.http.request(method, URL(door + path, encoded=True), **how)
        assert answer.status == 200
        assert answer.headers.getall("set-cookie") == ["a=1", "b=2"]
        told.append(await answer.json())
    return told


# What we tell anew, and what is between two neighbours only.
OURS = {"via", "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"} | {
    "host",
    "connection",
}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/a%2Fb/%E4?x=%zz&&x=+", "/deep/er/?"])
async def test_the_server_sees_what_it_would_have_seen(
    before: Running, server: str, method: str, path: str
) -> None:
    headers = {"Cookie": "a=1", "Accept-Encoding": "br", "Range": "bytes=0-1"}
    direct, through = await both(
        before, server, method, path, headers=headers, data=b"body" if method != "GET" else None
    )
    for what in ("method", "target", "length", "digest"):
        assert through[what] == direct[what]
    theirs, ours = (
        sorted((name.lower(), value) for name, value in seen["headers"] if name.lower() not in OURS)
        for seen in (direct, through)
    )
    assert ours == theirs


async def test_an_upload_and_a_stream_come_through(before: Running, server: str) -> None:
    pieces = [bytes([number]) * 50_000 for number in range(40)]

    async def sent() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    answer = await before.http.put(f"{before.front}/up", data=sent())
    seen = await answer.json()
    assert (seen["length"], seen["digest"]) == (2_000_000, hashlib.sha256(b"".join(pieces)).hexdigest())
    stream = await before.http.get(f"{before.front}/stream")
    assert stream.content_type == "text/event-stream"
    assert await stream.read() == b"".join(b"data: %d\n\n" % number for number in range(20))


async def test_many_at_once_each_get_their_own_answer(before: Running) -> None:
    async def one(number: int) -> None:
        answer = await before.http.post(f"{before.front}/{number}", data=b"x" * number)
        seen = await answer.json()
        assert (seen["target"], seen["length"]) == (f"/{number}", number)

    await asyncio.gather(*(one(number) for number in range(150)))


# --- however a request is written ---------------------------------------------------------------------------

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTHS = [
    b"5",
    b"05",
    b"+5",
    b"0x5",
    b"5, 5",
    b"5\r\nContent-Length: 6",
    b"-1",
    b"5 ",
    b"",
    b"9" * 30,
    b"1_0",
]
CODINGS = [
    *(
        b"chunked",
        b"Chunked",
        b"xchunked",
        b"identity",
        b"chunked, chunked",
        b"gzip, chunked",
        b"chunked;q=1",
    ),
    *(b",chunked", b"\tchunked", b"chunked ", b"\x0bchunked", b"chunked\r\nTransfer-Encoding: identity"),
    b"chunked\r\nContent-Length: 5",
]
CHUNKED = [
    *(
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
    ),
    *(b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n", b"ffffffffffffffff5\r\nhello\r\n0\r\n\r\n"),
]
LINES = [
    *(b"X : 1", b" X: 1", b"X\x00: 1", b"X: a\x00b", b"X: a\rb", b"X: a\nY: b", b"X: a\r\n b", b": 1", b"X"),
    *(b"\xffX: 1", b"X: \x7f", b"Content-Length : 5", b"Transfer-Encoding : chunked", b"Content_Length: 5"),
    *(b"Transfer_Encoding: chunked", b"Connection: content-length", b"Connection: transfer-encoding, close"),
    *(b"Host: b", b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk"),
    *(b"Expect: 100-continue", b"TE: trailers", b"Keep-Alive: max=1", b"Proxy-Connection: keep-alive"),
]
STARTS = [
    *(b"GET /x HTTP/1.1", b"GET  /x HTTP/1.1", b"GET /x  HTTP/1.1", b"GET /x HTTP/1.0", b"GET /x HTTP/2.0"),
    *(
        b"GET /x",
        b"GET /x HTTP/1.1 ",
        b"get /x HTTP/1.1",
        b"GET\t/x HTTP/1.1",
        b"GET /x HTTP/1.01",
        b"\r\nGET /x HTTP/1.1",
    ),
    *(b"GET /a b HTTP/1.1", b"GET http://a/x HTTP/1.1", b"GET http://b/x HTTP/1.1", b"GET a:80 HTTP/1.1"),
    *(
        b"OPTIONS * HTTP/1.1",
        b"CONNECT a:80 HTTP/1.1",
        b"GET /x\x00 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET x HTTP/1.1",
    ),
    *(b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00", b"GET /x%0d%0aX:1 HTTP/1.1", b"GET /x#y HTTP/1.1"),
]


def corpus(hidden: bytes = HIDDEN) -> Iterator[bytes]:
    post = b"POST /x HTTP/1.1\r\nHost: a\r\n"
    for length in LENGTHS:
        yield post + b"Content-Length: " + length + b"\r\n\r\nhello"
        yield post + b"Content-Length: " + length + b"\r\n\r\nhello" + hidden
    for coding in CODINGS:
        yield post + b"Transfer-Encoding: " + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        yield post + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + hidden
        yield post.replace(b"1.1", b"1.0") + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + hidden
    for body in CHUNKED:
        yield post + b"Transfer-Encoding: chunked\r\n\r\n" + body
        yield post + b"Transfer-Encoding: chunked\r\n\r\n" + body + hidden
    for line in LINES:
        yield b"GET /x HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n" + hidden
        yield post + line + b"\r\nContent-Length: 5\r\n\r\nhello" + hidden
        yield post + b"Content-Length: %d\r\n" % len(hidden) + line + b"\r\n\r\n" + hidden
    for start in STARTS:
        yield start + b"\r\nHost: a\r\n\r\n" + hidden
    yield b"GET /x HTTP/1.1\r\n\r\n"
    yield b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"
    yield b"GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n"
    yield b"GET /x HTTP/1.1\nHost: a\n\n" + hidden
    yield hidden * 3 + b"GET / HTTP/9.9\r\n\r\n" + hidden


LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"  # who is still in step closes behind it
ANSWERED = re.compile(rb'"target": ?"')


async def answered(front: URL, payload: bytes, *, split: bool) -> int:
    """How many requests of this payload, and one behind it, came back answered by the app."""
    reader, writer = await asyncio.open_connection(front.host, front.port)
    told = b""
    try:
        for piece in (bytes([byte]) for byte in payload + LAST) if split else (payload + LAST,):
            writer.write(piece)
            if split:
                await asyncio.sleep(0)
        async with asyncio.timeout(0.1):
            while piece := await reader.read(65536):
                told += piece
    except (OSError, TimeoutError):  # refused in the middle of it; or what came last was taken for a body
        pass
    writer.close()
    return len(ANSWERED.findall(told))


@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
async def test_f28_f29_however_a_request_is_written_the_server_sees_as_many_as_we_let_in(
    start: Start, server: str, split: bool
) -> None:
    async with sim.agent() as agent:
        sidecar = await start(agent.url, FRONTEND_URL=server, HOSTS="a")
        served, attempts = await count(sidecar, server), 0
        for payload in islice(corpus(), 0, None, 4 if split else 1):
            told = await answered(URL(sidecar.front), payload, split=split)
            seen, made = (
                await count(sidecar, server) - 1,
                sum(sidecar.app.telemetry.counters.attempts.values()),
            )
            assert told <= seen - served <= made - attempts, payload
            served, attempts = seen + 1, made
        assert attempts > (7 if split else 30)


async def count(sidecar: Running, server: str) -> int:
    """How many requests the server has seen, this one included."""
    return int((await (await sidecar.http.get(f"{server}/")).json())["served"])
