"""The doors: one request after the other, and how they meet callers that are slow, broken or too many."""

import asyncio
import errno
import gc
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from journeys.process import Started, starting
from wire.hostile import until

from policies.refusal import Refusal
from sidecar.answer import Answer, Patience
from sidecar.doors import KEEPALIVE, CannotListen, Listener, Request
from sidecar.doors.connection import BEHIND, Connection
from sidecar.doors.content import HELD
from sidecar.doors.server import LINGER, Handler
from sidecar.sweep import Sweep

Open = Callable[..., Awaitable[Listener]]
ASKED = b"GET /one HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Door:
    """A door that answers every request with its body, and what was said of it."""

    def __init__(self) -> None:
        self.malformed: list[str] = []
        self.asked: list[str] = []
        self.broken: list[str] = []
        self.reached = asyncio.Event()
        self.warnings: list[str] = []

    async def handle(self, request: Request) -> Answer:
        self.asked.append(request.raw_path)
        self.reached.set()
        answer = said(request)
        body = b""
        try:
            while chunk := await request.content.more():
                body += chunk
        except Refusal as refusal:
            self.broken.append(refusal.code)
            answer.head(refusal.status, [])
            return await answer.end(b"broken")
        if request.raw_path == "/slow":
            await asyncio.sleep(0.6)
        if request.raw_path == "/breaks":
            raise LookupError("secret")
        return await answer.end(body or b"fine")


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
async def opened(door: Door) -> AsyncIterator[Open]:
    sweep = Sweep(0.02)
    sweep.start()
    listeners = []

    async def opening(handler: Handler = door.handle, **how: Any) -> Listener:
        told: Callable[..., None] = lambda where, code, error: door.malformed.append(code)  # noqa: E731
        more = {"malformed": told, "sweep": sweep, "warn": door.warnings.append}
        listener = Listener("egress", "127.0.0.1", 0, handler, **more, **how)
        await listener.open()
        listeners.append(listener)
        return listener

    yield opening
    for listener in listeners:
        await listener.close()
    sweep.stop()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Started]:
    async with starting(tmp_path) as started:
        yield started


async def connected(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", listener.port)


@asynccontextmanager
async def calling(listener: Listener, buffer: int = 0) -> AsyncIterator[socket.socket]:
    """A bare socket: no stream of asyncio's, to which a reset takes away what has come."""
    with socket.socket() as one:
        if buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", listener.port))
        yield one


async def send(one: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(10):
        await asyncio.get_running_loop().sock_sendall(one, data)


async def ended(one: socket.socket) -> bytes:
    """All that comes until the end. ConnectionError where that is a reset."""
    came = bytearray()
    async with asyncio.timeout(10):
        while chunk := await asyncio.get_running_loop().sock_recv(one, 1 << 18):
            came += chunk
    return bytes(came)


async def reading(one: socket.socket, last: bytes) -> bytes:
    came = b""
    async with asyncio.timeout(10):
        while not came.endswith(last):
            chunk = await asyncio.get_running_loop().sock_recv(one, 1 << 18)
            assert chunk, came
            came += chunk
    return came


def reset(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def said(request: Request) -> Answer:
    return Answer(request, Patience(), [("Server", "sidecar")], 0.0)


def the_connection(listener: Listener) -> Connection:
    assert listener._server is not None
    (one,) = listener._server.connections
    return one


# --- D01: heads that do not end ----------------------------------------------------------------------------


async def test_d01_a_head_that_does_not_end_is_408_and_closed(opened: Open, door: Door) -> None:
    listener = await opened(head_timeout=0.2)
    reader, writer = await connected(listener)
    writer.write(ASKED[:-2])
    answer = await asyncio.wait_for(reader.read(), 2)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == b'{"error":"head_timeout"}'
    assert (door.asked, door.malformed) == ([], ["head_timeout"])
    writer.close()


async def test_d01_a_byte_now_and_then_does_not_prolong_it(opened: Open) -> None:
    listener = await opened(head_timeout=0.3)
    reader, writer = await connected(listener)
    closed = asyncio.ensure_future(reader.readuntil(b'"head_timeout"}'))
    began = asyncio.get_running_loop().time()
    for byte in ASKED:
        writer.write(bytes([byte]))
        await asyncio.wait({closed}, timeout=0.03)
        if closed.done():
            break
    assert closed.done()
    assert (await closed).startswith(b"HTTP/1.1 408 ")
    assert 0.2 < asyncio.get_running_loop().time() - began < 1
    writer.close()


async def test_a_head_in_pieces_within_its_time_is_served_and_the_next_has_its_own_time(
    opened: Open, door: Door
) -> None:
    listener = await opened(head_timeout=0.3)
    reader, writer = await connected(listener)
    for _ in range(3):
        writer.write(ASKED[:20])
        await asyncio.sleep(0.15)  # three times this is more than one head has
        writer.write(ASKED[20:])
        assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
    assert door.asked == ["/one"] * 3
    writer.close()


async def test_a_door_that_refuses_closes_what_idles_at_once_and_ends_the_answer_that_it_gives(
    opened: Open, door: Door
) -> None:
    """L04: a caller who had the connection in hand would wait for an answer until the process is gone."""
    listener = await opened()
    (fresh, one), (kept, two), (busy, three) = [await connected(listener) for _ in range(3)]
    two.write(ASKED)
    assert (await kept.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
    door.reached.clear()
    three.write(ASKED.replace(b"/one", b"/slow"))
    await door.reached.wait()
    listener.refuse()
    async with asyncio.timeout(5):
        assert await fresh.read() == b""
        assert await kept.read() == b""
        assert (await busy.read()).endswith(b"fine")
    for writer in (one, two, three):
        writer.close()


async def test_neither_idleness_nor_a_slow_body_nor_a_slow_answer_is_a_slow_head(
    opened: Open, door: Door
) -> None:
    listener = await opened(head_timeout=0.1)
    idle_reader, idle = await connected(listener)
    reader, writer = await connected(listener)
    writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
    for piece in (b"ab", b"cd", b"ef"):
        await asyncio.sleep(0.15)
        writer.write(piece)
    assert (await reader.readuntil(b"abcdef")).startswith(b"HTTP/1.1 200 ")
    writer.write(ASKED.replace(b"/one", b"/slow"))
    assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
    idle.write(ASKED)
    assert (await idle_reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
    assert door.malformed == []
    writer.close()
    idle.close()


async def test_an_empty_line_behind_a_body_is_no_head(opened: Open, door: Door) -> None:
    listener = await opened(head_timeout=0.2)
    reader, writer = await connected(listener)
    writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
    await reader.readuntil(b"\r\n\r\nab")
    writer.write(b"\r\n")  # as clients of long ago do
    await asyncio.sleep(0.4)
    writer.write(ASKED)
    assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
    assert door.malformed == []
    writer.close()


async def test_a_queue_of_requests_that_was_full_leaves_the_connection_to_idle(
    opened: Open, door: Door
) -> None:
    listener = await opened(head_timeout=0.2)
    reader, writer = await connected(listener)
    for count in (32, 33, 64, 100):  # aiohttp reads 32 ahead
        writer.write(ASKED * count)
        for _ in range(count):
            await reader.readuntil(b"fine")
        await asyncio.sleep(0.3)
    assert door.malformed == []
    assert len(door.asked) == 229
    writer.close()


async def test_d01_two_hundred_of_them_are_closed_while_others_are_served(opened: Open, door: Door) -> None:
    listener = await opened(head_timeout=0.5)
    slow = [await connected(listener) for _ in range(200)]
    for _, writer in slow:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ")
    reader, writer = await connected(listener)
    times = []
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        writer.write(ASKED)
        await reader.readuntil(b"fine")
        times.append(asyncio.get_running_loop().time() - began)
        await asyncio.sleep(0.01)
    answers = await asyncio.wait_for(asyncio.gather(*(one.read() for one, _ in slow)), 3)
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    assert sorted(times)[10] < 0.05
    assert door.malformed == ["head_timeout"] * 200
    for _, one in (*slow, (reader, writer)):
        one.close()


def memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


async def test_d09_a_connection_that_idles_costs_no_more_than_15_kib(process: Started) -> None:
    one = await (await process("serve", AGENT_APP_URL="http://127.0.0.1:1")).ready()
    port = int(one.doors["egress"].rpartition(":")[2])

    async def idling() -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /agents/nobody/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"unknown_agent" in await reader.readuntil(b"}")
        return writer

    writers = [await idling() for _ in range(50)]
    before = memory(one.process.pid)
    writers += [await idling() for _ in range(500)]
    assert (memory(one.process.pid) - before) / 500 < 15 << 10
    for writer in writers:
        writer.transport.abort()


# --- bodies that are broken in the middle ------------------------------------------------------------------

UPLOAD = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = (b"xyz\r\n", b"5\r\nhelloX", b"0x5\r\nhello\r\n", b"-1\r\n", b"5\nhello\r\n")


@pytest.mark.parametrize("rest", BROKEN)
async def test_f09_f10_a_chunk_that_is_none_breaks_the_body_at_once(
    opened: Open, door: Door, rest: bytes
) -> None:
    listener = await opened()
    reader, writer = await connected(listener)
    writer.write(UPLOAD + b"3\r\nabc\r\n")
    await door.reached.wait()
    writer.write(rest)
    answer = await asyncio.wait_for(reader.read(), 2)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert door.broken == ["bad_request"]
    writer.close()


async def test_f23_what_is_no_http_behind_a_whole_request_leaves_that_one_its_answer(
    opened: Open, door: Door
) -> None:
    listener = await opened()
    reader, writer = await connected(listener)
    writer.write(ASKED.replace(b"/one", b"/slow"))
    await door.reached.wait()
    writer.write(b"NO HTTP\r\n\r\n" + ASKED)
    answer = await asyncio.wait_for(reader.read(), 3)
    assert re.findall(rb"HTTP/1\.\d (\d+)", answer) == [b"200", b"400"]
    assert (door.asked, door.malformed) == (["/slow"], ["bad_request"])
    writer.close()


async def test_who_sends_on_after_a_body_that_broke_gets_his_answer_and_no_reset(
    opened: Open, door: Door
) -> None:
    async with calling(await opened()) as one:
        await send(one, UPLOAD + b"3\r\nabc\r\n")
        await door.reached.wait()
        await send(one, b"xyz\r\n" + bytes(20 << 20))
        answer = await ended(one)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


# --- one after the other -----------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [3, 200])
async def test_what_is_asked_in_one_piece_is_answered_in_order_and_each_before_the_next_is_begun(
    opened: Open, many: int
) -> None:
    told: list[str] = []

    async def handler(request: Request) -> Answer:
        told.append(f"begun {request.raw_path}")
        await asyncio.sleep(0)
        answer = await said(request).end(request.raw_path.encode() + await request.content.more())
        told.append(f"ended {request.raw_path}")
        return answer

    asked = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(many - 1)]
    asked.insert(1, b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /")
    asked.append(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    async with calling(await opened(handler)) as one:
        await send(one, b"".join(asked))
        answers = await ended(one)
    paths = [line.split()[1].decode() for line in asked]
    assert told == [f"{what} {path}" for path in paths for what in ("begun", "ended")]
    bodies = re.findall(rb"HTTP/1\.1 200 .*?\r\n\r\n(.*?)(?=HTTP|$)", answers, re.DOTALL)
    assert [body.decode() for body in bodies] == [path if path != "/body" else "/bodyGET /" for path in paths]


async def test_answers_larger_than_a_socket_takes_are_given_one_at_a_time_as_they_are_read(
    opened: Open,
) -> None:
    begun: list[str] = []
    body = bytes(4 << 20)

    async def handler(request: Request) -> Answer:
        begun.append(request.raw_path)
        return await said(request).end(body + request.raw_path.encode())

    reader, writer = await connected(await opened(handler))
    writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(8)))
    for n in range(8):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(body) + 2) == body + b"/%d" % n
        assert len(begun) <= n + 4  # sockets hold some
    assert len(begun) == 8
    writer.close()


@pytest.mark.parametrize("first", ["GET", "POST"])
async def test_who_asks_on_without_end_is_made_to_wait_while_an_answer_is_made(
    opened: Open, first: str
) -> None:
    begun, may = asyncio.Event(), asyncio.Event()
    read, held = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        begun.set()
        await read.wait()
        body = await request.content.more()
        held.set()
        await may.wait()
        return await said(request).end(body)

    listener = await opened(handler)
    async with calling(listener) as one:
        await send(one, f"{first} / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody".encode())
        asking = asyncio.ensure_future(send(one, ASKED * ((32 << 20) // len(ASKED))))
        await begun.wait()
        await asyncio.wait({asking}, timeout=0.2)
        connection = the_connection(listener)
        one_read = 256 << 10
        assert BEHIND <= len(connection._behind) < BEHIND + one_read
        read.set()
        await held.wait()
        await asyncio.wait({asking}, timeout=0.1)
        assert BEHIND <= len(connection._behind) < BEHIND + one_read
        assert not asking.done()
        may.set()
        assert (await asyncio.get_running_loop().sock_recv(one, 12)) == b"HTTP/1.1 200"
        asking.cancel()
        await asyncio.wait({asking})


async def test_what_is_held_behind_requests_does_not_grow_as_they_are_answered(opened: Open) -> None:
    behind: list[int] = []

    async def handler(request: Request) -> Answer:
        for _ in range(3):  # turns of the loop in which more could be read
            await asyncio.sleep(0)
        behind.append(len(request.connection._behind))
        return await said(request).end(b"fine")

    async with calling(await opened(handler)) as one:
        asking = asyncio.ensure_future(send(one, ASKED * ((4 << 20) // len(ASKED))))
        await until(lambda: len(behind) >= 300)
        asking.cancel()
        await asyncio.wait({asking})
        reset(one)
    assert max(behind) < BEHIND + (256 << 10)


@pytest.mark.parametrize("body", [0, 1 << 20])
async def test_of_much_that_is_asked_at_once_all_is_answered(opened: Open, door: Door, body: int) -> None:
    """Whoever is made to wait is read on again: by whichever part of a request the wait ended."""
    one_asked = b"POST /x HTTP/1.1\r\nHost: a\r\nX: %b\r\nContent-Length: %d\r\n\r\n" % (b"a" * 30_000, body)
    reader, writer = await connected(await opened())
    writer.write((one_asked + bytes(body)) * 20)
    async with asyncio.timeout(10):
        for _ in range(20):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(body or 4) == (bytes(body) or b"fine")
    writer.close()


@pytest.mark.parametrize(
    "last",
    [
        b"Connection: close",
        b"Connection: Upgrade\r\nUpgrade: h2c",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
        b"Transfer-Encoding: chunked",
    ],
)
async def test_behind_a_request_that_is_the_last_of_its_connection_nothing_is_read(
    opened: Open, door: Door, last: bytes
) -> None:
    chunks = b"0\r\n\r\n" if b"chunked" in last else b""
    async with calling(await opened()) as one:
        await send(one, b"POST /last HTTP/1.1\r\nHost: a\r\n" + last + b"\r\n\r\n" + chunks + ASKED)
        answer = await ended(one)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert door.asked == ["/last"]


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
async def test_f24_a_body_in_chunks_ends_where_it_does_though_another_with_its_request_comes_in_one_piece(
    opened: Open, door: Door, more: bytes
) -> None:
    """Where others share the connection, that is somebody else's. It was taken for more of the first."""
    behind = b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret"
    async with calling(await opened()) as one:
        await send(one, UPLOAD[:-2] + more + b"\r\n3\r\nabc\r\n0\r\n\r\n" + behind)
        assert (await ended(one)).endswith(b"\r\n\r\nabc")
    assert door.asked == ["/up"]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"h2c, websocket", b"TLS/1.0"])
@pytest.mark.parametrize("chunks", [b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nX: y\r\n\r\n" + ASKED])
async def test_f27_a_body_in_chunks_is_read_whole_though_another_protocol_is_asked_for(
    opened: Open, door: Door, protocol: bytes, chunks: bytes
) -> None:
    """As Java's client asks for HTTP/2. It was read as no body at all, and a request that is whole."""
    lines = b"Connection: Upgrade\r\nUpgrade: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % protocol
    for size in (1, 1 << 20):
        async with calling(await opened()) as one:
            data = b"POST /up HTTP/1.1\r\nHost: a\r\n" + lines + chunks
            for at in range(0, len(data), size):
                await send(one, data[at : at + size])
            assert (await ended(one)).endswith(b"\r\n\r\nabc")
    assert door.asked == ["/up"] * 2


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
async def test_f09_f27_nor_is_a_broken_one_a_whole_request_then(
    opened: Open, door: Door, protocol: bytes
) -> None:
    lines = b"Connection: Upgrade\r\nUpgrade: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % protocol
    async with calling(await opened()) as one:
        await send(one, b"POST /up HTTP/1.1\r\nHost: a\r\n" + lines)
        await door.reached.wait()
        await send(one, b"xyz\r\n")
        assert (await ended(one)).startswith(b"HTTP/1.1 400 ")
    assert door.broken == ["bad_request"]


@pytest.mark.parametrize(
    "last", [b"Connection: close\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
async def test_no_last_answer_is_lost_though_its_caller_asks_on(opened: Open, last: bytes) -> None:
    asked_on = asyncio.Event()

    async def handler(request: Request) -> Answer:
        await asked_on.wait()
        return await said(request).end(bytes(100_000))

    async with calling(await opened(handler), buffer=4096) as one:
        await send(one, b"POST / HTTP/1.1\r\nHost: a\r\n" + last)
        asking = asyncio.ensure_future(send(one, ASKED * 100_000))
        await asyncio.wait({asking}, timeout=0.1)
        asked_on.set()
        assert len(await ended(one)) > 100_000
        await asking


async def test_http_1_0_is_closed_behind_its_answer_unless_it_asks_to_be_kept(
    opened: Open, door: Door
) -> None:
    listener = await opened()
    async with calling(listener) as one:
        await send(one, b"GET /old HTTP/1.0\r\n\r\n" + ASKED)
        assert (await ended(one)).count(b"HTTP/1.1") == 1
    async with calling(listener) as one:
        for _ in range(2):
            await send(one, b"GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"\r\nConnection: keep-alive\r\n" in await reading(one, b"fine")
        await send(one, b"GET /old HTTP/1.0\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in await ended(one)
    assert door.asked == ["/old", "/kept", "/kept", "/old"]


async def test_head_is_answered_without_a_body_and_what_follows_is_in_step(opened: Open) -> None:
    async with calling(await opened()) as one:
        await send(
            one,
            ASKED.replace(b"GET", b"HEAD") * 2 + ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        )
        heads = (await ended(one)).split(b"\r\n\r\n")
    assert [head[:12] for head in heads] == [b"HTTP/1.1 200"] * 3 + [b"fine"]
    assert all(b"\r\nContent-Length: 4\r\n" in head for head in heads[:3])


@pytest.mark.parametrize("asked", [ASKED, b"GET / HTTP/1.0\r\n\r\n"])
async def test_an_answer_without_a_field_has_a_head_all_the_same(opened: Open, asked: bytes) -> None:
    async def handler(request: Request) -> Answer:
        return await Answer(request, Patience(), [], 0.0, dated=False).end(b"fine")

    async with calling(await opened(handler)) as one:
        await send(one, asked)
        head, _, body = (await reading(one, b"fine")).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 4" in head
    assert body == b"fine"


# --- answers given before the body came --------------------------------------------------------------------


def refused(size: int = 7) -> Handler:
    async def handler(request: Request) -> Answer:
        if request.raw_path == "/one":
            return await said(request).end(b"fine")
        answer = said(request)
        answer.head(413, [])
        return await answer.end(b"a" * size)

    return handler


async def test_a_body_that_ends_soon_behind_its_answer_leaves_the_connection_to_the_next(
    opened: Open,
) -> None:
    async with calling(await opened(refused())) as one:
        for _ in range(2):
            await send(one, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
            answer = await reading(one, b"aaaaaaa")
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"Connection" not in answer
            await send(one, b"def" + ASKED[:10])
            await send(one, ASKED[10:])
            assert (await reading(one, b"fine")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(LINGER + 0.2)  # it is not closed for having lingered once
        await send(one, ASKED)
        assert (await reading(one, b"fine")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_does_not_end_behind_its_answer_is_let_go_for_two_seconds_and_closed(
    opened: Open,
) -> None:
    loop = asyncio.get_running_loop()
    async with calling(await opened(refused())) as one:
        await send(one, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\nabc")
        await reading(one, b"aaaaaaa")
        began = loop.time()
        closed = asyncio.ensure_future(ended(one))
        while not closed.done():
            await send(one, b"a")
            await asyncio.wait({closed}, timeout=0.1)
        assert await closed == b""
        assert LINGER - 0.2 < loop.time() - began < LINGER + 0.5


async def test_a_body_in_chunks_that_nobody_reads_is_read_on_though_the_connection_has_been_ended(
    opened: Open,
) -> None:
    listener = await opened(refused())
    async with calling(listener) as one:
        await send(one, UPLOAD + b"3\r\nabc\r\n")
        answer = await ended(one)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in answer
        await send(one, b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        connection = the_connection(listener)
        await send(one, b"0\r\n\r\n")
        async with asyncio.timeout(LINGER / 2):  # it is over when the body is
            await until(lambda: connection.transport is None)


@pytest.mark.parametrize("framing", ["a length", "chunks", "a length, closed"])
async def test_no_answer_is_lost_though_megabytes_still_come(opened: Open, framing: str) -> None:
    size = 20 << 20
    head = b"POST /up HTTP/1.1\r\nHost: a\r\n"
    if framing == "chunks":
        data = UPLOAD + b"100000\r\n%b\r\n" % bytes(1 << 20) * 20 + b"0\r\n\r\n"
    else:
        head += b"Connection: close\r\n" if framing == "a length, closed" else b""
        data = head + b"Content-Length: %d\r\n\r\n" % size + bytes(size)
    async with calling(await opened(refused(100_000))) as one:
        await send(one, data)
        if framing == "a length":
            answer = await reading(one, b"a" * 1000)
            assert len(answer) > 100_000
            await send(one, ASKED)
            assert (await reading(one, b"fine")).startswith(b"HTTP/1.1 200 ")
        else:
            answer = await ended(one)
            assert len(answer) > 100_000
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_no_refusal_is_lost_though_megabytes_still_come(opened: Open) -> None:
    async with calling(await opened()) as one:
        await send(one, b"NO HTTP\r\n\r\n" + bytes(20 << 20))
        assert (await ended(one)).endswith(b'\r\n\r\n{"error":"bad_request"}')


async def test_who_resets_his_connection_once_he_was_answered_leaves_no_error_behind(
    opened: Open, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """What is said of it to the socket fails then, before the loop has seen it."""
    callers: list[socket.socket] = []

    async def handler(request: Request) -> Answer:
        answer = await said(request).end(b"fine")
        reset(callers.pop())
        return answer

    listener = await opened(handler)
    for lines in (
        b"Content-Length: 5\r\nConnection: close",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
    ):
        async with calling(listener) as one:
            callers.append(one)
            await send(one, b"POST /up HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n")
            await until(lambda: not callers)
    await listener.close()
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    assert door.malformed == []


# --- idle connections --------------------------------------------------------------------------------------


async def test_a_connection_that_idles_is_closed_and_one_that_is_busy_is_not(
    opened: Open, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEEPALIVE, "egress", 0.3)
    listener, loop = await opened(), asyncio.get_running_loop()
    async with (
        calling(listener) as silent,
        calling(listener) as kept,
        calling(listener) as busy,
        calling(listener) as sending,
    ):
        began = loop.time()
        await send(busy, ASKED.replace(b"/one", b"/slow"))
        await send(sending, b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        await asyncio.sleep(0.15)
        await send(kept, ASKED)
        await reading(kept, b"fine")
        assert await ended(silent) == b""
        assert 0.2 < loop.time() - began < 0.5
        answered = loop.time()
        assert await ended(kept) == b""
        assert answered - began < 0.45 < loop.time() - began + 0.1
        await reading(busy, b"fine")  # after twice as long as it may idle
        assert loop.time() - began > 0.55
        await send(sending, b"dy")
        await reading(sending, b"body")
        await send(busy, ASKED)
        await reading(busy, b"fine")
        assert await ended(busy) == await ended(sending) == b""
    assert door.malformed == []


async def test_who_does_not_take_the_rest_of_his_answer_has_his_connection_no_longer_than_others(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What he leaves with us is so little that nobody waits for it, and a close would wait for ever."""
    monkeypatch.setitem(KEEPALIVE, "egress", 0.2)
    answered = asyncio.Event()

    async def handler(request: Request) -> Answer:
        answer, connection = said(request), request.connection
        answer.head(200, [], 1 << 30)
        while connection.transport is not None and not connection.transport.get_write_buffer_size():
            await answer.write(bytes(1000))
        answered.set()
        return answer

    listener = await opened(handler)
    async with calling(listener, buffer=4096) as one:
        await send(one, ASKED)
        await answered.wait()
        connection = the_connection(listener)
        await until(lambda: connection.transport is None)


# --- handlers that break -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LookupError("secret"), ConnectionResetError("not the caller's")])
@pytest.mark.parametrize("body", [b"", b"Content-Length: 2\r\n\r\nab", b"Content-Length: 9\r\n\r\nab"])
async def test_a_handler_that_breaks_is_500_in_constant_words_and_closes(
    opened: Open, door: Door, body: bytes, error: Exception
) -> None:
    async def handler(request: Request) -> Answer:
        raise error

    async with calling(await opened(handler)) as one:
        await send(one, b"POST /breaks HTTP/1.1\r\nHost: a\r\n" + (body or b"\r\n"))
        answer = await ended(one)
    head, _, said_so = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"\r\nConnection: close" in head
    assert f"Content-Length: {len(said_so)}".encode() in head
    assert said_so == b'{"error":"internal_error"}'
    assert door.malformed == ["internal_error"]


async def test_what_is_asked_behind_a_handler_that_breaks_is_not_read(opened: Open, door: Door) -> None:
    async with calling(await opened()) as one:
        await send(one, ASKED.replace(b"/one", b"/breaks") + ASKED)
        assert (await ended(one)).count(b"HTTP/1.1") == 1
    assert door.asked == ["/breaks"]


async def test_a_handler_that_breaks_in_the_middle_of_its_answer_resets_the_connection(
    opened: Open, door: Door
) -> None:
    async def handler(request: Request) -> Answer:
        await said(request).write(b"some")
        raise LookupError("secret")

    async with calling(await opened(handler)) as one:
        await send(one, b"GET / HTTP/1.0\r\n\r\n")  # where an end in good order would be a whole answer
        with pytest.raises(ConnectionResetError):
            await ended(one)
    assert door.malformed == ["internal_error"]


async def test_a_handler_that_is_cancelled_from_elsewhere_leaves_nobody_waiting(
    opened: Open, door: Door
) -> None:
    async def handler(request: Request) -> Answer:
        raise asyncio.CancelledError

    async with calling(await opened(handler)) as one:
        await send(one, ASKED)
        with suppress(ConnectionResetError):
            assert await ended(one) == b""


# --- callers who leave -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["an end", "a reset"])
@pytest.mark.parametrize(
    "asked",
    [ASKED, b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", UPLOAD + b"1\r\na\r\n"],
    ids=["nothing", "a body", "chunks"],
)
async def test_d04_d05_a_caller_who_leaves_cancels_what_answers_him_at_once(
    opened: Open, door: Door, asked: bytes, how: str
) -> None:
    waiting, left = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    listener = await opened(handler)
    async with calling(listener) as one:
        await send(one, asked)
        await waiting.wait()
        one.shutdown(socket.SHUT_WR) if how == "an end" else reset(one)
        await asyncio.wait_for(left.wait(), 1)
    assert door.malformed == []


@pytest.mark.parametrize("how", ["an end", "a reset"])
@pytest.mark.parametrize(
    "asked",
    [b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", UPLOAD + b"2\r\nab\r\n"],
    ids=["a length", "chunks"],
)
async def test_a_caller_who_leaves_while_his_body_is_read_ends_the_reading(
    opened: Open, door: Door, asked: bytes, how: str
) -> None:
    waiting, left = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def handler(request: Request) -> Answer:
        assert await request.content.more() == b"ab"
        waiting.set()
        try:
            await request.content.more()
        except BaseException as error:
            left.set_result(type(error))
            raise
        raise AssertionError

    listener = await opened(handler)
    async with calling(listener) as one:
        await send(one, asked)
        await waiting.wait()
        one.shutdown(socket.SHUT_WR) if how == "an end" else reset(one)
        assert await asyncio.wait_for(left, 1) in (ConnectionResetError, asyncio.CancelledError)
    assert door.malformed == []


async def test_who_has_sent_a_large_body_is_seen_to_leave_while_nobody_has_read_it(opened: Open) -> None:
    whole, left = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        await until(lambda: request.content.over)
        assert request.content.at_hand() == bytes(HELD)
        whole.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    async with calling(await opened(handler)) as one:
        await send(one, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % HELD + bytes(HELD))
        await asyncio.wait_for(whole.wait(), 5)
        reset(one)
        await asyncio.wait_for(left.wait(), 1)


async def test_a_caller_who_leaves_while_his_answer_waits_for_him_ends_the_waiting(opened: Open) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        begun.set()
        answer = said(request)
        try:
            while True:
                await answer.write(bytes(1 << 18))
        finally:
            left.set()

    listener = await opened(handler)
    async with calling(listener, buffer=4096) as one:
        await send(one, ASKED)
        await begun.wait()
        await until(lambda: the_connection(listener).full)
        reset(one)
        await asyncio.wait_for(left.wait(), 1)


# --- connections that are handed over ----------------------------------------------------------------------


class Ear(asyncio.Protocol):
    """Hears so many bytes."""

    def __init__(self, many: int) -> None:
        self.heard, self.many = bytearray(), many
        self.all = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if len(self.heard) >= self.many:
            self.all.set()


@pytest.mark.parametrize("size", [10, 1 << 20])
async def test_who_is_handed_a_connection_has_all_that_came_and_comes_behind_the_request(
    opened: Open, size: int
) -> None:
    data = bytes(range(256)) * (size // 256) + b"last"
    ear, reached, may = Ear(len(data)), asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        reached.set()
        await may.wait()
        transport, early = request.connection.hand_over()
        transport.set_protocol(ear)
        ear.data_received(early)
        await ear.all.wait()
        transport.write(b"heard")
        return said(request)

    listener = await opened(handler)
    async with calling(listener) as one:
        await send(one, GET_SOCKET)
        await reached.wait()
        sending = asyncio.ensure_future(send(one, data))
        await asyncio.wait({sending}, timeout=0.1)  # until it is made to wait
        connection = the_connection(listener)
        may.set()
        await asyncio.wait_for(ear.all.wait(), 3)
        assert await reading(one, b"heard") == b"heard"
        await sending
        assert ear.heard == data
        reset(one)
    connection.connection_lost(None)  # as whoever has it must say


GET_SOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


# --- D10: no files left ------------------------------------------------------------------------------------

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.execv(sys.argv[1], sys.argv[1:])
"""
CLIENT = """
import socket, sys
port = int(sys.argv[1])
asked = b"GET /agents/nobody/x HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"

def answered(one):
    one.settimeout(5)
    try:
        one.sendall(asked)
        return one.recv(100).startswith(b"HTTP/1.1")
    except OSError:
        return False

many = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
print(sum(map(answered, many)))
for one in many:
    one.close()
print(any(answered(socket.create_connection(("127.0.0.1", port))) for _ in range(20)))
"""


async def test_d10_without_files_some_are_turned_away_the_operator_is_told_once_and_it_passes(
    process: Started, tmp_path: Path
) -> None:
    limited = tmp_path / "limited.py"
    limited.write_text(LIMITED)
    by = f"{sys.executable} {limited}"
    one = await (await process("serve", by=by, AGENT_APP_URL="http://127.0.0.1:1")).ready()
    port = one.doors["egress"].rpartition(":")[2]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, port, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(client.communicate(), 20)
    served, again = said.decode().split()
    assert 10 < int(served) < 64
    assert again == "True"
    one.signal(signal.SIGTERM)
    log, _ = await asyncio.wait_for(one.process.communicate(), 15)
    assert log.decode().count("nearly as many files and connections are open as may be") == 1
    assert one.process.returncode == 0


@pytest.mark.parametrize("turns", range(6))
async def test_who_connects_while_the_door_closes_is_let_go_of(opened: Open, turns: int) -> None:
    """CPython 3.11 forgets to close what it accepted in the turn before its server was closed (gh-109564)."""
    listener = await opened()
    with socket.create_connection(("127.0.0.1", listener.port)) as caller:
        caller.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        with suppress(ConnectionResetError):
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(caller, 1) == b""
    gc.collect()  # where it was forgotten, a warning says so, which fails the test


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.EADDRINUSE, "Address already in use"),
            "the port is taken. SIDECAR_EGRESS_PORT chooses another (0: any free one).",
        ),
        (
            OSError(errno.EACCES, "Permission denied"),
            "permission denied. SIDECAR_EGRESS_PORT chooses another (0: any free one).",
        ),
        (
            OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
            "this machine has no such address. SIDECAR_EGRESS_HOST chooses another.",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "this machine has no such address. SIDECAR_EGRESS_HOST chooses another.",
        ),
    ],
)
def test_l08_a_door_that_cannot_open_names_the_setting_that_would_have_it_open(
    error: OSError, said: str
) -> None:
    assert str(CannotListen("egress", "box", 80, error)) == f"The egress door cannot listen on box:80: {said}"
