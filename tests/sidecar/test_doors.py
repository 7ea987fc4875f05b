"""The doors: what of aiohttp they rely on, and how they meet callers that are slow, broken or too many."""

import asyncio
import errno
import gc
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from journeys.process import Started, starting

from policies.refusal import Refusal
from sidecar.answer import Answer, Patience
from sidecar.doors import CannotListen, Listener, Request
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
        answer = Answer(request, Patience(), [], 0.0)
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

    async def opening(**how: Any) -> Listener:
        told: Callable[..., None] = lambda where, code, error: door.malformed.append(code)  # noqa: E731
        more = {"malformed": told, "sweep": sweep, "warn": door.warnings.append}
        listener = Listener("egress", "127.0.0.1", 0, door.handle, **more, **how)
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
