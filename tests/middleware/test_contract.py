"""Which bodies reach an agent."""

from typing import Any

import pytest

from middleware.contract import Both, contract
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


class Notes:
    """Which questions were held to be asked twice, and what became of them."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        assert what == "ambiguous_body"
        self.told.append(value)


async def judged(asked: Call, agent: "Agents", both: Both = "input", notes: Notes | None = None) -> Reply:
    return await contract(notes or Notes(), both)(asked, agent)


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
    assert await judged(asked, agent) is OK
    assert agent.called == [asked]
    assert agent.called[0].body is asked.body


@pytest.mark.parametrize(
    "raw",
    [b"{}", b'{"prompt":"hi"}', b'{"messages":"x"}', b'{"messages":null}', b"[]", b"null", b'"input"', b"1"],
)
async def test_b02_anything_else_is_refused_in_the_recipes_words_and_no_agent_is_called(raw: bytes) -> None:
    agent = Agents()
    with pytest.raises(Refusal) as caught:
        await judged(call(raw), agent)
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
    await judged(call(b'{"prompt":"hi"}', dialect, wants_stream), agent)
    assert len(agent.called) == 1


# --- two questions in one body (B03)


TWICE = (
    b'{"n":12345678901234567890123 , "messages":[{"role":"user","content":"old"}], "input":"new", "x":1.10}'
)
ONCE = b'{"n":12345678901234567890123, "input":"new", "x":1.10}'


async def test_b03_input_wins_because_messages_go_no_further_and_every_other_byte_stays() -> None:
    agent, notes = Agents(), Notes()
    await judged(call(TWICE), agent, notes=notes)
    (sent,) = agent.called
    assert isinstance(sent.body, Body)
    assert (sent.body.raw, sent.body.value) == (ONCE, read(ONCE))
    assert notes.told == ["input"]


async def test_b03_on_an_agents_own_paths_both_go_on_as_they_came_and_are_counted() -> None:
    agent, notes = Agents(), Notes()
    asked = call(TWICE, "responses")
    await judged(asked, agent, notes=notes)
    assert agent.called[0].body is asked.body
    assert notes.told == ["both"]


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_b03_both_are_refused_where_that_is_asked_for(dialect: str) -> None:
    agent, notes = Agents(), Notes()
    with pytest.raises(Refusal) as caught:
        await judged(call(TWICE, dialect), agent, "refuse", notes)
    assert (caught.value.status, caught.value.code) == (400, "ambiguous_body")
    assert (agent.called, notes.told) == ([], ["refused"])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"input":null,"messages":[]}',
        b'{"input":"hi","messages":null}',
        b'{"input":1,"messages":2}',
        b'{"input":"hi","x":{"messages":[]}}',
    ],
)
@pytest.mark.parametrize("both", ["input", "refuse"])
async def test_b03_a_name_that_holds_no_question_makes_no_second_one(raw: bytes, both: Both) -> None:
    agent, notes = Agents(), Notes()
    asked = call(raw)
    await judged(asked, agent, both, notes)
    assert agent.called[0].body is asked.body
    assert notes.told == []


@pytest.mark.parametrize(("dialect", "wants_stream"), [("a2a", True), ("responses", None), ("chat", None)])
async def test_b03_what_is_no_chat_is_not_looked_into(dialect: str, wants_stream: Any) -> None:
    agent, notes = Agents(), Notes()
    await judged(call(TWICE, dialect, wants_stream), agent, "refuse", notes)
    assert (len(agent.called), notes.told) == (1, [])
