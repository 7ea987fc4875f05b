"""A stand-in answers as the real server did when it was recorded: status, headers, and every chunk."""

import json

import pytest
from peers.exchanges import EXCHANGES, RECORDED, Exchange, answer, recorded

from sidecar import sim

each = pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda one: f"{one.kind}-{one.name}")


@each
async def test_the_stand_in_answers_chunk_by_chunk_as_the_real_server_did(exchange: Exchange):
    async with sim.agent(exchange.kind) as agent:
        assert await answer(agent.url, exchange) == recorded(exchange)


@pytest.mark.peer
@each
async def test_the_real_server_still_answers_as_it_was_recorded(exchange: Exchange, mlflow_servers):
    assert await answer(mlflow_servers[exchange.kind], exchange) == recorded(exchange)


def test_every_recording_belongs_to_an_exchange():
    assert {file.name for file in RECORDED.glob("*.json")} == {exchange.file.name for exchange in EXCHANGES}


@each
def test_a_recording_says_what_was_asked(exchange: Exchange):
    request = json.loads(exchange.file.read_text())["request"]
    assert (request["method"], request["target"]) == (exchange.method, exchange.target)
    assert (request["headers"], request["body"]) == (exchange.headers, exchange.body)
