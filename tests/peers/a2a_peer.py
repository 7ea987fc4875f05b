"""Starts the real A2A servers and clients, of today and of 0.3, as processes of their own."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers.running import HERE, end, ready, start


@contextmanager
def server(python: Path, script: str, folder: Path) -> Iterator[str]:
    """The URL of a server that echoes."""
    process = start(python, HERE / script, folder=folder)
    try:
        yield ready(process, folder)
    finally:
        end(process)


class Client:
    """The real client, a process that is started once and used again and again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    async def uses(
        self, url: str, text: str, *, stream: bool = True, binding: str = "JSONRPC", **headers: str
    ) -> dict[str, Any]:
        """Finds the agent at `url` by its card and asks it: what came of it. See tests/peers/a2a_client.py."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = {"url": url, "text": text, "stream": stream, "binding": binding, "headers": named}
        return dict(json.loads(await asyncio.to_thread(self._exchange, json.dumps(asked))))

    def _exchange(self, line: str) -> str:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return stdout.readline()


@contextmanager
def client(python: Path, script: str, folder: Path) -> Iterator[Client]:
    process = start(python, HERE / script, folder=folder)
    try:
        yield Client(process)
    finally:
        end(process)
