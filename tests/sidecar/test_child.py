"""The parts of `sidecar run`: what is kept of an app's words, when it is up, who hears that it is to end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.child import disabled, port, readiness, tree
from sidecar.child.listening import listening
from sidecar.child.output import LINES, LONGEST, Tail, write
from sidecar.child.readiness import Readiness
from sidecar.child.spawn import CannotStart, spawn
from sidecar.lifetime import Lifetime

ROOT = Path(__file__).resolve().parents[2]


# Its words


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=12))
def test_the_last_lines_are_the_same_however_they_were_cut(said: bytes, cuts: list[int]) -> None:
    tail, at = Tail(), 0
    for cut in sorted(cuts):
        tail.feed(1, said[at:cut])
        at = max(at, cut)
    tail.feed(1, said[at:])
    lines = said.split(b"\n")
    kept = lines if lines[-1] else lines[:-1]
    assert tail.lines() == [line.decode(errors="replace").rstrip("\r") for line in kept[-LINES:]]


def test_of_many_lines_the_last_fifty_stay_and_of_a_long_one_its_end() -> None:
    tail = Tail()
    tail.feed(1, b"".join(b"line %d\n" % number for number in range(5000)))
    assert tail.lines() == [f"line {number}" for number in range(4950, 5000)]
    for _ in range(100):
        tail.feed(1, b"x" * 10_000)
    tail.feed(1, b"end\n")
    assert len(tail.lines()[-1]) == LONGEST
    assert tail.lines()[-1].endswith("xend")


def test_two_streams_keep_their_own_lines() -> None:
    tail = Tail()
    tail.feed(1, b"half ")
    tail.feed(2, b"an error\n")
    tail.feed(1, b"a line\nand no end")
    assert tail.lines() == ["an error", "half a line", "and no end"]


async def test_all_is_written_to_a_slow_reader_of_a_pipe_that_somebody_made_non_blocking() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    whole = os.urandom(1 << 20)
    writing = asyncio.create_task(asyncio.to_thread(write, writes, whole))
    found = b""
    while len(found) < len(whole):
        found += await asyncio.to_thread(os.read, reads, 4096 * 16)
    await writing
    os.close(reads)
    os.close(writes)
    assert found == whole


# When it is up


@asynccontextmanager
async def answering(said: bytes) -> AsyncIterator[int]:
    """A server that reads a request and says this; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        assert asked.startswith(b"GET / HTTP/1.1\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oops", "302 Found"])
async def test_any_answer_means_up_whatever_its_status(status: str) -> None:
    async with answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as there:
        assert await asyncio.wait_for(Readiness(there).url(), 2) == f"http://127.0.0.1:{there}"


async def test_a_connection_and_an_answer_that_is_no_http_are_not_enough_and_are_told_apart() -> None:
    nothing = Readiness(port.free())
    async with answering(b"\x15\x03\x01\x00\x02\x02\x46") as there, answering(b"") as silent:
        strange, mute = Readiness(there), Readiness(silent)
        for readiness in (nothing, strange, mute):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(readiness.url(), 0.2)
    assert nothing.seen == "nothing listened"
    assert strange.seen == "what answered there did not speak HTTP"
    assert mute.seen == "connections were taken, and no `GET /` was answered"


async def test_a_first_question_that_is_never_answered_does_not_keep_the_app_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "AGAIN", 0.05)
    came: list[asyncio.StreamWriter] = []
    left: asyncio.Queue[None] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        if len(came) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.put_nowait(None)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        there = server.sockets[0].getsockname()[1]
        assert await asyncio.wait_for(Readiness(there).url(), 5) == f"http://127.0.0.1:{there}"
        for _ in came:
            await left.get()
    assert len(came) == 2


def test_a_free_port_can_be_bound_by_whoever_gets_it() -> None:
    for _ in range(20):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port.free()))


def test_where_a_group_listens_is_known() -> None:
    script = (
        "import socket, time\n"
        "one, two = socket.socket(), socket.socket(socket.AF_INET6)\n"
        "one.bind(('127.0.0.1', 0)); two.bind(('::1', 0)); one.listen(); two.listen()\n"
        "print(one.getsockname()[1], two.getsockname()[1], flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with child:
        assert child.stdout is not None
        first, second = child.stdout.readline().split()
        assert listening(child.pid) == [f"127.0.0.1:{first}", f"[::1]:{second}"]
        child.kill()


# Its end


async def test_shells_are_passed_over_and_all_who_work_behind_them_are_found() -> None:
    script = "sleep 60 & sh -c 'sleep 60; true' & echo up; wait; true"
    child = await spawn(["sh", "-c", script], os.environ, asyncio.subprocess.PIPE, None)
    assert child.stdout is not None
    await child.stdout.readline()
    async with asyncio.timeout(5):
        while [tree.argv(pid)[:1] for pid in tree.workers(child.pid)] != [["sleep"]] * 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert child.pid not in tree.workers(child.pid)
    assert len(tree.members(child.pid)) == 4
    os.killpg(child.pid, signal.SIGKILL)
    await child.communicate()
    assert tree.members(child.pid) == []


async def test_who_is_no_shell_hears_of_it_himself_with_all_his_children() -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"
    child = await spawn([sys.executable, "-c", script], os.environ, asyncio.subprocess.PIPE, None)
    assert child.stdout is not None
    await child.stdout.readline()
    assert tree.workers(child.pid) == [child.pid]
    os.killpg(child.pid, signal.SIGKILL)
    await child.communicate()


@pytest.mark.parametrize(
    ("said", "is_on"), [("1", True), ("on", True), ("0", False), ("", False), ("perhaps", False)]
)
def test_disabled_means_on(said: str, is_on: bool) -> None:
    assert disabled.by({"SIDECAR_DISABLED": said}) is is_on


async def test_a_command_with_a_null_byte_is_told_in_a_sentence() -> None:
    with pytest.raises(CannotStart, match="null byte"):
        await spawn(["true", "a\0b"], os.environ, None, None)


async def test_a_program_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"\x00\x01\x02\x03")
    (tmp_path / "none").chmod(0o755)
    with pytest.raises(CannotStart, match="it is no program") as why:
        await spawn([str(tmp_path / "none")], os.environ, None, None)
    assert why.value.code == 126


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_the_loop_started_is_left_to_it_and_what_it_did_not_is_reaped(loop: str) -> None:
    """In a process of its own: it adopts, and reaps all there is."""
    script = """
import asyncio, os, uvloop
from sidecar.child.kernel import adopt_orphans
from sidecar.child.orphans import Orphans
from sidecar.sweep import Sweep

async def main():
    adopt_orphans()
    sweep = Sweep(0.01)
    sweep.items.add(Orphans())
    sweep.start()
    ours = [await asyncio.create_subprocess_exec("sh", "-c", "(true &) ; exit 3") for _ in range(20)]
    assert [await one.wait() for one in ours] == [3] * 20
    await asyncio.sleep(0.5)
    try:
        print(os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG))
    except ChildProcessError:
        print("nobody is left")
    sweep.stop()

"""
    told = subprocess.run(
        [sys.executable, "-c", f"{script}{loop}.run(main())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "nobody is left\n"


# In which order


class Doing:
    """Exchanges of one kind: `done()` ends them all."""

    def __init__(self, name: str, said: list[str], count: int = 0) -> None:
        self.name, self.said = name, said
        self.open = list(range(count))
        self.idle = asyncio.Event()
        self.done() if not count else None

    def done(self) -> None:
        self.open.clear()
        self.idle.set()

    def drain(self) -> None:
        self.said.append(f"last words of {self.name}")
        self.done()


class Front:
    def __init__(self, said: list[str]) -> None:
        self.said = said

    def refuse(self) -> None:
        self.said.append("front refuses")


def ending(**times: float) -> tuple[Lifetime, list[str]]:
    return Lifetime(**({"notice": 0.02, "patience": 0.1, "limit": 0.2} | times)), []


async def test_agents_have_their_last_word_before_the_app_which_may_have_to_pass_it_on() -> None:
    lifetime, said = ending()
    agents, app = Doing("agents", said, 1), Doing("app", said, 1)
    await lifetime.end(Front(said), agents, app)  # type: ignore[arg-type]
    assert said == ["front refuses", "last words of agents", "last words of app"]


async def test_what_ends_by_itself_is_waited_for_and_nothing_else() -> None:
    lifetime, said = ending(patience=30)
    agents, app = Doing("agents", said, 1), Doing("app", said, 1)
    ending_task = asyncio.create_task(lifetime.end(Front(said), agents, app))  # type: ignore[arg-type]
    while not said:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    agents.done()
    app.done()
    await asyncio.wait_for(ending_task, 2)


async def test_with_the_app_gone_nobody_is_waited_for() -> None:
    lifetime, said = ending(notice=30, patience=30)
    agents = Doing("agents", said, 1)
    await asyncio.wait_for(lifetime.end(Front(said), agents, alone=True), 2)  # type: ignore[arg-type]
    assert said == ["last words of agents"]


async def test_a_second_signal_ends_every_wait() -> None:
    lifetime, said = ending(notice=0.01, patience=30)
    agents = Doing("agents", said, 1)
    lifetime.ask()
    ending_task = asyncio.create_task(lifetime.end(Front(said), agents))  # type: ignore[arg-type]
    while not said:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    lifetime.ask()
    await asyncio.wait_for(ending_task, 2)
