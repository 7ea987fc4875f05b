"""examples/a2a as it lies there: agents on the real SDK, a sidecar with its env file, the walk and the notebook."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from journeys.conftest import Running, Start
from needs import ROOT, need

pytestmark = pytest.mark.peer

HERE = ROOT / "examples/a2a"


@asynccontextmanager
async def agents(python: Path, gateway: str) -> AsyncIterator[dict[str, str]]:
    """Name → address."""
    process = await asyncio.create_subprocess_exec(
        python, "agents.py", "0", "0", "0", cwd=HERE, stdout=PIPE, env=os.environ | {"GATEWAY_URL": gateway}
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            lines = [(await process.stdout.readline()).decode().split() for _ in range(3)]
        yield {line[0]: line[1] for line in lines}
    finally:
        process.kill()
        await process.wait()


async def ran(python: Path, script: str, gateway: str) -> str:
    process = await asyncio.create_subprocess_exec(
        python, "-B", script, cwd=HERE, stdout=PIPE, stderr=PIPE, env=os.environ | {"GATEWAY_URL": gateway}
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def before(start: Start, port: str, at: dict[str, str]) -> Running:
    """A sidecar with the example's env file, its agents where they really are."""
    lines = (line.partition("=") for line in (HERE / "gateway.env").read_text().splitlines() if "=" in line)
    environ = {name: value for name, _, value in lines if name.startswith("SIDECAR_")}
    assert len(environ) == 6
    for name, url in at.items():
        environ[f"SIDECAR_AGENTS__{name.upper()}__URL"] = url
    return await start(at["echo"], environ, EGRESS_PORT=port)


async def test_the_walk_and_the_notebook_show_what_the_readme_says(
    start: Start, unused_tcp_port: int
) -> None:
    python, gateway = need("peers-a2a"), f"http://127.0.0.1:{unused_tcp_port}"
    async with agents(python, gateway) as at:
        await before(start, str(unused_tcp_port), at)
        walked, read = await asyncio.gather(
            ran(python, "walk.py", gateway), ran(python, "notebook.py", gateway)
        )
    assert walked.splitlines() == [
        "agents: assistant, calculator, default, echo",
        "card: Echo streams",
        f"endpoint: {gateway}/api/agents/echo",
        "send: Echo: Hello from A2A!",
        "stream: [Echo: ] [Tell me in pieces]",
        "several: Echo: System check; 15000",
        "through another: I asked calculator: 59",
        "tool: 25",
    ]
    for line in ("Add 15 and 27          42", "Echo: |Test message with special chars: @#$%^&*()|", "42"):
        assert line in read.splitlines()
