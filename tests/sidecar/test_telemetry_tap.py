"""The last calls can be looked at: names, sizes and times, by those who may."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from observed import Observed, a_call, a_reply, observed

from middleware.exchange import Body, headers
from policies.refusal import Refusal
from sidecar.telemetry import owner
from sidecar.telemetry.record import MOST


@pytest.fixture
def book() -> Iterator[Observed]:
    with observed() as book:
        yield book


def one_call(book: Observed, request_id: str, **attributes: Any) -> None:
    record = book.begin(request_id)
    for name, value in attributes.items():
        setattr(record, name, value)
    book.telemetry.began(a_call(request_id))
    book.telemetry.ended(a_call(request_id), a_reply(), "ok")


def seen(book: Observed, request_id: str) -> dict[str, Any]:
    """What one would read of a call, through JSON."""
    found = book.telemetry.tap.get(request_id)
    assert found is not None
    told: dict[str, Any] = orjson.loads(orjson.dumps(found))
    return told


def test_a_call_is_told_from_its_acceptance_to_its_end(book: Observed) -> None:
    call = a_call()
    record = book.begin()
    record.agent_request_id, record.trace_id = "0b0e-uuid", "4bf92f35"
    came = ["x-forwarded-user", "x-forwarded-access-token"]
    record.came = ("Host", *came)
    book.telemetry.identity(record, {"x-forwarded-user": 1}, believed=True)
    book.telemetry.began(call)
    sent = call._replace(body=Body(b'{"input":[{"role":"user"}],"stream":true}'))
    book.clock.at = 1000.004
    book.telemetry.carried(sent, "app", ("x-app-user-email",))
    for after, left, result in ((0.100, "none", "agent_unreachable"), (0.350, "full", "answered")):
        book.clock.at = 1000.0 + after
        book.telemetry.attempted(sent, left, result)
    record.first_byte, record.bytes = 1000.4, 512
    book.clock.at = 1001.0
    book.telemetry.ended(call, a_reply(headers=headers(("x-sidecar-stream", "translated"))), "ok")

    told = seen(book, "id-1")
    assert [(step["ms"], step["what"]) for step in told["timeline"]] == [
        (0.0, "accepted"),
        (0.0, "identity_removed"),
        (4.0, "credential"),
        (100.0, "attempt"),
        (350.0, "attempt"),
        (400.0, "first_byte"),
        (1000.0, "ended"),
    ]
    assert told["identity"] == {
        "received": ["x-forwarded-access-token", "x-forwarded-user"],
        "removed": ["x-forwarded-user"],
        "sent": ["x-app-user-email"],
    }
    assert told["agent"] == {"name": "weather", "kind": "responses", "auth": "app", "trusted": True}
    assert told["body"] == {"shape": "text", "shape_sent": "input", "bytes": 24, "bytes_sent": 41}
    assert told["answer"] == {"bytes": 512, "first_byte_ms": 400.0}
    assert told["exchanges"] == ["none agent_unreachable", "full answered"]
    assert (told["attempts"], told["sent"], told["stream"], told["outcome"]) == (
        2,
        "full",
        "translated",
        "ok",
    )
    assert (told["agent_request_id"], told["trace_id"]) == ("0b0e-uuid", "4bf92f35")
    assert (told["at"], told["ms"], told["door"]) == ("2023-11-14T22:13:20.062Z", 1000.0, "egress")


def test_a_body_that_leaves_as_it_came_is_told_twice_and_let_go_of(book: Observed) -> None:
    record = book.begin()
    record.bytes_in = 24
    call = a_call()
    book.telemetry.began(call)
    book.telemetry.attempted(call._replace(target="/invocations"), "full", "answered")
    assert seen(book, "id-1")["body"] == {
        "shape": "text",
        "shape_sent": "text",
        "bytes": 24,
        "bytes_sent": 24,
    }
    book.telemetry.ended(call, a_reply(), "ok")
    assert record.body is None


def test_a_relay_has_no_shape(book: Observed) -> None:
    book.begin()
    call = a_call(wants_stream=None)
    book.telemetry.began(call)
    book.telemetry.attempted(call, "full", "answered")
    assert seen(book, "id-1")["body"] == {
        "shape": None,
        "shape_sent": None,
        "bytes": 24,
        "bytes_sent": 24,
    }


def test_of_a_call_that_asks_without_end_the_first_exchanges_are_kept_and_all_are_counted(
    book: Observed,
) -> None:
    """A builder's run may be polled for hours."""
    record = book.begin()
    book.telemetry.began(a_call())
    for _ in range(5_000):
        book.telemetry.carried(a_call(), "app", ())
        book.telemetry.attempted(a_call(), "none", "agent_unreachable")
    book.telemetry.attempted(a_call(), "full", "answered")
    assert (record.attempts, record.sent) == (5_001, "full")
    assert len(record.exchanges) == len(record.notes) == MOST
    assert len(seen(book, "id-1")["timeline"]) == 2 * MOST + 1


def test_a_call_that_was_refused_says_why(book: Observed) -> None:
    book.begin()
    book.telemetry.began(a_call())
    book.telemetry.refused(
        a_call(),
        Refusal(403, "agent_forbidden", detail="No.", hint="Grant it.", agent_status=403),
    )
    book.telemetry.ended(a_call(), a_reply(403), "ok")
    assert seen(book, "id-1")["refusal"] == {
        "code": "agent_forbidden",
        "status": 403,
        "agent_status": 403,
        "detail": "No.",
        "hint": "Grant it.",
    }


def test_a_call_can_be_looked_at_while_it_is_still_open(book: Observed) -> None:
    book.begin()
    book.telemetry.began(a_call())
    told = seen(book, "id-1")
    assert (told["outcome"], told["status"], told["ms"]) == (None, None, None)
    assert [call["request_id"] for call in book.telemetry.tap.list()] == ["id-1"]


def test_the_newest_come_first_and_only_the_last_200_are_kept(book: Observed) -> None:
    for number in range(250):
        one_call(book, f"id-{number}")
    calls = book.telemetry.tap.list()
    assert [call["request_id"] for call in calls] == [f"id-{number}" for number in range(249, 49, -1)]
    assert book.telemetry.tap.get("id-49") is None


def test_of_two_calls_with_one_id_the_later_is_told(book: Observed) -> None:
    one_call(book, "chosen", bytes=1)
    one_call(book, "chosen", bytes=2)
    assert seen(book, "chosen")["answer"]["bytes"] == 2


def test_only_the_same_caller_sees_a_call_through_the_front_door(book: Observed) -> None:
    one_call(book, "bobs", owner=owner("bob@example.org", "10.0.0.1"))
    one_call(book, "nobodys")
    tap = book.telemetry.tap
    assert tap.get("bobs", owner("bob@example.org", "10.0.0.1"))
    assert tap.get("bobs", owner("eve@example.org", "10.0.0.1")) is None
    assert tap.get("bobs", owner("bob@example.or", "g10.0.0.1")) is None
    assert tap.get("nobodys", owner("", "")) is None
    assert tap.get("never-was", owner("bob@example.org", "10.0.0.1")) is None


def test_an_owner_is_not_the_name_of_a_person() -> None:
    assert b"bob" not in owner("bob@example.org")
    assert owner("a", "b") != owner("a\0b", "")
    assert owner("\udc80")


def test_strangers_do_not_push_calls_out(book: Observed) -> None:
    one_call(book, "mine")
    for number in range(500):
        book.telemetry.turned_away("front", "other", Refusal(404, "no_such_route"), f"id-{number}")
        book.telemetry.finish(book.begin(f"page-{number}", "admin", "other"), "ok", 200)
    assert seen(book, "mine")
    book.telemetry.turned_away("front", "/api/chat", Refusal(415, "unsupported_media_type"), "wrong")
    assert seen(book, "wrong")["outcome"] == "refused_input"


def test_under_load_it_holds_at_most_8_mib() -> None:
    """O07: a plug-in that notes without end, refusals without end, four bytes a letter."""
    with observed("error") as book:
        one_call(book, "warm")
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(210):
            call = a_call(f"id-{number}")
            book.begin(call.request_id)
            book.telemetry.began(call)
            for note in range(40):
                for _ in range(5):
                    book.telemetry.carried(call, "app", ())
                    book.telemetry.attempted(call, "none", "agent_unreachable")
                book.telemetry.note(call, f"note-{note}", ["\U0001f600" * 1000 + str(number)] * 50)
                book.telemetry.note(call, f"note-{note}", "\U0001f600" * 5_000 + str(number))
            book.telemetry.refused(call, Refusal(500, "internal_error", detail="\U0001f600" * 5_000))
            book.telemetry.ended(call, a_reply(), "ok")
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before <= 8 << 20
        assert len(book.telemetry.tap.list()) == 200


def test_a_refusal_is_kept_without_the_frames_that_hold_the_call(book: Observed) -> None:
    book.begin()
    book.telemetry.began(a_call())
    book.telemetry.refused(a_call(), Refusal(500, "internal_error"))
    record = book.telemetry.open["id-1"]
    assert not isinstance(record.refusal, BaseException)
