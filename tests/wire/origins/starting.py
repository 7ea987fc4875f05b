"""Starts the servers that agents really run on, each a process of its own, and ends them by their pid."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httptools
from needs import need
from peers import running

HERE: Final = Path(__file__).resolve().parent
OURS: Final = str(Path(httptools.__file__).parent.parent)

NAMES: Final = ("uvicorn-h11", "uvicorn-httptools", "node", "aiohttp", "gunicorn", "nginx")
# What not all of them can say of their own.
EARLY: Final = ("node", "aiohttp", "gunicorn")  # 1xx without having been asked for it
SOCKETS: Final = tuple(name for name in NAMES if name != "gunicorn")  # WSGI has no WebSockets
UNTIL_CLOSED: Final = ("node", "nginx")  # a body whose end is the connection's


@contextmanager
def origin(name: str, folder: Path) -> Iterator[str]:
    """Its URL."""
    match name:
        case "uvicorn-h11" | "uvicorn-httptools":
            command = (need("peers"), HERE / "asgi.py", name.removeprefix("uvicorn-"), OURS)
        case "node":
            command = (need("node"), HERE / "node.mjs")
        case "aiohttp":
            command = (Path(sys.executable), HERE / "aiohttp_server.py")
        case "gunicorn":
            command = (need("peers"), HERE / "wsgi.py")
        case "nginx":
            with nginx(need("nginx"), folder) as url:
                yield url
            return
    process = running.start(*command, folder=folder)
    try:
        yield running.ready(process, folder)
    finally:
        running.end(process)


@contextmanager
def nginx(command: Path, folder: Path) -> Iterator[str]:
    """nginx, and behind it the agent on uvicorn."""
    (behind := folder / "behind").mkdir()
    with ExitStack() as stack:
        agent = stack.enter_context(origin("uvicorn-httptools", behind)).removeprefix("http://")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        text = (HERE / "nginx.conf").read_text().replace("PORT", str(port)).replace("AGENT", agent)
        if os.geteuid() == 0:
            text = f"user root;\n{text}"
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen([command, "-p", folder, "-c", "nginx.conf", "-e", "stderr"])
        stack.callback(process.wait)
        stack.callback(process.terminate)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "nginx ended at once"
                time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
