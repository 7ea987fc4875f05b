"""An agent is told the question in the shape that it takes, and is asked twice at most."""

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import orjson
import pytest

from middleware.exchange import Body, Call, Handler, Headers, Middleware, Reply, headers
from middleware.shape import KEPT, shape
from policies.agent import Agent, Caller
from policies.refusal import Refusal

JSON: Headers = headers(("Content-Type", "application/json"))
MESSAGES = [{"role": "user", "content": "hi"}]
AUDIO = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}}]}]


def asking(agent: Agent | None = None, **body: Any) -> Call:
    agent = agent or Agent("default", "http://a")
    raw = orjson.dumps(body | {"stream": True})
    return Call(agent, Caller(), "responses", "POST", "/invocations", headers(), Body(raw), True, "r1")


MLFLOW = "Invalid parameters for ResponsesAgent: Invalid data for ResponsesAgentRequest: input Field required"
REFUSALS: dict[str, tuple[int, Any]] = {
    "input": (400, {"detail": MLFLOW}),
    "messages": (
        422,
        {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
    ),
}


class Taking:
    """An agent that takes one shape and refuses every other body in the words of the real ones."""

    def __init__(self, takes: str, refusal: tuple[int, Any] | None = None, answers: int = 200) -> None:
        self.takes = takes
        self.answers = answers
        self.refusal = refusal or REFUSALS[takes]
        self.got: list[Any] = []
        self.open = 0
        self.endings: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        assert isinstance(call.body, Body)
        assert self.open == 0, "the first answer is closed before the agent is asked again"
        self.got.append(orjson.loads(call.body.raw))
        self.open += 1

        async def close(ending: str) -> None:
            self.open -= 1
            self.endings.append(ending)

        taken = isinstance(self.got[-1].get(self.takes), list)
        status, answer = (self.answers, {"output": []}) if taken else self.refusal
        return Reply(status, JSON, Body(orjson.dumps(answer)), close)

    @property
    def shapes(self) -> list[str]:
        return [" ".join(sorted(body.keys() - {"stream"})) for body in self.got]


async def answered(shaped: Middleware, call: Call, agent: Handler) -> int:
    reply = await shaped(call, agent)
    await reply.close("ok")
    return reply.status


@pytest.mark.parametrize(
    ("takes", "body", "told"),
    [
        ("input", {"messages": MESSAGES}, {"input": MESSAGES}),
        ("input", {"input": "hi"}, {"input": MESSAGES}),
        ("messages", {"input": MESSAGES}, {"messages": MESSAGES}),
        ("messages", {"input": "hi"}, {"messages": MESSAGES}),
    ],
)
async def test_an_agent_that_refuses_the_shape_is_asked_once_more_in_its_own_and_this_is_remembered(
    takes: str, body: dict[str, Any], told: dict[str, Any]
) -> None:
    agent, shaped = Taking(takes), shape()
    assert await answered(shaped, asking(**body), agent) == 200
    assert agent.got == [body | {"stream": True}, told | {"stream": True}]
    assert await answered(shaped, asking(**body), agent) == 200
    assert agent.got[2:] == [told | {"stream": True}]
    assert (agent.open, set(agent.endings)) == (0, {"ok"})


@pytest.mark.parametrize(
    ("takes", "body"), [("input", {"input": MESSAGES}), ("messages", {"messages": MESSAGES, "model": "m"})]
)
async def test_what_the_agent_takes_goes_on_as_the_bytes_that_came(takes: str, body: dict[str, Any]) -> None:
    agent, shaped = Taking(takes), shape()
    asked = asking(**body)
    seen: list[Call] = []

    async def forward(call: Call) -> Reply:
        seen.append(call)
        return await agent(call)

    assert await answered(shaped, asked, forward) == 200
    assert seen[0] is asked


async def test_what_was_learned_of_one_agent_says_nothing_of_another() -> None:
    one, other, shaped = Taking("input"), Taking("messages"), shape()
    await answered(shaped, asking(Agent("one", "http://a"), messages=MESSAGES), one)
    await answered(shaped, asking(Agent("other", "http://a"), messages=MESSAGES), other)
    assert other.shapes == ["messages"]
    await answered(shaped, asking(Agent("one", "http://elsewhere"), messages=MESSAGES), one)
    assert one.shapes == ["messages", "input", "messages", "input"]


async def test_an_agent_that_changes_its_mind_is_learned_anew() -> None:
    agent, shaped = Taking("input"), shape()
    await answered(shaped, asking(messages=MESSAGES), agent)
    redeployed = Taking("messages")
    assert await answered(shaped, asking(messages=MESSAGES), redeployed) == 200
    assert redeployed.shapes == ["input", "messages"]
    assert await answered(shaped, asking(messages=MESSAGES), redeployed) == 200
    assert redeployed.shapes[2:] == ["messages"]


async def test_the_oldest_is_forgotten_where_agents_never_stop_coming() -> None:
    agent, shaped = Taking("input"), shape()
    for number in range(KEPT + 1):
        await answered(shaped, asking(Agent(f"a{number}", "http://a"), messages=MESSAGES), agent)
    agent.got.clear()
    await answered(shaped, asking(Agent(f"a{KEPT}", "http://a"), messages=MESSAGES), agent)
    await answered(shaped, asking(Agent("a0", "http://a"), messages=MESSAGES), agent)
    assert agent.shapes == ["input", "messages", "input"]


async def test_refused_in_both_shapes_the_second_refusal_is_the_answer_and_nothing_is_remembered() -> None:
    agent = Taking("input", answers=400)
    shaped = shape()
    for _ in range(2):
        assert await answered(shaped, asking(messages=MESSAGES), agent) == 400
    assert agent.shapes == ["messages", "input"] * 2
    assert agent.open == 0


async def test_an_agent_that_fails_in_the_shape_it_asked_for_has_taught_nothing() -> None:
    agent, shaped = Taking("input", answers=503), shape()
    assert await answered(shaped, asking(messages=MESSAGES), agent) == 503
    assert await answered(shaped, asking(messages=MESSAGES), agent) == 503
    assert agent.shapes == ["messages", "input"] * 2


@pytest.mark.parametrize(
    "refusal",
    [
        (500, {"detail": "'messages'"}),
        (400, {"detail": "The prompt was refused by a filter."}),
        (422, {"detail": [{"type": "missing", "loc": ["body", "model"]}]}),
        (429, {"error": "input is required"}),
        (400, "input is required"),
    ],
)
async def test_any_other_refusal_passes_after_one_call(refusal: tuple[int, Any]) -> None:
    agent = Taking("input", refusal)
    assert await answered(shape(), asking(messages=MESSAGES), agent) == refusal[0]
    assert agent.shapes == ["messages"]


async def test_a_refusal_that_is_not_json_passes_after_one_call() -> None:
    calls: list[Call] = []

    async def forward(call: Call) -> Reply:
        calls.append(call)
        return Reply(400, headers(("Content-Type", "text/plain")), Body(b"input is required"))

    assert await answered(shape(), asking(messages=MESSAGES), forward) == 400
    assert len(calls) == 1


async def test_a_refusal_of_what_is_inside_of_the_shape_it_takes_passes_after_one_call() -> None:
    """The agent names `input`, and `input` is what it got."""
    agent = Taking("nothing", (422, {"detail": [{"type": "missing", "loc": ["body", "input", 0, "role"]}]}))
    assert await answered(shape(), asking(input=[{"content": "hi"}]), agent) == 422
    assert agent.shapes == ["input"]


async def test_an_agent_whose_tools_write_is_never_asked_twice() -> None:
    careful = Agent("default", "http://a", replay="never")
    agent = Taking("input")
    assert await answered(shape(), asking(careful, messages=MESSAGES), agent) == 400
    assert agent.shapes == ["messages"]


async def test_as_is_never_tells_otherwise() -> None:
    agent, shy = Taking("input"), Agent("default", "http://a", shape="as-is")
    assert await answered(shape(), asking(shy, messages=MESSAGES), agent) == 400
    assert agent.shapes == ["messages"]


class Arriving:
    """Bytes on their way that nobody may hold on to: an upload, or an answer in pieces."""

    length = None

    def chunks(self) -> AsyncIterator[bytes]:
        raise AssertionError("read by somebody whom it is none of the business of")


async def test_what_is_still_arriving_is_neither_told_otherwise_nor_judged() -> None:
    upload = asking(Agent("default", "http://a", shape="input"))._replace(body=Arriving())

    async def forward(call: Call) -> Reply:
        assert call is upload or call.agent.shape == "auto"
        return Reply(400, JSON, cast(Any, Arriving()))

    assert await answered(shape(), upload, forward) == 400
    assert await answered(shape(), asking(messages=MESSAGES), forward) == 400


@pytest.mark.parametrize("takes", ["input", "messages"])
@pytest.mark.parametrize("body", [{"input": "hi"}, {"input": MESSAGES}, {"messages": MESSAGES}])
async def test_a_fixed_shape_is_told_in_from_the_first_call(takes: str, body: dict[str, Any]) -> None:
    agent = Taking(takes)
    careful = Agent("default", "http://a", shape=takes, replay="never")
    assert await answered(shape(), asking(careful, **body), agent) == 200
    assert agent.got == [{takes: MESSAGES, "stream": True}]


async def test_what_the_other_shape_cannot_say_is_refused_by_its_index_and_the_agents_answer_is_closed() -> (
    None
):
    agent = Taking("input")
    with pytest.raises(Refusal) as caught:
        await shape()(asking(messages=[*MESSAGES, *AUDIO]), agent)
    assert (caught.value.code, caught.value.extra) == ("unsupported_content", {"index": 1})
    assert (agent.shapes, agent.endings) == (["messages"], ["ok"])


async def test_where_the_shape_is_fixed_what_it_cannot_say_never_reaches_the_agent() -> None:
    agent = Taking("input")
    with pytest.raises(Refusal):
        await shape()(asking(Agent("d", "http://a", shape="input"), messages=AUDIO), agent)
    assert agent.got == []


async def test_a_failure_of_the_second_call_is_the_failure_of_the_call() -> None:
    agent = Taking("input")

    async def forward(call: Call) -> Reply:
        if agent.got:
            raise Refusal(502, "agent_unreachable", sent="none")
        return await agent(call)

    with pytest.raises(Refusal, match="agent_unreachable"):
        await shape()(asking(messages=MESSAGES), forward)
    assert agent.open == 0


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "How warm is it?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "21 °C"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Warm."}]},
    {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {"type": "file", "file": {"file_id": "f1"}},
        ],
    },
    {"role": "user", "content": "And tomorrow?"},
]


@pytest.mark.peer
@pytest.mark.parametrize("body", [{"messages": CONVERSATION}, {"input": "And tomorrow?"}])
async def test_a_real_responses_agent_refuses_and_then_takes_it(
    mlflow_responses: str, body: dict[str, Any]
) -> None:
    seen: list[tuple[int, Any]] = []
    async with aiohttp.ClientSession() as session:

        async def forward(call: Call) -> Reply:
            assert isinstance(call.body, Body)
            async with session.post(mlflow_responses + call.target, data=call.body.raw) as answer:
                reply = Reply(answer.status, JSON, Body(await answer.read()))
            seen.append((reply.status, orjson.loads(reply.body.raw)))
            return reply

        shaped = shape()
        asked = asking(**body)._replace(body=Body(orjson.dumps(body)))
        for _ in range(2):
            await shaped(asked, forward)
    assert [status for status, _ in seen] == [400, 200, 200]
    assert "And tomorrow?" in str(seen[-1][1])
