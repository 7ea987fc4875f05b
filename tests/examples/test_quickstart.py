"""The README's lines from an Express app to its first chat, as they stand there, the agent's address aside."""

import asyncio
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from needs import ROOT, need

from sidecar import sim

pytestmark = pytest.mark.examples

PLACE = "https://my-agent.example.com"
WITHOUT = (
    ".git",
    ".venv",
    ".venv-lock",
    ".peers*",
    ".bench",
    ".node",
    "node_modules",
    "__pycache__",
    "*_cache",
)


def lines() -> str:
    """The block."""
    (block,) = re.findall(r"```sh\n(cd examples/express.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return str(block)


def test_the_quick_start_is_ten_lines_at_most() -> None:
    assert lines().count("\n") <= 10


async def test_the_quick_starts_lines_bring_a_chat(tmp_path: Path) -> None:
    need("npm")
    need("curl")
    copy = tmp_path / "agent-sidecar"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*WITHOUT))
    assert PLACE in lines()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "DATABRICKS_"))
    }
    environ = clean | {"HOME": str(tmp_path), "SIDECAR_EGRESS_PORT": "0", "SIDECAR_ADMIN_PORT": "0"}
    async with sim.agent() as agent:
        script = lines().replace(PLACE, agent.url)
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            script,
            cwd=copy,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert shell.stdout is not None
            async with asyncio.timeout(180):
                said = b""
                while b"[DONE]" not in said:
                    piece = await shell.stdout.read(4096)
                    assert piece, said.decode()
                    said += piece
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            await shell.communicate()
    assert b'"delta": "Hello"' in said
