"""Starts the real peers as processes of their own, and ends them by their pid."""

import asyncio
import json
import os
import selectors
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

HERE = Path(__file__).resolve().parent
MODES = ("responses", "plain")
STARTS_WITHIN = 90.0  # seconds; the first start after the environment was made compiles a thousand modules
STRANGERS = ("DATABRICKS_", "MLFLOW_", "SIDECAR_", "PYTHONPATH")


def environment() -> dict[str, str]:
    """Ours, without what would point the peers at somebody's workspace, and without reports to anybody."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(STRANGERS)}
    return ours | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@contextmanager
def mlflow(python: Path, folder: Path, modes: Sequence[str] = MODES) -> Iterator[dict[str, str]]:
    """One real mlflow AgentServer per mode, started side by side: mode → URL."""
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for mode in modes:
            (folder / mode).mkdir()
            started[mode] = start(python, HERE / "mlflow_agent.py", mode, folder=folder / mode)
        yield {mode: ready(process, folder / mode) for mode, process in started.items()}
    finally:
        for process in started.values():
            end(process)


def start(python: Path, script: Path, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    """A process whose stdin is a lifeline: when we are gone, it ends."""
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [python, script, *arguments],
            cwd=folder,
            env=environment(),
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            text=True,
        )


def ready(process: subprocess.Popen[str], folder: Path) -> str:
    """The URL that the process prints when it listens."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if waiting.select(STARTS_WITHIN) else ""
    if not line.startswith("ready "):
        raise RuntimeError(f"the peer did not start:\n{(folder / 'log').read_text()[-2000:]}")
    return line.split()[1]


def end(process: subprocess.Popen[str]) -> None:
    with process:  # closes the lifeline
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


class OpenAI:
    """The real openai client, a process that is started once and asks again and again."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def asks(self, base_url: str, question: Any = "hello", **more: Any) -> tuple[list[Any], Any]:
        """`responses.create(input=question, …)`: the events, or one answer; and the error, None if none was raised."""
        asked = {"base_url": base_url, "question": {"input": question, **more}}
        answer = json.loads(await asyncio.to_thread(self._exchange, json.dumps(asked)))
        return answer["told"], answer["error"]

    def _exchange(self, line: str) -> str:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return stdout.readline()


@contextmanager
def openai(python: Path, folder: Path) -> Iterator[OpenAI]:
    process = start(python, HERE / "openai_client.py", folder=folder)
    try:
        yield OpenAI(process)
    finally:
        end(process)
