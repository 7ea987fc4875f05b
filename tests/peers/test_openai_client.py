"""The real openai client makes no difference between a stand-in and the real server."""

import pytest
from peers.running import OpenAI

from sidecar import sim

pytestmark = pytest.mark.peer


def turn(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(("text", "stream"), [("tool", True), ("hello", False), ("fail mid-stream", True)])
async def test_the_client_reads_the_stand_in_as_it_reads_the_real_server(
    text: str, stream: bool, mlflow_responses: str, openai_client: OpenAI
) -> None:
    async with sim.agent() as agent:
        stand_in = await openai_client.asks(agent.url, turn(text), stream=stream)
    assert stand_in == await openai_client.asks(mlflow_responses, turn(text), stream=stream)


async def test_the_client_reads_text_piece_by_piece(mlflow_responses: str, openai_client: OpenAI) -> None:
    events, error = await openai_client.asks(mlflow_responses, turn("hello there"), stream=True)
    assert [event["delta"] for event in events if "delta" in event] == ["You ", "said: ", "hello ", "there"]
    assert error is None
