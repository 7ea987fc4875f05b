"""The real openai client, with the egress door as its `base_url`."""

import json
from typing import Any

import pytest
from journeys.conftest import Start, said
from peers.running import OpenAI

from sidecar import sim

pytestmark = pytest.mark.peer

PIECES = ["You ", "said: ", "hello ", "there"]
bases = pytest.mark.parametrize("base", ["", "/agents/default"])
inputs = pytest.mark.parametrize(
    "question", ["hello there", said("hello there")["input"]], ids=["text", "turns"]
)


def text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", ()))


@bases
@inputs
async def test_it_reads_a_stream_at_either_address_and_asks_with_text_or_turns(
    start: Start, mlflow_responses: str, openai_client: OpenAI, base: str, question: Any
) -> None:
    sidecar = await start(mlflow_responses)
    told, error = await openai_client.asks(sidecar.egress + base, question, stream=True)
    assert [event["delta"] for event in told if event["type"] == "response.output_text.delta"] == PIECES
    assert told[-1]["item"]["content"][0]["text"] == "You said: hello there"
    assert error is None


@bases
@inputs
async def test_it_reads_a_whole_answer_likewise(
    start: Start, mlflow_responses: str, openai_client: OpenAI, base: str, question: Any
) -> None:
    sidecar = await start(mlflow_responses)
    (answer,), error = await openai_client.asks(sidecar.egress + base, question)
    assert (text(answer), error) == ("You said: hello there", None)


async def test_without_us_it_cannot_ask_that_server_with_text(
    mlflow_responses: str, openai_client: OpenAI
) -> None:
    told, error = await openai_client.asks(mlflow_responses, "hello")
    assert (told, error["status"]) == ([], 400)


async def test_it_asks_for_a_stream_and_accepts_json_and_gets_the_stream(
    start: Start, agent: sim.Agent, openai_client: OpenAI
) -> None:
    sidecar = await start(agent.url)
    told, error = await openai_client.asks(sidecar.egress, said("hello")["input"], stream=True)
    assert agent.last.headers["Accept"] == "application/json"
    assert agent.last.value["stream"] is True
    assert len(told) > 1
    assert error is None


async def test_its_key_and_what_it_says_of_its_machine_stay_here(
    start: Start, mlflow_responses: str, openai_client: OpenAI
) -> None:
    sidecar = await start(
        mlflow_responses, AGENTS__DEFAULT__AUTH="static", AGENTS__DEFAULT__TOKEN="the-apps-own"
    )
    (answer,), _ = await openai_client.asks(sidecar.egress, "headers")
    received = json.loads(text(answer))
    assert received["authorization"] == "Bearer the-apps-own"
    assert not [name for name in received if name.startswith("x-stainless") or name == "user-agent"]


async def test_an_agents_failure_is_raised_with_its_status_and_its_own_words(
    start: Start, mlflow_responses: str, openai_client: OpenAI
) -> None:
    sidecar = await start(mlflow_responses)
    told, error = await openai_client.asks(sidecar.egress, "fail")
    assert (told, error["kind"], error["status"]) == ([], "InternalServerError", 500)
    assert error["body"] == {"detail": "The model endpoint did not answer."}


async def test_an_error_inside_a_stream_is_raised_after_the_text_and_counted_as_the_agents(
    start: Start, mlflow_responses: str, openai_client: OpenAI
) -> None:
    sidecar = await start(mlflow_responses)
    told, error = await openai_client.asks(sidecar.egress, "fail mid-stream", stream=True)
    assert [event["delta"] for event in told] == ["You ", "said: "]
    assert (error["kind"], error["body"]) == ("APIError", "The model endpoint did not answer.")
    assert (await sidecar.calls())[0]["outcome"] == "agent_error"  # although the client leaves at once


async def test_a_refusal_of_ours_is_raised_with_code_cause_and_next_step(
    start: Start, agent: sim.Agent, openai_client: OpenAI
) -> None:
    sidecar = await start(agent.url)
    told, error = await openai_client.asks(sidecar.egress + "/agents/nobody", "hello")
    assert (told, error["kind"], error["status"]) == ([], "NotFoundError", 404)
    assert "unknown_agent" in json.dumps(error["body"])
