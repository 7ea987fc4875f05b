"""Which bodies reach an agent."""

from typing import Any

import pytest

from middleware.contract import contract
from middleware.exchange import Body, Call, Reply, headers
from policies.agent import Agent, Caller
from policies.body import read
from policies.refusal import Refusal

OK = Reply(200, headers(), Body(b"{}"))


def call(raw: bytes, dialect: str = "chat", wants_stream: bool | None = True) -> Call:
    body = Body(raw, value=read(raw))
    return Call(
        Agent("default", "http://a"),
        Caller(),
        dialect,
        "POST",
        "/invocations",
        headers(),
        body,
        wants_stream,
        "r1",
    )


class Agents:
    def __init__(self) -> None:
        self.called: list[Call] = []

    async def __call__(self, call: Call) -> Reply:
        self.called.append(call)
        return OK


# What these clients really send.
USE_CHAT = (
    b'{"id":"c1","messages":[{"id":"m1","role":"user","parts":[{"type":"text","text":"hi"}]}],'
    b'"trigger":"submit-message"}'
)
OPENAI = b'{"input":"hi","model":"gpt","stream":true}'
RECIPE = b'{"messages":[{"role":"user","content":"hi"}]}'


@pytest.mark.parametrize(
    "raw",
    [
        USE_CHAT,
        OPENAI,
        RECIPE,
        b'{"input":null}',
        b'{"input":""}',
        b'{"messages":[]}',
        b'{"input":1,"messages":2}',
    ],
)
async def test_b01_b04_a_chat_goes_on_as_it_came(raw: bytes) -> None:
    agent = Agents()
    asked = call(raw)
    assert await contract(asked, agent) is OK
    assert agent.called == [asked]
    assert agent.called[0].body is asked.body


@pytest.mark.parametrize(
    "raw",
    [b"{}", b'{"prompt":"hi"}', b'{"messages":"x"}', b'{"messages":null}', b"[]", b"null", b'"input"', b"1"],
)
async def test_b02_anything_else_is_refused_in_the_recipes_words_and_no_agent_is_called(raw: bytes) -> None:
    agent = Agents()
    with pytest.raises(Refusal) as caught:
        await contract(call(raw), agent)
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.extra) == (
        400,
        "invalid_body_shape",
        {"accepted": ["input", "messages"]},
    )
    assert (refusal.detail, refusal.hint) == (None, None), "the recipe's body has nothing else in it"
    assert agent.called == []


@pytest.mark.parametrize(
    ("dialect", "wants_stream"), [("responses", True), ("responses", None), ("chat", None)]
)
async def test_on_an_agents_own_paths_and_in_relays_a_body_is_not_judged(
    dialect: str, wants_stream: Any
) -> None:
    agent = Agents()
    await contract(call(b'{"prompt":"hi"}', dialect, wants_stream), agent)
    assert len(agent.called) == 1
