"""One call is one record: told as the chain tells it, ended once, counted, logged and kept."""

import asyncio
from collections.abc import Iterator

import pytest
from observed import WEATHER, Observed, a_call, a_reply, observed

from middleware.chain import compose
from middleware.dialects.dialect import Dialect
from middleware.exchange import Body, Call, Handler, Reply, headers
from middleware.guard import guard
from middleware.observe import Recorder, observe
from policies.outcome import OUTCOMES
from policies.refusal import Refusal


@pytest.fixture
def book() -> Iterator[Observed]:
    with observed() as book:
        yield book


async def untouched(call: Call, forward: Handler) -> Reply:
    return await forward(call)


def told(refusal: Refusal, _: Call) -> Reply:
    return Reply(refusal.status, headers(), Body(value={"error": refusal.code}))


def rim(recorder: Recorder, innermost: Handler) -> Handler:
    chat = Dialect(untouched, untouched, headers(), told, lambda *_: None, ())
    return compose([observe(recorder), guard({"chat": chat}, recorder)], innermost)


async def answered(book: Observed, innermost: Handler, ending: str = "ok", request_id: str = "id-1") -> str:
    """The outcome under which one call through the rim was counted."""
    record = book.begin(request_id)
    reply = await rim(book.telemetry, innermost)(a_call(request_id))
    await reply.close(ending)
    return record.outcome


async def test_an_answer_that_was_delivered_is_ok(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        return a_reply()

    assert await answered(book, agent) == "ok"


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, "agent_refused"), (429, "agent_refused"), (500, "agent_failed")]
)
async def test_an_agents_own_error_is_the_agents(book: Observed, status: int, outcome: str) -> None:
    async def agent(_: Call) -> Reply:
        return a_reply(status)

    assert await answered(book, agent) == outcome


@pytest.mark.parametrize("ending", sorted(OUTCOMES))
async def test_every_ending_is_an_outcome(book: Observed, ending: str) -> None:
    """O06: every outcome of the closed list can be produced, and has its series and its line."""

    async def agent(_: Call) -> Reply:
        return a_reply()

    assert await answered(book, agent, ending) == ending
    samples = await book.samples()
    series = f'sidecar_requests_total{{agent="weather",door="egress",outcome="{ending}",route="/api/chat"}}'
    assert samples[series] == 1.0
    (line,) = book.lines()
    assert line["outcome"] == ending


async def test_a_refusal_keeps_its_outcome_though_its_answer_was_delivered(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        raise Refusal(403, "agent_forbidden", detail="No CAN_USE on it.", hint="Grant it.", agent_status=403)

    assert await answered(book, agent, "ok") == "agent_forbidden"
    (line,) = book.lines()
    assert (line["status"], line["cause"], line["hint"]) == (403, "No CAN_USE on it.", "Grant it.")
    assert line["level"] == "warning"


async def test_what_a_caller_did_wrong_folds_into_one_outcome_and_keeps_its_code(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        raise Refusal(400, "invalid_json")

    assert await answered(book, agent) == "refused_input"
    (line,) = book.lines()
    assert (line["outcome"], line["code"], line["level"]) == ("refused_input", "invalid_json", "info")


async def test_a_fault_of_ours_is_told_with_its_traceback_in_one_field(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        raise KeyError("nothing of the kind")

    assert await answered(book, agent) == "internal_error"
    fault, request = book.lines()
    assert fault["level"] == request["level"] == "error"
    assert fault["request_id"] == request["request_id"] == "id-1"
    assert "KeyError: 'nothing of the kind'" in fault["traceback"]
    assert "in agent" in fault["traceback"]


async def test_a_caller_who_leaves_before_the_answer_is_counted_as_having_left(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    record = book.begin()
    task = asyncio.ensure_future(rim(book.telemetry, agent)(a_call()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert record.outcome == "caller_left"
    assert book.telemetry.open == {}


@pytest.mark.parametrize(("said", "outcome"), [("draining", "draining"), ("something else", "caller_left")])
async def test_a_cancellation_says_why(book: Observed, said: str, outcome: str) -> None:
    async def agent(_: Call) -> Reply:
        raise asyncio.CancelledError(said)

    record = book.begin()
    with pytest.raises(asyncio.CancelledError):
        await rim(book.telemetry, agent)(a_call())
    assert record.outcome == outcome


async def test_an_ending_that_nobody_knows_is_a_fault_of_ours(book: Observed) -> None:
    async def agent(_: Call) -> Reply:
        return a_reply()

    assert await answered(book, agent, "fell asleep") == "internal_error"


async def test_a_call_ends_once(book: Observed) -> None:
    record = book.begin()
    book.telemetry.began(a_call())
    book.telemetry.ended(a_call(), a_reply(), "truncated")
    book.telemetry.ended(a_call(), a_reply(), "ok")
    book.telemetry.finish(record, "caller_left")
    assert record.outcome == "truncated"
    assert len(book.lines()) == 1


async def test_two_calls_at_once_do_not_mix(book: Observed) -> None:
    first, second = book.begin("one"), book.begin("two")
    for request_id, mode in (("one", "input"), ("two", "messages")):
        book.telemetry.began(a_call(request_id))
        book.telemetry.note(a_call(request_id), "shape", mode)
    book.telemetry.ended(a_call("two"), a_reply(), "ok")
    assert (first.facts()["shape"], second.facts()["shape"]) == ("input", "messages")
    assert list(book.telemetry.open) == ["one"]


async def test_a_call_that_some_middleware_replaced_is_still_the_same(book: Observed) -> None:
    record = book.begin()
    call = a_call()
    book.telemetry.began(call)
    book.telemetry.note(call._replace(target="/responses", wants_stream=False), "shape", "text")
    assert record.facts() == {"shape": "text"}


async def test_a_call_that_no_edge_announced_has_a_record_too(book: Observed) -> None:
    book.telemetry.began(a_call())
    book.telemetry.ended(a_call(), a_reply(), "ok")
    (line,) = book.lines()
    assert (line["door"], line["route"], line["agent"]) == ("egress", "other", "weather")


def test_a_note_about_a_call_that_is_over_is_no_error(book: Observed) -> None:
    book.telemetry.attempted(a_call("long gone"), "full", "answered")
    book.telemetry.carried(a_call("long gone"), "app", ())
    book.telemetry.note(a_call("long gone"), "mine", 1)
    book.telemetry.refused(a_call("long gone"), Refusal(500, "internal_error"))
    assert book.telemetry.open == {}


def test_whatever_a_plugin_notes_is_kept_short_and_never_fails(book: Observed) -> None:
    record = book.begin()
    call = a_call()
    book.telemetry.began(call)
    for what in ("stream_refused", "attempt", "plugin_failed", "cold_start", "mine"):
        for value in (object(), ["a", ["b"]], {"c": "d"}, "e" * 10_000, 1, None, ("full",), b"bytes", {1, 2}):
            book.telemetry.note(call, what, value)
    assert all(len(value) <= 200 for _, _, value in record.notes if isinstance(value, str))


def test_a_request_that_never_became_a_call_is_counted_and_told(book: Observed) -> None:
    book.telemetry.turned_away("front", "/api/chat", Refusal(403, "cross_site"), "id-7", "POST")
    (line,) = book.lines()
    assert (line["door"], line["outcome"], line["code"], line["status"], line["agent"]) == (
        "front",
        "refused_input",
        "cross_site",
        403,
        "none",
    )


def test_a_refusal_after_the_record_was_opened_ends_that_record(book: Observed) -> None:
    record = book.begin("id-8")
    book.telemetry.turned_away("egress", "/api/chat", Refusal(413, "body_too_large"), "id-8")
    assert record.outcome == "refused_input"
    assert book.telemetry.open == {}


async def test_malformed_requests_are_always_counted_and_told_once_a_second(book: Observed) -> None:
    for _ in range(5):
        book.telemetry.malformed("front", "bad_request")
    book.clock.at += 1.0
    book.telemetry.malformed("front", "bad_request")
    samples = await book.samples()
    assert (
        samples['sidecar_requests_total{agent="none",door="front",outcome="refused_input",route="other"}']
        == 6
    )
    assert len(book.lines()) == 2


def test_what_became_of_identity_headers_is_counted_by_reason(book: Observed) -> None:
    record = book.begin()
    book.telemetry.identity(record, {"x-forwarded-email": 2}, believed=False)
    book.telemetry.identity(record, {"x-forwarded-user": 1}, believed=True)
    assert book.telemetry.counters.removed == {"not_believed": 2, "malformed": 1}
    assert record.removed == 3


def test_an_agents_name_that_a_caller_made_up_is_cut_short(book: Observed) -> None:
    book.begin()
    book.telemetry.began(a_call(agent=WEATHER._replace(name="x" * 5000, url="")))
    book.telemetry.ended(a_call(), a_reply(404), "ok")
    (line,) = book.lines()
    assert line["agent"] == "x" * 63
