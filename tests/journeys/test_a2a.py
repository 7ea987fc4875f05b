"""Chats with A2A agents of three versions, and with one that is cut, asks back, fails or works on unseen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from journeys import hook
from journeys.conftest import Running, Start, said
from peers.frames import events

from sidecar import sim

versions = pytest.mark.parametrize("version", ["0.2", "0.3", "1.0"])


@asynccontextmanager
async def talking(
    start: Start, version: str = "0.3", **how: Any
) -> AsyncIterator[tuple[sim.A2AAgent, Running]]:
    """An agent of this version, and a sidecar before it."""
    async with sim.a2a(version, **how) as agent:
        yield agent, await start(agent.url, {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"})


async def whole(sidecar: Running, body: Any, **headers: str) -> Any:
    answer = await sidecar.chat(body | {"stream": False}, **headers)
    return answer.status, await answer.json()


def text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", []))


@versions
async def test_a_browser_sees_the_words_of_any_version_as_they_come(start: Start, version: str) -> None:
    async with talking(start, version) as (agent, sidecar):
        answer = await sidecar.chat(said("hello there"))
        assert answer.headers["x-sidecar-stream"] == "translated"
        assert await hook.shown(answer) == ["Echo:", " hello there"]
        assert agent.asked[0] in ("message/stream", "SendStreamingMessage")


@versions
async def test_whoever_wants_it_whole_gets_it_whole(start: Start, version: str) -> None:
    async with talking(start, version) as (_, sidecar):
        status, answer = await whole(sidecar, said("hello"))
        assert (status, answer["status"], text(answer)) == (200, "completed", "Echo: hello")
