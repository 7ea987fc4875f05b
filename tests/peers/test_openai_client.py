"""The real openai client makes no difference between a stand-in and the real server."""

import json

import pytest
from needs import need
from peers.running import output

from sidecar import sim

pytestmark = pytest.mark.peer


async def asks(url: str, *words: str) -> tuple[list[dict], str]:
    said, complaint = await output(need("peers"), "openai_client.py", url, *words)
    return [json.loads(line) for line in said.splitlines()], complaint.strip()


@pytest.mark.parametrize(
    "words", [("tool", "stream"), ("hello",), ("fail mid-stream", "stream")], ids=" ".join
)
async def test_the_client_reads_the_stand_in_as_it_reads_the_real_server(words, mlflow_responses):
    async with sim.agent() as agent:
        assert await asks(agent.url, *words) == await asks(mlflow_responses, *words)


async def test_the_client_reads_text_piece_by_piece(mlflow_responses):
    events, complaint = await asks(mlflow_responses, "hello there", "stream")
    assert "".join(event.get("delta", "") for event in events) == "You said: hello there"
    assert not complaint
