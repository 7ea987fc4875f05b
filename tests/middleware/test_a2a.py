"""The a2a dialect without a network: every cut of an agent's stream, cards that are kept, conversations that are."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.dialects.a2a import a2a
from middleware.dialects.a2a.cards import FRESH, FRESH_ABSENCE, Cards
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
