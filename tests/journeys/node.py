"""Frontends that run on Node: the packages of an example, installed once, and processes of it."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from needs import ROOT, need

INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
STRANGERS = ("SIDECAR_", "DATABRICKS_", "AGENT_", "PORT")


def app(name: str, folder: Path) -> Path:
    """A copy of `examples/<name>` in this folder, ready to run; its packages lie in `.node/<name>`, for all copies."""
    example, packages = ROOT / "examples" / name, ROOT / ".node" / name
    wanted = (example / "package.json").read_text()
    made = packages / "made"
    packages.mkdir(parents=True, exist_ok=True)
    with (packages / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not made.exists() or made.read_text() != wanted:
            (packages / "package.json").write_text(wanted)
            subprocess.run([need("npm"), *INSTALL], cwd=packages, check=True, timeout=120)
            made.write_text(wanted)
    copy = folder / name
    shutil.copytree(example, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(packages / "node_modules")
    return copy


def tool(name: str, version: str) -> Path:
    """A command that comes as a package, installed once."""
    packages = ROOT / ".node" / name
    command = packages / "node_modules/.bin" / name
    if not command.exists():
        packages.mkdir(parents=True, exist_ok=True)
        (packages / "package.json").write_text("{}")
        subprocess.run([need("npm"), *INSTALL, f"{name}@{version}"], cwd=packages, check=True, timeout=120)
    return command


@asynccontextmanager
async def running(
    folder: Path, *command: str, **environ: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The command, in this folder, on a free port, until the block is left: the address that it says, and itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)}
    environ = clean | {"PORT": "0"} | environ
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stdout=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(10):
            while not (line := (await process.stdout.readline()).decode()).startswith("listening on "):
                assert line, f"{command} ended before it listened"
        yield line.split()[-1], process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def printed(folder: Path, script: str, *arguments: str) -> str:
    """What a module of ours prints, run in this folder."""
    command = [str(need("node")), "--input-type=module", "-e", script, "--", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE)
    said, _ = await process.communicate()
    return said.decode()
