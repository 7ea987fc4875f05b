"""Processes that are measured: started, put onto one core, read from /proc, ended by their pid."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
OURS: Final = "SIDECAR_", "DATABRICKS_", "AGENT_"  # what must not reach a target from whoever measures


def apart() -> bool:
    """Take the last core for ourselves and for what we start, and leave the first to the targets."""
    if len(CORES) < 2:
        return False
    os.sched_setaffinity(0, {CORES[-1]})
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A process with all that it started; `ready` is how long it took until it accepted."""

    def __init__(self, name: str, port: int, pid: int, ready: float) -> None:
        self.name, self.port, self.pid, self.ready = name, port, pid, ready

    def _pids(self) -> list[int]:
        found, look = [self.pid], [self.pid]
        while look:
            try:
                children = Path(f"/proc/{(pid := look.pop())}/task/{pid}/children").read_text()
            except OSError:
                continue
            more = [int(child) for child in children.split()]
            found += more
            look += more
        return found

    def cpu(self) -> float:
        """Seconds of processor time so far, of all threads and children; to the nanosecond where Linux says so."""
        spent = 0
        try:
            for pid in self._pids():
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    spent += int((thread / "schedstat").read_text().split()[0])
            return spent / 1e9
        except FileNotFoundError:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return sum(map(int, fields[11:15])) / TICK

    def memory(self) -> float:
        """Resident MiB."""
        return (
            sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids()) * PAGE / 2**20
        )


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    measured: bool = True,
) -> Iterator[Running]:
    """Started and accepting. `measured`: on the first core, apart from ours."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    first = (lambda: os.sched_setaffinity(0, {CORES[0]})) if measured and len(CORES) > 1 else None
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=clean | dict(environ or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            preexec_fn=first,
        )
        try:
            yield Running(name, port, process.pid, _accepting(port, process) - began)
        except TimeoutError as error:
            log.seek(0)
            raise SystemExit(f"{name} {error}:\n{log.read()[-2000:].decode()}") from None
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _accepting(port: int, process: subprocess.Popen[bytes]) -> float:
    """The moment from which on it accepts."""
    until = time.perf_counter() + 20
    while time.perf_counter() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return time.perf_counter()
        except OSError:
            if process.poll() is not None:
                raise TimeoutError(f"ended with {process.returncode} before it listened") from None
            time.sleep(0.002)
    raise TimeoutError("did not listen within 20 s")
