"""What a request costs in instructions, counted by valgrind: the same number again, whatever else the machine does.

    make bench ARGS=--instructions      (Debian package: valgrind)

Each target runs alone under callgrind, which makes it some forty times slower. A few hundred requests go through
it first; then so many are counted, sixteen connections taking turns. Time in the kernel is not in it.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.running import OURS, free_port
from bench.slices import chat
from bench.targets import TARGETS, agent

COUNTED: Final = ("sidecar", "source", "bare")  # what runs in one process of ours
CONNECTIONS: Final = 16
WARM: Final = 20  # requests on each connection that are not counted
PATIENCE: Final = 120  # seconds until it accepts


def table(names: Sequence[str], requests: int, say: Callable[[str], None]) -> str:
    """A line for each target, and how the first stands to the others. SystemExit without valgrind."""
    if not shutil.which("valgrind"):
        raise SystemExit(
            "Instructions are counted by valgrind, which is not installed (Debian package: valgrind)."
        )
    if strangers := set(names) - set(COUNTED):
        raise SystemExit(f"Counted are {' and '.join(COUNTED)} only, not {', '.join(sorted(strangers))}.")
    found = {}
    with agent() as port:
        for name in names:
            say(f"{name}: {requests:,} requests …")
            found[name] = counted(name, port, max(1, requests // CONNECTIONS))
    first = next(iter(found.values()))
    rows = [f"|{name}|{count:,.0f}|{first / count:.2f}|" for name, count in found.items()]
    title = f"||instructions per request|{next(iter(found))} / it|"
    return "\n".join([title, "|---|---:|---:|", *rows])


def counted(name: str, agent: int, rounds: int) -> float:
    """Instructions in user space for one chat of 1 KiB that nobody touches."""
    with TemporaryDirectory() as folder, started(name, agent, Path(folder)) as (port, pid):
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        asked(connections, WARM)
        control("-i", "on", pid)
        asked(connections, rounds)
        control("-d", pid)
        for one in connections:
            one.close()
        total = sum(told(path) for path in Path(folder).glob("callgrind.*"))
    return total / (rounds * CONNECTIONS)


@contextmanager
def started(name: str, agent: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Its port and pid, once it accepts."""
    port = free_port()
    command, environ, where = TARGETS[name](port, agent, folder, False)
    counting = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={folder}/callgrind.%p",
    ]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    quiet = subprocess.DEVNULL
    if command[0] != sys.executable:  # a script: valgrind counts what it is given, not what that leads to
        command = [str(Path(command[0]).with_name("python")), *command]
    process = subprocess.Popen(
        [*counting, *command], env=clean | dict(environ), cwd=where, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{name} does not accept under valgrind") from None
                time.sleep(0.1)
        yield port, str(process.pid)
    finally:
        process.kill()
        process.wait()


def asked(connections: Sequence[socket.socket], rounds: int) -> None:
    """All ask at once and are answered, so many times."""
    request = chat()(0)
    for _ in range(rounds):
        for one in connections:
            one.sendall(request)
        for one in connections:
            answered(one)


def answered(one: socket.socket) -> None:
    came = b""
    while (end := came.find(b"\r\n\r\n")) < 0:
        came += one.recv(65536)
    head = came[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(came.decode("utf-8", "replace"))
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(came) < end + 4 + length:
        came += one.recv(65536)


def control(*words: str) -> None:
    subprocess.run(["callgrind_control", *words], check=True, capture_output=True)


def told(path: Path) -> int:
    lines = path.read_text(errors="replace").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("totals:"))
