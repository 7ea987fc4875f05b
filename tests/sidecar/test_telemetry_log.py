"""One line for each request, whole or not at all, holding nothing that a caller said."""

import fcntl
import logging
import os
import re
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observed import BOB, WEATHER, Observed, a_call, a_reply, observed

from middleware.exchange import headers
from policies.outcome import OUTCOMES
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.telemetry import Log, Record
from sidecar.telemetry.counters import MODES, ROUTES, SENT
from sidecar.telemetry.lines import METHODS, json_line, plain_line, shown, stamp
from sidecar.telemetry.settled import LEVEL, Settled, told


@pytest.fixture
def book() -> Iterator[Observed]:
    with observed() as book:
        yield book


def test_a_request_is_one_line_of_json(book: Observed) -> None:
    record = book.begin("caller-1")
    record.agent_request_id, record.trace_id = "0b0e-uuid", "4bf92f35"
    book.telemetry.began(a_call("caller-1"))
    book.telemetry.attempted(a_call("caller-1"), "none", "agent_unreachable")
    book.telemetry.attempted(a_call("caller-1"), "full", "answered")
    record.first_byte, record.bytes, record.status = book.clock.at + 0.048, 1234, 200
    book.clock.at += 0.3125
    book.telemetry.ended(a_call("caller-1"), a_reply(headers=headers(("x-sidecar-stream", "raw"))), "ok")
    (line,) = book.lines()
    assert line == {
        "ts": "2023-11-14T22:13:20.062Z",
        "level": "info",
        "msg": "request",
        "request_id": "caller-1",
        "agent_request_id": "0b0e-uuid",
        "trace_id": "4bf92f35",
        "door": "egress",
        "method": "POST",
        "route": "/api/chat",
        "agent": "weather",
        "outcome": "ok",
        "status": 200,
        "ms": 312.5,
        "first_byte_ms": 48.0,
        "bytes": 1234,
        "stream": "raw",
        "attempts": 2,
        "sent": "full",
    }


def test_the_line_of_a_body_that_asked_twice_says_so(book: Observed) -> None:
    record = book.begin()
    book.telemetry.began(a_call())
    book.telemetry.note(a_call(), "ambiguous_body", "input")
    book.telemetry.attempted(a_call(), "full", "answered")
    record.first_byte = book.clock.at
    book.telemetry.ended(a_call(), a_reply(headers=headers(("x-sidecar-stream", "raw"))), "ok")
    (line,) = book.lines()
    assert line["ambiguous_body"] == "input"


async def test_nothing_that_was_said_and_no_secret_comes_out_anywhere() -> None:
    """O01, as far as the recorder goes: header values, query, e-mail, token, body, at level debug."""
    with observed("debug") as book:
        book.telemetry.hide(Secret("canary-of-the-process"))
        said = b""
        for number, error in enumerate(
            (
                None,
                Refusal(502, "agent_failed", detail="It said Bearer canary-bearer."),
                ValueError("canary-bearer canary-token canary-query bob@example.org 'canary-words'"),
                RuntimeError("canary-of-the-process, bobs-own-token"),
            )
        ):
            call = a_call(f"id-{number}")
            book.begin(call.request_id)
            book.telemetry.began(call)
            if isinstance(error, Refusal):
                book.telemetry.refused(call, error)
            elif error is not None:
                book.telemetry.failed(call, error)
            book.telemetry.ended(call, a_reply(), "ok")
            said += orjson.dumps(book.telemetry.tap.get(call.request_id))
        logging.getLogger("some.library")
        said += book.written() + orjson.dumps(book.telemetry.tap.list()) + (await book.telemetry.metrics())[0]
    for secret in ("canary-", "bob@example.org", BOB.token.reveal() if BOB.token else ""):
        assert secret not in said.decode().replace("canary-not-really", "")


def test_what_an_error_quotes_is_hidden_only_where_the_caller_said_it(book: Observed) -> None:
    book.telemetry.failed(a_call(), TypeError("'canary-words' is no 'number'"))
    (line,) = book.lines()
    assert "*** is no 'number'" in line["traceback"]


def test_an_error_that_cannot_be_printed_is_one_fault_not_two(book: Observed) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    book.telemetry.failed(a_call(), Unspeakable())
    (line,) = book.lines()
    assert "Unspeakable: ?" in line["traceback"]


def test_what_led_to_an_error_is_told_before_it(book: Observed) -> None:
    def broken() -> None:
        try:
            raise OSError("disk on fire")
        except OSError as cause:
            raise LookupError("no page") from cause

    with pytest.raises(LookupError) as caught:
        broken()
    book.telemetry.broke(caught.value, a_call())
    (line,) = book.lines()
    first, then, last = line["traceback"].partition("\nthen\n")
    assert first.endswith("OSError: disk on fire")
    assert then
    assert last.endswith("LookupError: no page")


def test_without_a_call_to_compare_it_with_an_error_is_told_without_its_words(book: Observed) -> None:
    book.telemetry.broke(ValueError("canary"))
    (line,) = book.lines()
    assert line["traceback"] == "ValueError"


def test_the_same_fault_is_told_once_a_second_with_the_number_that_was_held_back(book: Observed) -> None:
    for _ in range(100):
        book.telemetry.failed(a_call(), ZeroDivisionError("again"))
    book.clock.at += 1.5
    book.telemetry.failed(a_call(), ZeroDivisionError("again"))
    first, second = book.lines()
    assert "held_back" not in first
    assert second["held_back"] == 99


# --- levels and leaving


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2)])
def test_the_level_says_what_is_written(level: str, seen: int) -> None:
    with observed(level) as book:
        for request_id, door, ending in (
            ("1", "admin", "ok"),  # a probe
            ("2", "egress", "ok"),
            ("3", "egress", "agent_unreachable"),
            ("4", "front", "internal_error"),
        ):
            book.telemetry.finish(book.begin(request_id, door), ending, 200)
        assert len(book.lines()) == seen


def test_lines_wait_for_each_other_but_a_warning_leaves_at_once(book: Observed) -> None:
    def now() -> bytes:
        try:
            return os.read(book.reader, 1 << 16)
        except BlockingIOError:
            return b""

    book.telemetry.say("info", "a door is open")
    assert now() == b""
    book.telemetry.say("warning", "a token is late")
    assert [orjson.loads(line)["msg"] for line in now().splitlines()] == ["a door is open", "a token is late"]


def test_many_lines_leave_without_being_asked(book: Observed) -> None:
    for _ in range(200):
        book.telemetry.say("info", "x" * 100)
    assert len(os.read(book.reader, 1 << 16)) >= 16 << 10


def test_a_pipe_that_nobody_reads_stops_nothing_and_the_loss_is_told(book: Observed) -> None:
    """Whole lines only, in order, and a line about those that were lost."""
    fcntl.fcntl(book.reader, fcntl.F_SETPIPE_SZ, 4096)
    total = 12_000
    for number in range(total):
        book.telemetry.say("info", "x" * 120, number=number)
    assert book.log.dropped > 0
    lines = []
    while new := book.lines():
        lines += new
    numbers = [line["number"] for line in lines if "number" in line]
    assert numbers == list(range(total - book.log.dropped))
    assert lines[-1]["msg"] == f"{book.log.dropped} log lines were lost: nobody read them"


def test_a_line_longer_than_a_page_arrives_whole(book: Observed) -> None:
    book.telemetry.say("info", "before")
    book.telemetry.say("info", "y" * 20_000)
    book.telemetry.say("info", "after")
    assert [len(line["msg"]) for line in book.lines()] == [6, 20_000, 5]


def test_a_reader_who_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    log = Log(fd=writer, plain=False)
    os.close(reader)
    log.say("warning", "is anybody there")
    log.flush(patience=0.01)
    assert log.dropped == 1
    os.close(writer)


def test_a_descriptor_that_takes_nothing_now_is_tried_again(book: Observed) -> None:
    writer = book.log._fd
    os.set_blocking(writer, False)
    fcntl.fcntl(book.reader, fcntl.F_SETPIPE_SZ, 4096)
    for number in range(200):
        book.telemetry.say("info", "z" * 100, number=number)
    lines = []
    while new := book.lines():
        lines += new
    assert [line["number"] for line in lines] == list(range(200))


# --- what stands in a line

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x202E, 0x2066)]
TEXTS = st.text(st.characters() | st.sampled_from(CONTROLS), max_size=40)


@settings(max_examples=1000, deadline=None)
@given(TEXTS, TEXTS)
def test_a_plain_line_moves_no_cursor(message: str, value: str) -> None:
    """No escape of a terminal, no second line, whatever a caller wrote."""
    line = plain_line({"ts": 1.0, "level": "info", "msg": message, "method": value}).decode()
    assert line.endswith("\n")
    assert not set(CONTROLS) & set(line[:-1])


@settings(max_examples=1000, deadline=None)
@given(TEXTS, TEXTS)
def test_a_json_line_is_one_line_and_moves_no_cursor(message: str, value: str) -> None:
    line = json_line({"ts": 1.0, "level": "info", "msg": message, "method": value}).decode()
    assert line.endswith("\n")
    assert not (set(CONTROLS) - {"\x7f"}) & set(line[:-1])
    assert orjson.loads(line)["msg"] == message.encode("utf-8", "replace").decode()


NAMES = st.text(
    st.characters(codec="utf-8") | st.sampled_from([*CONTROLS, *'%s{}"\\']), min_size=1, max_size=20
)
PARTS = {
    "door": st.sampled_from(("front", "egress")),
    "agent_name": NAMES,
    "route": st.sampled_from(ROUTES),
    "outcome": st.sampled_from(sorted(OUTCOMES)),
    "method": st.sampled_from((*sorted(METHODS), "BREW")),
    "status": st.integers(0, 999),
    "stream": st.sampled_from((*MODES, "tunnel", "")),
    "attempts": st.integers(0, 200),
    "sent": st.sampled_from(sorted(SENT)),
    "bytes": st.integers(0, 1 << 40),
    "time": st.floats(0, 4e9),
    "telling": st.booleans(),
    "trace_id": st.sampled_from(("4bf92f35", "")),
    "first_byte": st.none() | st.floats(0, 1e6),
    "ended": st.floats(0, 1e6),
}


@settings(max_examples=1000, deadline=None)
@given(st.fixed_dictionaries(PARTS))
def test_the_line_of_a_call_that_went_as_calls_do_is_the_line_that_tells_everything(parts: dict) -> None:
    """Byte by byte, twice: what was remembered of the first call is what the second is told by."""
    record = Record()
    for name, value in {"request_id": "id-1", "agent": WEATHER, "started": 0.0, **parts}.items():
        setattr(record, name, value)
    record.agent_request_id = record.trace_id and "0b0e-uuid"
    with observed() as book:
        settled = Settled(book.log, book.telemetry.counters, book.telemetry.tap)
        settled([record, record])
        assert book.written() == json_line(told(record, LEVEL[record.outcome])) * 2


@pytest.mark.parametrize("plain", [True, False])
def test_lines_stand_in_the_order_in_which_calls_ended_whatever_they_tell(plain: bool) -> None:
    with observed("debug", plain=plain) as book:
        for number in range(30):
            record = book.begin(f"id-{number}")
            record.agent_request_id, record.trace_id, record.first_byte = "uuid", "trace", book.clock.at
            call = a_call(record.request_id)
            if number % 3:
                book.telemetry.began(call)
                book.telemetry.attempted(call, "full", "answered")
                if number % 3 == 1:
                    book.telemetry.note(call, "waited", 2.5)
                book.telemetry.ended(call, a_reply(headers=headers(("x-sidecar-stream", "raw"))), "ok")
            else:
                book.telemetry.finish(record, "ok", 200)
        ids = re.findall(rb"[^_]request_id\W+(id-\d+)", book.written())
    assert ids == [b"id-%d" % number for number in range(30)]


def test_a_text_that_is_no_unicode_is_logged_all_the_same() -> None:
    assert orjson.loads(json_line({"ts": 1.0, "level": "info", "msg": "\udc80"}))["msg"] == "?"
    assert plain_line({"ts": 1.0, "level": "info", "msg": "\udc80"}).endswith(b"?\n")


def test_a_person_reads_a_request_in_one_glance() -> None:
    with observed(plain=True) as book:
        book.begin()
        book.telemetry.began(a_call())
        book.telemetry.refused(a_call(), Refusal(502, "agent_unreachable", detail="Nobody listens there."))
        book.clock.at += 0.5
        book.telemetry.ended(a_call(), a_reply(502), "ok")
        text = book.written().decode()
    assert text.startswith(
        "22:13:20.062 WARNING POST /api/chat → weather 502 agent_unreachable 500.0 ms  request_id=id-1"
    )
    assert 'cause="Nobody listens there."' in text


def test_a_traceback_is_indented_for_a_person() -> None:
    line = plain_line({"ts": 1.0, "level": "error", "msg": "broke", "traceback": "File x\n\x1b[2JError"})
    assert line == b"00:00:01.000 ERROR   broke\n    File x\n    \\u001b[2JError\n"


def test_a_line_is_stamped_in_utc_to_the_millisecond() -> None:
    assert stamp(0.9996) == "1970-01-01T00:00:00.999Z"
    assert stamp(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"
    assert shown("a\tb\nc") == "a\\tb\\nc"


# --- what libraries say


@pytest.fixture
def listening(book: Observed) -> Iterator[Observed]:
    undo = book.telemetry.listen()
    yield book
    undo()


def test_what_a_library_logs_comes_into_the_same_log(listening: Observed) -> None:
    logging.getLogger("asyncio").warning("Executing %s took %.1f s", "a callback", 0.3)
    (line,) = listening.lines()
    assert (line["level"], line["logger"], line["msg"]) == (
        "warning",
        "asyncio",
        "Executing a callback took 0.3 s",
    )


def test_an_exception_of_a_library_is_one_field(listening: Observed) -> None:
    try:
        raise ValueError("Bearer abcdef1234567890 was not accepted")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Unhandled exception")
    (line,) = listening.lines()
    assert line["level"] == "error"
    assert line["traceback"].endswith("ValueError: *** was not accepted")


def test_nobody_fills_the_log_with_one_message(listening: Observed) -> None:
    for number in range(1000):
        logging.getLogger("aiohttp.server").error("Error handling request from %s", number)
    listening.clock.at += 1.0
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "somebody")
    first, second = listening.lines()
    assert first["msg"].endswith("from 0")
    assert second["held_back"] == 999


def test_many_different_messages_fill_no_memory(listening: Observed) -> None:
    for number in range(2000):
        logging.getLogger("noisy").error(f"message {number}")
    assert len(listening.telemetry._rate._next) <= 256


def test_listening_can_be_undone(book: Observed) -> None:
    before = list(logging.getLogger().handlers)
    undo = book.telemetry.listen()
    assert logging.getLogger().handlers != before
    undo()
    assert logging.getLogger().handlers == before


def test_what_a_library_says_carelessly_is_no_error(
    listening: Observed, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.raiseExceptions = False
    try:
        logging.getLogger("careless").warning("%d pieces", "no number")
    finally:
        logging.raiseExceptions = True
    assert listening.lines() == []
