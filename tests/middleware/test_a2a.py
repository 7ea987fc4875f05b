"""The a2a dialect without a network: every cut of an agent's stream, cards that are kept, conversations that are."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.dialects.a2a import a2a, again
from middleware.dialects.a2a.cards import FRESH, FRESH_ABSENCE, Cards
from middleware.dialects.a2a.outbound import outbound
from middleware.dialects.a2a.threads import Threads
from middleware.exchange import EMPTY, Body, Call, Reply, headers
from middleware.streams import Told
from policies import a2a as versions
from policies.a2a_message import Place
from policies.agent import Agent, Caller
from policies.refusal import Refusal

Answers = Callable[[Call], Reply]
AGENT = Agent("echo", "http://agent.example:8000", kind="a2a")
JSON = headers(("Content-Type", "application/json"))
SSE = headers(("Content-Type", "text/event-stream"))
CARD = {"name": "Echo", "url": "http://agent.example:8000/rpc", "capabilities": {"streaming": True}}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


def call(text: str = "hi", *, stream: bool = True, email: str | None = None, **more: Any) -> Call:
    body = Body(value={"input": [{"role": "user", "content": text}], **more})
    return Call(AGENT, Caller(email=email), "chat", "POST", "/invocations", headers(), body, stream, "r1")


def result(value: Any) -> bytes:
    return (
        b"data: "
        + json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}, ensure_ascii=False).encode()
        + b"\r\n\r\n"
    )


def update(text: str, *, append: bool) -> Any:
    artifact = {"artifactId": "a", "parts": [{"kind": "text", "text": text}]}
    return {
        "kind": "artifact-update",
        "taskId": "t",
        "contextId": "c",
        "artifact": artifact,
        "append": append,
    }


def ended(state: str) -> Any:
    return {
        "kind": "status-update",
        "taskId": "t",
        "contextId": "c",
        "status": {"state": state},
        "final": True,
    }


async def heard(raw: bytes, cuts: list[int]) -> bytes:
    """What a chat is told of these bytes of an agent's, which come in pieces."""
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    pieces = [raw[start:end] for start, end in pairwise(edges)]

    async def forward(call: Call) -> Reply:
        if call.method == "GET":
            return Reply(200, JSON, Body(value=CARD))
        return Reply(200, SSE, Told(pieces))

    reply = await a2a().outbound(call(), forward)
    assert not isinstance(reply.body, Body)
    told = b"".join([chunk async for chunk in reply.body.chunks()])
    return re.sub(rb'"created_at":\d+', b'"created_at":0', told)


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
    st.lists(st.integers(0, 4000), max_size=6),
)
@settings(max_examples=1000, deadline=None)
def test_an_agents_stream_is_told_alike_wherever_it_is_cut(
    runner: asyncio.Runner, said: list[str], cuts: list[int]
) -> None:
    raw = b": ping - now\r\n\r\n" + b"".join(
        result(update(text, append=bool(n))) for n, text in enumerate(said)
    )
    raw += result(ended("completed"))
    whole = runner.run(heard(raw, []))
    assert runner.run(heard(raw, cuts)) == whole
    deltas = [json.loads(line[6:]) for line in whole.split(b"\n") if b'"response.output_text.delta"' in line]
    assert "".join(delta["delta"] for delta in deltas) == "".join(said)


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=3))
@settings(max_examples=1000, deadline=None)
def test_whatever_bytes_an_agent_streams_are_told_or_refused(
    runner: asyncio.Runner, raw: bytes, cuts: list[int]
) -> None:
    try:
        told = runner.run(heard(b"data: " + raw, cuts))
    except Refusal as refusal:
        told = refusal.code.encode()
    assert told


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"data: no json\n\n", "agent_protocol_error"),
        (b'data: {"jsonrpc":"2.0","id":1}\n\n', "agent_protocol_error"),
        (b'data: {"result":{"neither":1}}\n\n', "agent_protocol_error"),
        (b"", "truncated"),
        (b": ping\n\n", "truncated"),
        (result(update("x", append=False) | {"taskId": None}), "truncated"),
    ],
)
async def test_what_is_no_answer_is_named(raw: bytes, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        await heard(raw, [])


# --- cards -------------------------------------------------------------------------------------------------


class Desk:
    """Gives out a card, and counts who asked how."""

    def __init__(self, card: Any = CARD, status: int = 200, etag: str = "") -> None:
        self.card, self.status, self.etag = card, status, etag
        self.asked: list[Call] = []

    async def __call__(self, call: Call) -> Reply:
        self.asked.append(call)
        await asyncio.sleep(0)
        if self.etag and call.headers.get("If-None-Match") == self.etag:
            return Reply(304, headers(), EMPTY)
        kept = headers(("Content-Type", "application/json"), *([("ETag", self.etag)] if self.etag else []))
        return Reply(self.status, kept, Body(value=self.card))


async def test_calls_that_need_a_card_at_once_wait_for_one_reading_of_it() -> None:
    desk, cards = Desk(), Cards(frozenset(), clock=lambda: 0.0)
    found = await asyncio.gather(*(cards.of(call(), desk) for _ in range(9)))
    assert len(desk.asked) == 1
    assert {one.line().target for one in found} == {"/rpc"}


async def test_2_9_5_a_card_is_asked_for_again_by_its_tag_when_it_is_old() -> None:
    now = 0.0
    desk, cards = Desk(etag='W/"1"'), Cards(frozenset(), clock=lambda: now)
    for at in (0.0, FRESH - 1, FRESH + 1, FRESH + 2, 2 * FRESH + 2):
        now = at
        assert (await cards.of(call(), desk)).streams
    assert [one.headers.get("If-None-Match") for one in desk.asked] == [None, 'W/"1"', 'W/"1"']


@pytest.mark.parametrize(("status", "asked"), [(404, 4), (410, 4), (503, 3), (401, 3)])
async def test_2_9_5_that_there_is_none_is_known_for_a_while_and_a_failure_for_none(
    status: int, asked: int
) -> None:
    now = 0.0
    desk, cards = Desk(status=status), Cards(frozenset(), clock=lambda: now)
    for at in (0.0, FRESH_ABSENCE - 1, FRESH_ABSENCE + 1):
        now = at
        known = await cards.of(call(), desk)
        assert (known.line().target, known.streams) == ("/", None)
    assert len(desk.asked) == asked


async def test_a_card_is_asked_for_with_nothing_of_the_chat_in_it() -> None:
    desk, cards = Desk(), Cards(frozenset())
    asked = call()._replace(headers=headers(("content-type", "application/json"), ("x-request-id", "1")))
    await cards.of(asked, desk)
    one = desk.asked[0]
    assert (one.method, one.target, one.body.raw if isinstance(one.body, Body) else None) == (
        "GET", "/.well-known/agent-card.json", b"",
    )  # fmt: skip
    assert dict(one.headers) == {"x-request-id": "1", "accept": "application/json"}


async def test_an_agent_of_two_versions_is_called_in_its_callers() -> None:
    interfaces = [
        {"url": "/new", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        {"url": "/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
    ]
    known = await Cards(frozenset()).of(call(), Desk({"supportedInterfaces": interfaces}))
    assert [known.line(one).target for one in (versions.NEW, versions.OLD, None)] == ["/new", "/old", "/new"]


async def test_agents_from_a_registry_have_their_card_where_that_says() -> None:
    desk = Desk()
    asked = call()._replace(agent=AGENT._replace(card="/api/agent_json"))
    await Cards(frozenset()).of(asked, desk)
    assert [one.target for one in desk.asked] == ["/api/agent_json"]


# --- conversations -----------------------------------------------------------------------------------------


def turned(*turns: str, email: str | None = None) -> Call:
    roles = ("user", "assistant")
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns)]
    return call(email=email)._replace(body=Body(value={"input": said}))


def kept(threads: Threads, one: Call, answer: str, context: str) -> None:
    assert isinstance(one.body, Body)
    threads.keep(one, one.body.value, answer, Place(context))


def found(threads: Threads, one: Call) -> str:
    assert isinstance(one.body, Body)
    return threads.find(one, one.body.value).context


def test_a_conversation_goes_on_for_who_has_it_and_for_nobody_else() -> None:
    threads = Threads()
    kept(threads, turned("a", email="ann@example.org"), "b", "c1")
    assert found(threads, turned("a", "b", "c", email="ann@example.org")) == "c1"
    assert found(threads, turned("a", "b", "c", email="bob@example.org")) == ""
    assert found(threads, turned("a", "b", "c")) == ""


def test_of_two_that_nobody_can_tell_apart_neither_goes_on_in_the_others() -> None:
    threads = Threads()
    kept(threads, turned("a"), "b", "c1")
    assert found(threads, turned("a", "b", "c")) == "c1"
    kept(threads, turned("a"), "b", "c2")
    assert found(threads, turned("a", "b", "c")) == ""


def test_the_oldest_conversation_goes_where_there_is_no_room() -> None:
    threads = Threads(room=2)
    for name in "xyz":
        kept(threads, turned(name), "b", name)
    assert [found(threads, turned(name, "b", "c")) for name in "xyz"] == ["", "y", "z"]
    assert len(threads) == 2


# --- asked again -------------------------------------------------------------------------------------------


class Script:
    """Answers each method with what stands for it, the last again and again; counts who was asked."""

    def __init__(self, card: Any = CARD, **answers: list[Any]) -> None:
        self.card, self.answers = card, answers
        self.asked: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        if call.method == "GET":
            return Reply(200, JSON, Body(value=self.card))
        assert isinstance(call.body, Body)
        method = call.body.value["method"].partition("/")[2]
        self.asked.append(method)
        answers = self.answers[method]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Refusal):
            raise answer
        if isinstance(answer, int):
            return Reply(answer, JSON, Body(b"{}"))
        if isinstance(answer, Told):
            return Reply(200, SSE, answer)
        return Reply(200, JSON, Body(value=answer))


def task(state: str, *texts: str) -> Any:
    artifacts = [{"artifactId": "a", "parts": [{"kind": "text", "text": text}]} for text in texts]
    value = {"kind": "task", "id": "t", "contextId": "c", "status": {"state": state}, "artifacts": artifacts}
    return {"jsonrpc": "2.0", "id": "1", "result": value}


def error(code: int) -> Any:
    return {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": "no"}}


def broken(*frames: bytes) -> Told:
    async def pieces() -> Any:
        for frame in frames:
            yield frame
        raise Refusal(502, "agent_broke_off")

    return Told(pieces())


BROKEN = result(task("working")["result"]) + result(update("A", append=False))


async def answered(script: Script, call_: Call | None = None) -> tuple[str, float]:
    """What the caller sees, and for how long was waited in between."""
    waited = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    reply = await outbound(Cards(frozenset()), sleep=sleep)(call_ or call(), script)
    assert not isinstance(reply.body, Body)
    try:
        said = ""
        async for event in reply.body.events():
            if event.data != "[DONE]" and (value := event.value())["type"].endswith("output_text.delta"):
                said += value["delta"]
        return said, waited
    finally:
        await reply.close("ok")


async def test_an_agent_that_cannot_say_where_it_was_is_asked_where_it_is() -> None:
    script = Script(
        stream=[broken(BROKEN)],
        resubscribe=[error(-32004)],
        get=[task("working", "AB"), task("completed", "ABC")],
    )
    assert await answered(script) == ("ABC", 1.0)
    assert script.asked == ["stream", "resubscribe", "get", "get"]


async def test_a_stream_that_breaks_again_is_taken_up_again() -> None:
    again_ = broken(result(task("working", "AB")["result"]))
    end = Told([result(task("completed", "ABC")["result"])])
    script = Script(stream=[broken(BROKEN)], resubscribe=[again_, end], get=[task("working", "AB")])
    assert (await answered(script))[0] == "ABC"
    assert script.asked == ["stream", "resubscribe", "get", "resubscribe"]


@pytest.mark.parametrize("failure", [Refusal(502, "agent_unreachable"), 500])
async def test_an_agent_that_is_gone_is_given_up_after_some_tries_and_not_asked_to_cancel_for_long(
    failure: Any,
) -> None:
    script = Script(stream=[broken(BROKEN)], resubscribe=[failure], get=[failure], cancel=[failure])
    with pytest.raises(Refusal):
        await answered(script)
    assert script.asked.count("get") == again.FAILURES
    assert script.asked[-1] == "cancel"


async def test_a_task_that_is_unknown_when_it_is_asked_for_is_what_the_break_said() -> None:
    script = Script(
        stream=[broken(BROKEN)], resubscribe=[error(-32001)], get=[error(-32001)], cancel=[error(-32001)]
    )
    with pytest.raises(Refusal, match="agent_broke_off"):
        await answered(script)


async def test_a_task_without_news_is_given_up() -> None:
    script = Script(send=[task("working")], get=[task("working")], cancel=[task("canceled")])
    with pytest.raises(Refusal, match="truncated"):
        await answered(script, call(stream=False))
    assert script.asked == ["send", *["get"] * again.IDLE, "cancel"]


async def test_polls_come_after_a_second_then_more_seldom_and_no_rarer_than_five() -> None:
    script = Script(send=[task("submitted")], get=[*[task("working")] * 7, task("completed", "x")])
    assert await answered(script, call(stream=False)) == ("x", 1 + sum([1, 2, 3, 4, 5, 5, 5]))


@pytest.mark.parametrize("code", [-32601, -32004])
async def test_an_agent_that_must_not_be_asked_twice_is_not(code: int) -> None:
    script = Script(stream=[error(code)], send=[task("completed", "x")])
    with pytest.raises(Refusal, match="agent_error"):
        await answered(script, call()._replace(agent=AGENT._replace(replay="never")))
    assert script.asked == ["stream"]


async def test_an_agent_that_says_no_to_everything_is_believed_at_last() -> None:
    script = Script(stream=[error(-32601)], send=[error(-32601)])
    with pytest.raises(Refusal, match="agent_error"):
        await answered(script)
    assert script.asked == ["stream", "send"]


async def test_an_endpoint_that_is_gone_has_its_card_read_anew() -> None:
    desk = Script(send=[404, task("completed", "x")])
    cards = Cards(frozenset())
    for status_ in (404, 200):
        reply = await outbound(cards)(call(stream=False), desk)
        assert reply.status == status_
    first = await cards.of(call(), desk)
    assert first.line().target == "/rpc"


async def test_any_other_relay_to_such_an_agent_is_left_alone() -> None:
    asked = call()._replace(dialect="responses", wants_stream=None, target="/v1/tasks/t:cancel")
    seen: list[Call] = []

    async def forward(call: Call) -> Reply:
        seen.append(call)
        return Reply(200, JSON, EMPTY)

    tongue = a2a()
    assert tongue.relay is not None
    await tongue.relay(asked, forward)
    await tongue.outbound(asked, forward)
    assert seen == [asked, asked]


SHALLOW = pytest.mark.skipif(sys.version_info >= (3, 12), reason="all that can be read can be printed")


@pytest.mark.parametrize("stream", [True, pytest.param(False, marks=SHALLOW)])
async def test_an_answer_that_is_nested_too_deeply_is_refused_or_has_failed(stream: bool) -> None:
    """It can be read, and what is put around it is too much to be written."""
    deep = '{"type":"chart","d":' * 1_000 + "1" + "}" * 1_000

    async def forward(call: Call) -> Reply:
        if stream:
            done = f'{{"type":"response.output_item.done","item":{deep}}}'
            return Reply(200, SSE, Told([f"data: {done}\n\ndata: [DONE]\n\n".encode()]))
        return Reply(200, JSON, Body(f'{{"output":[{deep}]}}'.encode()))

    message = {"role": "user", "parts": [{"text": "x"}]}
    asked = json.dumps(
        {"id": 1, "method": f"message/{'stream' if stream else 'send'}", "params": {"message": message}}
    )
    one = call()._replace(
        dialect="a2a", agent=AGENT._replace(kind="responses"), body=Body(asked.encode()), wants_stream=stream
    )
    if stream:
        reply = await a2a().inbound(one, forward)
        assert not isinstance(reply.body, Body)
        told = b"".join([chunk async for chunk in reply.body.chunks()])
        assert b'"final":true' in told
    else:
        with pytest.raises(Refusal, match="agent_protocol_error"):
            await a2a().inbound(one, forward)
