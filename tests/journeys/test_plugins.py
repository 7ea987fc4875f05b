"""Plug-ins of others in a process of ours."""

import json
from pathlib import Path

import pytest
from journeys.conftest import HELLO, Start

from sidecar import sim

MANUAL = Path(__file__).parents[2] / "docs/plugins.md"
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


async def test_the_manuals_plugin_works_as_it_stands_and_what_it_notes_is_shown(
    start: Start, agent: sim.Agent, tmp_path: Path
) -> None:
    plugin = tmp_path / "stamp.py"
    plugin.write_text(MANUAL.read_text().partition("```python\n")[2].partition("```")[0])
    sidecar = await start(agent.url, MIDDLEWARE=f"{plugin}:stamp,default")
    answer = await sidecar.chat(HELLO)
    await answer.read()
    async with sidecar.http.get(f"{sidecar.admin}/calls/{answer.headers['x-request-id']}") as told:
        call = await told.json()
    assert {"what": "stamped", "value": 200} in [
        {name: moment[name] for name in moment if name != "ms"} for moment in call["timeline"]
    ]
