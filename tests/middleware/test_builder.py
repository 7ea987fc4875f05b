"""A builder's windows stitched into one stream, whatever becomes of each; and what is asked of it once. B06, B07."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import event as noted
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.dialects.builder import builder
from middleware.dialects.builder.conversations import Conversations, Place
from middleware.dialects.builder.kept import Run
from middleware.dialects.builder.projects import Projects
from middleware.dialects.builder.windows import TRIES, events
from middleware.exchange import Body, Call, Handler, Reply, headers
from middleware.retry import retry
from middleware.streams import Told
from policies.a2a_message import thread
from policies.agent import Agent, Caller
from policies.builder_cursor import Cursor
from policies.refusal import Refusal
from policies.secret import Secret

AGENT = Agent("builder", "http://127.0.0.1:1", "builder", trusted=True)
RUN = Run("e1", "p1", "c1", "hello")
JSON, SSE = headers(("Content-Type", "application/json")), headers(("Content-Type", "text/event-stream"))
END = [
    {"type": "stream.completed", "is_error": False, "_cursor": 9e9},
    {"type": "stream.completed", "is_error": False},
]


ANN = Caller(email="ann@example.org")


def call(text: str = "hello", caller: Caller = ANN) -> Call:
    body = Body(value={"input": [{"role": "user", "content": text}]})
    return Call(
        AGENT, caller, "chat", "POST", "/invocations", headers(("x-request-id", "r1")), body, True, "r1"
    )


def document(value: Any, status: int = 200) -> Reply:
    return Reply(status, JSON, Body(value=value))


def framed(*told: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in told)


async def told(forward: Handler, cursor: Cursor | None = None) -> list[Any]:
    return [one async for one in events(call(), forward, RUN, cursor or Cursor(), sleep=at_once)]


async def at_once(_: float) -> None:
    """Nobody waits here."""


# --- the stitcher -------------------------------------------------------------------------------------------

STEPS = st.sampled_from([0.0, 0.0, 0.001, 0.3, 5.0, -0.2])
WINDOW = st.tuples(
    st.integers(0, 12),  # events that it brings
    st.sampled_from(["reconnect", "eof", "reset", "within", "gap", "refused", 401, 429, 503, "silent 404"]),
    st.integers(1, 40),  # bytes in a piece
)


class Server:
    """A builder that has all its events, and a plan for how each window goes; then one that goes well."""

    def __init__(self, steps: list[float], plan: list[tuple[int, Any, int]]) -> None:
        stamp = 1e9
        self.stored: list[Any] = []
        lowest = stamp
        for nth, step in enumerate(steps):
            stamp = max(stamp + step, lowest - 0.2)
            lowest = max(lowest, stamp)
            text = "ab"[nth % 2]  # so that equal stamps and equal words meet
            kind = "keepalive" if nth % 7 == 6 else "text_delta"
            self.stored.append({"type": kind, "text": text, "_cursor": stamp})
        self.plan = list(plan)
        self.most = TRIES  # lost windows in a row, as the plan may have it
        self.asked: list[float | None] = []
        self.idle = 0  # lost windows in a row, the last that brought something among them
        self.reached = 0

    def brings(self, window: list[Any]) -> None:
        new = max(
            (nth + 1 for nth, one in enumerate(self.stored) if any(one is brought for brought in window)),
            default=0,
        )
        self.idle = 1 if new > self.reached else self.idle + 1  # it is lost, or ends in order
        self.reached = max(self.reached, new)

    async def __call__(self, asked: Call) -> Reply:
        assert isinstance(asked.body, Body)
        if asked.target != "/api/stream_progress/e1":
            return document({"detail": "Not Found"}, 404)
        after = asked.body.value["last_event_timestamp"]
        self.asked.append(after)
        rest = [one for one in self.stored if after is None or one["_cursor"] > after]
        count, how, size = self.plan.pop(0) if self.plan and self.idle < self.most else (0, "end", 1000)
        self.brings(rest[:count] if isinstance(how, str) and how not in ("refused", "silent 404") else [])
        match how:
            case "refused":
                raise Refusal(502, "agent_unreachable", sent="none")
            case int() as status:
                return document({"detail": "No."}, status)
            case "silent 404":
                return document({"detail": "Stream not found: e1"}, 404)
        raw = framed(*rest[:count])
        if how == "reconnect":
            last = rest[:count][-1]["_cursor"] if rest[:count] else after
            raw += framed({"type": "stream.reconnect", "execution_id": "e1", "last_timestamp": last})
        elif how == "within":
            raw += framed(*rest[count : count + 1])[:9]
        elif how == "end":
            raw = framed(*rest, *END) + b"data: [DONE]\n\n"

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(raw), size):
                yield raw[start : start + size]
            if how in ("reset", "gap"):
                raise Refusal(502, {"reset": "agent_broke_off", "gap": "agent_gap_timeout"}[how])

        return Reply(200, SSE, Told(pieces()))


@settings(max_examples=1000, deadline=None)
@given(st.lists(STEPS, max_size=18), st.lists(WINDOW, max_size=7))
def test_b06_whatever_windows_do_each_event_comes_once_and_in_order(
    steps: list[float], plan: list[tuple[int, Any, int]]
) -> None:
    server = Server(steps, plan)
    heard = asyncio.run(told(server))
    assert heard[:-1] == server.stored
    assert heard[-1]["type"] == "stream.completed"
    noted(f"{len(server.asked)} windows")


@pytest.mark.parametrize("how", ["refused", "eof", "reset", "gap", "within", 401, 429, 500, "silent 404"])
async def test_b07_a_lost_window_is_asked_for_five_times_and_no_more(how: Any) -> None:
    lost = Server([], [])
    lost.plan = [(0, how, 7)] * 50
    lost_again = Always(lost, how)
    with pytest.raises(Refusal):
        await told(lost_again)
    assert lost_again.times == 1 + TRIES


class Always:
    """Every window goes like this."""

    def __init__(self, server: Server, how: Any) -> None:
        self.server, self.how, self.times = server, how, 0

    async def __call__(self, asked: Call) -> Reply:
        self.times += asked.target.startswith("/api/stream_progress")
        self.server.idle, self.server.plan = 0, [(0, self.how, 7)]
        return await self.server(asked)


async def test_b07_what_comes_in_between_counts_the_tries_anew() -> None:
    lost = [(0, "eof", 7)] * (TRIES - 1)
    server = Server([0.001] * 9, [(3, "eof", 7), *lost, (6, "reset", 7), *lost])
    server.most = 2 * TRIES
    assert (await told(server))[:-1] == server.stored
    assert len(server.asked) == 2 * TRIES + 1


async def test_windows_that_end_in_order_and_never_bring_anything_do_not_go_on_for_ever() -> None:
    with pytest.raises(Refusal) as refused:
        await told(Always(Server([], []), "reconnect"))
    assert refused.value.code == "agent_broke_off"


async def test_a_run_that_is_said_to_go_on_and_does_not_is_lost() -> None:
    """After a restart a database may call it running for ever."""
    looks = 0

    async def forward(asked: Call) -> Reply:
        nonlocal looks
        if asked.target.endswith("/executions"):
            looks += 1
            return document({"active": {"id": "e1", "status": "running", "events": []}, "recent": []})
        return document({"detail": "Stream not found: e1"}, 404)

    with pytest.raises(Refusal) as refused:
        await told(forward)
    assert (refused.value.code, looks) == ("agent_run_lost", 10)


async def test_a_second_end_is_waited_for_and_says_whether_it_was_cancelled() -> None:
    async def forward(asked: Call) -> Reply:
        ends = framed(END[0], END[1] | {"is_cancelled": True})
        return Reply(200, SSE, Told([ends, b"data: [DONE]\n\n"]))

    heard = await told(forward)
    assert len(heard) == 1
    assert heard[0]["is_cancelled"] is True


async def test_the_mark_of_the_end_alone_is_one() -> None:
    async def forward(asked: Call) -> Reply:
        return Reply(
            200, SSE, Told([framed({"type": "text", "text": "a", "_cursor": 1.0}), b"data: [DONE]\n\n"])
        )

    assert [one["type"] for one in await told(forward)] == ["text", "stream.completed"]


# --- what is asked once -------------------------------------------------------------------------------------


class Agentlike:
    """A builder in a few lines. `invoke` answers `invoke_agent`."""

    def __init__(self, invoke: Callable[[], Reply]) -> None:
        self.invoke, self.calls = invoke, [""]
        self.gate = asyncio.Event()
        self.gate.set()
        self.invoked = asyncio.Event()

    async def __call__(self, asked: Call) -> Reply:
        self.calls.append(f"{asked.method} {asked.target}")
        match asked.target.rpartition("/")[2]:
            case "projects" if asked.method == "GET":
                await asyncio.sleep(0)
                return document([])
            case "projects" | "conversations":
                return document({"id": f"made-{len(self.calls)}"})
            case "invoke_agent":
                self.invoked.set()
                await self.gate.wait()
                return self.invoke()
            case "executions":
                return document({"active": None, "recent": []})
            case "agent" | "info" | "health":
                return document({"status": "healthy"})
        if "stop_stream" in asked.target:
            return document({"success": True})
        return Reply(200, SSE, Told([framed({"type": "text", "text": "Hi", "_cursor": 1.0}, *END)]))

    def times(self, word: str) -> int:
        return sum(word in one for one in self.calls)


def begun() -> Reply:
    return document({"execution_id": "e1", "conversation_id": "c1"})


class Silent:
    """A recorder that nobody reads."""

    def note(self, *_: Any) -> None: ...


async def test_a_run_is_never_started_twice_even_where_it_looks_as_if_the_agent_slept() -> None:
    """`retry` sends a chat again behind such an answer, and does not send this."""
    asleep = headers(("Content-Type", "text/html"), ("Server", "databricks"))
    agent = Agentlike(lambda: Reply(503, asleep, Body(b"<h1>App Not Available</h1>")))
    trying_again = retry(Silent(), budget=5, sleep=at_once)  # type: ignore[arg-type]
    reply = await builder().outbound(call(), lambda asked: trying_again(asked, agent))
    assert (reply.status, agent.times("invoke_agent")) == (503, 1)


async def test_an_agent_that_may_sleep_is_woken_before_a_known_conversation_goes_on() -> None:
    agent, outbound = Agentlike(begun), builder(sleep=at_once).outbound
    first = await outbound(call(), agent)
    assert b"Hi" in b"".join([chunk async for chunk in first.body.chunks()])  # type: ignore[union-attr]
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hi"}]
    again = call()._replace(body=Body(value={"input": [*turns, {"role": "user", "content": "and?"}]}))
    await (await outbound(again, agent)).close("ok")
    assert (agent.times("conversations"), agent.times("/api/config/health")) == (1, 0), "it has just answered"


async def test_whoever_leaves_while_the_run_is_being_started_stops_it() -> None:
    agent = Agentlike(begun)
    agent.gate.clear()
    leaving = asyncio.create_task(builder().outbound(call(), agent))
    await asyncio.wait_for(agent.invoked.wait(), 5)
    leaving.cancel()
    asyncio.get_running_loop().call_later(0.05, agent.gate.set)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert agent.calls[-1] == "POST /api/stop_stream/e1"
    assert (agent.times("invoke_agent"), agent.times("stop_stream")) == (1, 1)


async def test_closing_a_reply_that_nobody_read_stops_the_run_once() -> None:
    agent = Agentlike(begun)
    reply = await builder().outbound(call(), agent)
    for _ in range(2):
        await reply.close("caller_left")
    assert agent.times("stop_stream") == 1


async def test_a_run_that_has_ended_is_not_stopped() -> None:
    agent = Agentlike(begun)
    reply = await builder().outbound(call(), agent)
    assert isinstance(reply.body, Told)
    assert b"[DONE]" in b"".join([chunk async for chunk in reply.body.chunks()])
    await reply.close("ok")
    assert agent.times("stop_stream") == 0


@pytest.mark.parametrize("value", [[], {"execution_id": 7}, "x", None])
async def test_an_agent_that_names_no_run_is_no_builder(value: Any) -> None:
    agent = Agentlike(lambda: document(value))
    with pytest.raises(Refusal) as refused:
        await builder().outbound(call(), agent)
    assert refused.value.code == "agent_protocol_error"


async def test_callers_who_come_at_once_share_one_search_for_their_project() -> None:
    agent, projects = Agentlike(begun), Projects()
    found = await asyncio.gather(*(projects.of(call(), agent) for _ in range(5)))
    assert (len(set(found)), agent.times("projects")) == (1, 2)
    other = await projects.of(call(caller=Caller(email="bob@example.org")), agent)
    assert other not in found


async def test_projects_are_remembered_within_bounds() -> None:
    agent, projects = Agentlike(begun), Projects(room=2)
    for user in "abc":
        await projects.of(call(caller=Caller(email=user)), agent)
    assert len(projects) == 2
    assert agent.times("GET") == 3
    await projects.of(call(caller=Caller(email="a")), agent)
    assert agent.times("GET") == 4


# --- conversations ------------------------------------------------------------------------------------------


def turned(*texts: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"input": [{"role": roles[nth % 2], "content": text} for nth, text in enumerate(texts)]}


PLACE = Place("p1", "c1")


def test_a_conversation_is_one_callers_at_a_time() -> None:
    known = Conversations()
    known.put(call(), PLACE, thread(turned("hello"), "Hi"))
    assert known.take(call(), turned("hello", "Hi", "and?")) == PLACE
    assert known.take(call(), turned("hello", "Hi", "and?")) is None, "it is in use, and has moved on"
    known.put(call(), PLACE, thread(turned("hello", "Hi", "and?"), "So."))
    assert known.take(call(), turned("hello", "Hi", "and?")) is None
    assert known.take(call(), turned("hello", "Hi", "and?", "So.", "then?")) == PLACE


def test_it_may_be_named_by_its_own_id() -> None:
    known = Conversations()
    known.put(call(), PLACE, thread(turned("hello"), "Hi"))
    assert known.take(call(), {"input": "more", "conversation_id": "c1"}) == PLACE
    assert len(known) == 0


def test_another_user_never_finds_it() -> None:
    known = Conversations()
    known.put(call(), PLACE, thread(turned("hello"), "Hi"))
    for other in (Caller(email="bob@example.org"), Caller(), Caller(token=Secret("t"))):
        assert known.take(call(caller=other), turned("hello", "Hi", "and?")) is None
        assert known.take(call(caller=other), {"input": "more", "conversation_id": "c1"}) is None


def test_two_whom_nobody_named_and_who_said_the_same_do_not_meet() -> None:
    known, nobody = Conversations(), call(caller=Caller())
    for place in (PLACE, Place("p1", "c2")):
        known.put(nobody, place, thread(turned("hello"), "Hi"))
    assert known.take(nobody, turned("hello", "Hi", "and?")) is None
    assert known.take(nobody, {"input": "more", "conversation_id": "c2"}) == Place("p1", "c2")


def test_the_oldest_gives_way() -> None:
    known = Conversations(room=2)
    for nth in range(3):
        known.put(call(), Place("p1", f"c{nth}"), thread(turned(f"q{nth}"), "Hi"))
    assert len(known) == 2
    assert known.take(call(), turned("q0", "Hi", "and?")) is None
    assert known.take(call(), turned("q2", "Hi", "and?")) == Place("p1", "c2")
