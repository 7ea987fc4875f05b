"""Plug-ins of others in a process of ours."""

import json
from pathlib import Path

import pytest
from journeys.conftest import HELLO, Start

from sidecar import sim

BLOCKS = """
import time

def sleeper(kit):
    async def middleware(call, forward):
        time.sleep(0.3)
        return await forward(call)
    return middleware
"""


async def test_d12_a_plugin_that_blocks_the_loop_is_named(
    start: Start, agent: sim.Agent, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "sleeper.py"
    plugin.write_text(BLOCKS)
    sidecar = await start(agent.url, MIDDLEWARE=f"{plugin}:sleeper,default")
    answer = await sidecar.call(HELLO)
    assert answer.status == 200
    sidecar.app.telemetry.flush()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    named = [line for line in lines if line["level"] == "warning"]
    assert [line["plugin"].split()[0] for line in named] == ["sleeper"]
