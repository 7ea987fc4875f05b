"""Starts what is measured, pins it, and reads its processor time and memory from /proc."""

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PIN = ["taskset", "-c", "0"] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Target:
    """A running proxy: its name, its port, its process."""

    def __init__(self, name: str, port: int, pid: int, ready: float) -> None:
        self.name, self.port, self.pid, self.ready = name, port, pid, ready

    def cpu(self) -> float:
        """Seconds of processor time so far, children included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICK

    def memory(self) -> float:
        """Resident MiB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE / 2**20


COMMANDS: dict[str, list[str]] = {
    "sidecar": [str(Path(sys.executable).parent / "sidecar"), "serve"],
    "bare": [sys.executable, str(HERE / "bare.py"), "{port}"],
    "express": ["node", "server.js", "{port}"],
}


def available(name: str) -> str | None:
    """None, or why this peer cannot be measured here."""
    if name == "express":
        if not (shutil.which("node") and shutil.which("npm")):
            return "Node is not installed (Debian package: nodejs)"
        if not (HERE / "express/node_modules/express").exists():
            os.system(
                f"cd {HERE / 'express'} && npm install --no-package-lock --no-audit --no-fund --silent >/dev/null 2>&1"
            )
            if not (HERE / "express/node_modules/express").exists():
                return "npm could not install express"
    return None


@contextmanager
def stub() -> Iterator[int]:
    """The agent behind every target; its port."""
    port = free_port()
    with _process([sys.executable, str(HERE / "stub.py"), str(port)], {}, HERE, []) as pid:
        _wait(port, pid)
        yield port


@contextmanager
def target(name: str, agent: int) -> Iterator[Target]:
    port = free_port()
    env = {
        "AGENT_APP_URL": f"http://127.0.0.1:{agent}",
        "SIDECAR_PORT": str(port),
        "SIDECAR_EGRESS_PORT": "0",
        "SIDECAR_ADMIN_PORT": "0",
        "SIDECAR_TRUST": "127.0.0.1",
    }
    command = [part.replace("{port}", str(port)) for part in COMMANDS[name]]
    began = time.perf_counter()
    with _process(command, env, HERE / "express" if name == "express" else HERE, PIN) as pid:
        _wait(port, pid)
        yield Target(name, port, pid, time.perf_counter() - began)


@contextmanager
def _process(command: list[str], env: dict[str, str], cwd: Path, pin: list[str]) -> Iterator[int]:
    out = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, out, 1)]
    here = os.getcwd()
    os.chdir(cwd)
    try:
        pid = os.posix_spawnp((pin + command)[0], pin + command, {**os.environ, **env}, file_actions=actions)
    finally:
        os.chdir(here)
        os.close(out)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        for _ in range(150):
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.1)
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _wait(port: int, pid: int) -> None:
    deadline = time.perf_counter() + 20
    while time.perf_counter() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise SystemExit(f"a bench process ended before it listened on {port}") from None
            time.sleep(0.005)
    raise SystemExit(f"nothing listened on {port} within 20 s")
