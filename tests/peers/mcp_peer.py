"""Starts the real MCP server and client as processes of their own."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers.running import HERE, end, ready, start


@contextmanager
def server(python: Path, folder: Path) -> Iterator[str]:
    """The URL of a server with the tools add, whoami and steps: /mcp, /sse, and below /p."""
    process = start(python, HERE / "mcp_server.py", folder=folder)
    try:
        yield ready(process, folder)
    finally:
        end(process)


class Client:
    """The real client, a process that is started once and used again and again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    async def uses(
        self, url: str, transport: str = "http", mode: str = "auto", **headers: str
    ) -> dict[str, Any]:
        """Connects, lists the tools, calls each: what came of it. See tests/peers/mcp_client.py."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = {"url": url, "transport": transport, "mode": mode, "headers": named}
        told = json.loads(await asyncio.to_thread(self._exchange, json.dumps(asked)))
        return dict(told)

    def _exchange(self, line: str) -> str:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return stdout.readline()


@contextmanager
def client(python: Path, folder: Path) -> Iterator[Client]:
    process = start(python, HERE / "mcp_client.py", folder=folder)
    try:
        yield Client(process)
    finally:
        end(process)
