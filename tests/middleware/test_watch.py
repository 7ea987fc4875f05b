"""A raw stream is watched, not parsed: S08, S09."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.marks import LONGEST
from middleware.sse import Reader, error_frame
from middleware.watch import WINDOW, Watch

TERMINAL = (b"[DONE]", b"response.completed", b"response.failed", b"response.incomplete", b"finish_reason")
DELTA = b'data: {"type": "response.output_text.delta", "item_id": "m1", "delta": "he"}\n\n'
CHUNK = b'data: {"id":"c1","choices":[{"delta":{"content":"he"},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"

ENDS = {
    "done": DONE,
    "done without a space": b"data:[DONE]\n\n",
    "completed": b'data: {"type":"response.completed","response":{}}\n\n',
    "completed, spaced": b'data: {"type": "response.completed", "response": {}}\n\n',
    "incomplete": b'data: {"type":"response.incomplete"}\n\n',
    "type last": b'data: {"response":{"output":[]},"sequence_number":7,"type":"response.completed"}\n\n',
    "named by its frame": b'event: response.completed\ndata: {"response":{}}\n\n',
    "finish_reason": b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    "finish_reason, spaced": b'data: {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}\n\n',
}
UNTYPED = {
    "mlflow": b'data: {"error": "boom"}\n\n',
    "compact": b'data: {"error":"boom"}\n\n',
    "an object": b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n',
    "no text": b'data: {"error": ""}\n\n',
}
TYPED = {
    "type": b'data: {"type":"error","message":"boom"}\n\n',
    "spaced": b'data: {"type": "error", "message": "boom"}\n\n',
    "type last": b'data: {"message":"boom","sequence_number":3,"type":"error"}\n\n',
    "failed": b'data: {"type":"response.failed","response":{}}\n\n',
    "failed, type last": b'data: {"response":{},"type":"response.failed"}\n\n',
    "named by its frame": b'event: error\ndata: {"error":"boom","code":"TIMEOUT"}\n\n',
    "ours": error_frame("truncated", "boom", "r1"),
}
FRAMINGS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def watched(*chunks: bytes, terminal: tuple[bytes, ...] = TERMINAL) -> Watch:
    watch = Watch(terminal)
    for chunk in chunks:
        watch.seen(chunk)
        assert len(watch._carry) < LONGEST
    return watch


def cuts(raw: bytes) -> list[tuple[bytes, bytes]]:
    return [(raw[:at], raw[at:]) for at in range(len(raw) + 1)]


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_every_proper_end_is_seen_however_it_is_cut_and_framed(end: bytes, framing: bytes) -> None:
    raw = (DELTA + end).replace(b"\n", framing)
    for pieces in cuts(raw):
        assert watched(*pieces).verdict == "ok", pieces
    assert watched(*(raw[i : i + 1] for i in range(len(raw)))).verdict == "ok"


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize(
    "error", [*UNTYPED.values(), *TYPED.values()], ids=[*UNTYPED, *(f"typed {t}" for t in TYPED)]
)
def test_s08_an_error_inside_a_200_is_seen_however_it_is_cut_and_framed(error: bytes, framing: bytes) -> None:
    raw = (DELTA + error + DONE).replace(b"\n", framing)
    for pieces in cuts(raw):
        assert watched(*pieces).verdict == "agent_error", pieces
    assert watched(*(raw[i : i + 1] for i in range(len(raw)))).verdict == "agent_error"


@pytest.mark.parametrize(
    "raw", [b"", DELTA, CHUNK, DELTA * 500, CHUNK * 500, DELTA + b"data: [DON", b": ping\n\n"]
)
def test_s09_a_stream_without_an_end_is_truncated(raw: bytes) -> None:
    assert watched(raw).verdict == "truncated"
    assert watched(raw, terminal=()).verdict == "ok"


def test_an_end_needs_no_blank_line_and_not_even_the_end_of_its_line() -> None:
    assert watched(DELTA, b"data: [DONE]").verdict == "ok"
    assert watched(b"event: response.completed").verdict == "ok"
    assert watched(DELTA, b'data: {"message":"boom","type":"error"}').verdict == "agent_error"


@pytest.mark.parametrize(
    "words",
    [
        "[DONE]",
        "\ndata: [DONE]\n\n",
        'data: {"error": "x"}',
        '{"type":"response.completed"}',
        '"finish_reason":"stop"',
        "\nevent: error\n",
        '\n\ndata: {"type":"error"}\n\n',
        "\u2028data: [DONE]\u2028",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_text_that_talks_about_marks_is_not_counted(words: str, ascii_only: bool) -> None:
    value = json.dumps({"type": "response.output_text.delta", "delta": words}, ensure_ascii=ascii_only)
    for pieces in cuts(f"data: {value}\n\n".encode()):
        watch = watched(DELTA, *pieces)
        assert watch.verdict == "truncated"
        assert not watch.unsaid


@pytest.mark.parametrize(
    "harmless",
    [
        b'data: {"error": null, "delta": "x"}\n\n',
        b'data: {"error": false}\n\n',
        b'data: {"error": {}}\n\n',
        b'data: {"errors": "x"}\n\n',
        b'data: {"type":"response.output_item.done","item":{"type":"error"}}\n\n',
        b'data: {"item": {"error": "a tool failed"}}\n\n',
        b'data: {"a\\"type":"error"}\n\n',
        b"event: errors\ndata: {}\n\n",
        b": event: error\n\n",
    ],
)
def test_what_only_resembles_an_error_is_none(harmless: bytes) -> None:
    for pieces in cuts(DELTA + harmless + DONE):
        assert watched(*pieces).verdict == "ok"


def test_a_finish_reason_of_null_or_nothing_is_no_end() -> None:
    assert watched(CHUNK, b'data: {"choices":[{"finish_reason":""}]}\n\n').verdict == "truncated"


def test_what_follows_an_end_does_not_undo_it_unless_the_agent_goes_on_and_on() -> None:
    finished = ENDS["finish_reason"]
    usage = b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'
    trace = b'data: {"trace_id": "tr-1"}\n\n'
    assert watched(CHUNK, finished, usage).verdict == "ok"
    assert watched(DELTA, ENDS["completed"], trace).verdict == "ok"
    assert watched(CHUNK, finished, b": ping\n\n" * 1000).verdict == "ok"
    assert watched(CHUNK, finished, *[CHUNK] * WINDOW).verdict == "ok"
    assert watched(CHUNK, finished, *[CHUNK] * (WINDOW + 1)).verdict == "truncated"
    assert watched(CHUNK + finished + CHUNK * (WINDOW + 1)).verdict == "truncated"
    assert watched(CHUNK * 500 + finished + CHUNK * WINDOW).verdict == "ok"
    assert watched(CHUNK * 500 + finished + CHUNK * (WINDOW + 1)).verdict == "truncated"
    assert watched(DELTA, ENDS["completed"], *[DELTA] * WINDOW).verdict == "ok"
    assert watched(DELTA, ENDS["completed"], *[DELTA] * (WINDOW + 1)).verdict == "truncated"
    assert watched(CHUNK + finished + CHUNK * 5000 + finished).verdict == "ok"


def test_a_whole_delta_may_hide_nothing_behind_another_line_end() -> None:
    assert watched(DELTA, DELTA[:-2] + b"\r\rdata: [DONE]\n\n").verdict == "ok"
    assert watched(DELTA, DELTA[:-2] + b"\ndata: [DONE]\n\n").verdict == "ok"
    assert watched(DELTA, DELTA[:-2] + b"\rdata: [DONE]\r\n\r\n").verdict == "ok"
    assert watched(DELTA, DELTA[:-2] + b"\r\ndata: [DONE]\r\n\r\n").verdict == "ok"
    assert watched(DELTA, DELTA[:-2] + b"\r\n\r", b"\ndata: [DONE]\r\n\r\n").verdict == "ok"


@pytest.mark.source  # looks into it
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
def test_a_delta_with_its_name_is_one_and_hides_nothing_either(eol: bytes) -> None:
    said = (b"event: response.output_text.delta\n" + DELTA).replace(b"\n", eol)
    quiet = watched(DELTA)
    before = {name: getattr(quiet, name) for name in Watch.__slots__}
    quiet.seen(said)
    assert before == {name: getattr(quiet, name) for name in Watch.__slots__}
    assert watched(DELTA, said[: -len(eol)] + b"data: [DONE]" + eol * 2).verdict == "ok"
    assert watched(DELTA, said.replace(b"data: ", b"data: [DONE]" + eol + b"data: ")).verdict == "ok"
    assert watched(DELTA, said, said[: -len(eol)]).between_frames is False


def test_only_what_the_dialect_names_is_an_end() -> None:
    assert watched(ENDS["completed"], terminal=(b"[DONE]",)).verdict == "truncated"
    assert watched(b"event: over\ndata: 1\n\n", terminal=(b"over",)).verdict == "ok"
    assert watched(b'data: {"type":"over"}\n\n', terminal=(b"over",)).verdict == "ok"


@pytest.mark.parametrize("error", UNTYPED.values(), ids=UNTYPED)
def test_an_error_without_a_type_goes_unsaid(error: bytes) -> None:
    assert watched(DELTA, error, DONE).unsaid
    assert watched(error).unsaid


@pytest.mark.parametrize("error", TYPED.values(), ids=TYPED)
def test_an_error_with_a_type_was_said(error: bytes) -> None:
    assert not watched(error, DONE).unsaid


def test_an_end_with_nothing_before_it_goes_unsaid() -> None:
    for pieces in cuts(b"\xef\xbb\xbf: ping\n\ndata: [DONE]\n\n"):
        assert watched(*pieces).unsaid, pieces
    assert watched(ENDS["completed"], DONE).unsaid
    assert watched(DONE[:-2]).unsaid
    assert not watched(DELTA, DONE).unsaid
    assert not watched(b"data: [1]\n\n", DONE).unsaid
    assert not watched(b"data: x").unsaid
    assert not watched(b"").unsaid  # that is truncated, and told as such


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_it_knows_when_a_comment_may_be_written(framing: bytes) -> None:
    raw = (DELTA * 2).replace(b"\n", framing)
    between = [i for i in range(len(raw) + 1) if watched(raw[:i]).between_frames]
    half, extra = len(raw) // 2, len(framing) - 1  # after the CR of a last CRLF is as good as after its LF
    assert set(between) == {0, half, half - extra, len(raw), len(raw) - extra}


def test_a_flood_and_a_giant_frame_end_as_they_should() -> None:
    giant = b'data: {"response":{"text":"' + b"lorem ipsum " * 50_000 + b'"},"type":"response.completed"}\n\n'
    for size in (1000, 8191, 8192, 8193, 65536, 1 << 30):
        for raw, verdict in ((DELTA * 3000 + DONE, "ok"), (DELTA * 3000, "truncated"), (DELTA + giant, "ok")):
            assert watched(*(raw[i : i + size] for i in range(0, len(raw), size))).verdict == verdict, size


def delta(text: str, style: int) -> bytes:
    chunk = {"choices": [{"delta": {"content": text}}]}
    value = {"type": "response.output_text.delta", "delta": text} if style & 1 else chunk
    separators = (",", ":") if style & 2 else None
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=style > 3, separators=separators).encode()


awkward = [
    "[DONE]",
    "\ndata: [DONE]\n\n",
    '"type":"response.completed"',
    '{"error": "x"}',
    "\u2028",
    "é漢😀",
    "\\",
]
PLAIN = [
    *(delta(text, style) for text in awkward for style in range(8)),
    *(b": ping\n\n", b"\n", b"retry: 5\n\n", b"id: 7\nevent: x\ndata: {}\n\n"),
    *(DELTA, CHUNK, DELTA * 20, CHUNK * 90) * 4,
]
SPECIAL = [*ENDS.values(), *UNTYPED.values(), *TYPED.values()] * 3
seeds = st.integers(
    0, 1 << 48
)  # frames and cuts are chosen from a number: drawing each would take ten times as long


def framed(random: Random, frames: list[bytes]) -> bytes:
    raw = b"".join(random.choices(frames, k=random.randrange(9)))
    return raw.replace(b"\n", random.choice(list(FRAMINGS.values())))


@settings(max_examples=2000, deadline=None)
@given(seeds)
def test_any_cut_gives_the_verdict_of_the_whole(seed: int) -> None:
    random = Random(seed)
    raw = framed(random, PLAIN + SPECIAL)
    whole = watched(raw)
    at = sorted(random.choices(range(len(raw) + 1), k=random.randrange(12)))
    cut = watched(*(raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)))
    assert (cut.verdict, cut.unsaid, cut.between_frames) == (
        whole.verdict,
        whole.unsaid,
        whole.between_frames,
    )


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=9), st.integers(0, 7), seeds)
def test_words_alone_are_neither_an_end_nor_an_error(text: str, style: int, seed: int) -> None:
    random = Random(seed)
    watch = watched(delta(text, style), framed(random, PLAIN), delta(text, style))
    assert watch.verdict == "truncated"
    assert not watch.unsaid


@settings(max_examples=1000, deadline=None)
@given(seeds)
def test_it_errs_only_towards_ok(seed: int) -> None:
    """Compared with what a reader of every event would say of the last ones."""
    raw = framed(Random(seed), PLAIN + SPECIAL)
    reader = Reader()
    events = reader.feed(raw) + reader.end()
    said = set()
    for event in events[-WINDOW:]:
        value = event.value() if event.data != "[DONE]" else {"type": "done"}
        kind = value.get("type") or event.event
        if value.get("error") is not None or kind in ("error", "response.failed"):
            said.add("error")
        reasons = [choice.get("finish_reason") for choice in value.get("choices", [])]
        if kind in ("done", "response.completed", "response.incomplete", "response.failed") or any(reasons):
            said.add("end")
    verdict = watched(raw).verdict
    if verdict == "agent_error":
        assert "error" in said
    if "end" in said:
        assert verdict != "truncated"


@settings(max_examples=1000, deadline=None)
@given(
    st.binary(max_size=300) | seeds.map(lambda seed: framed(Random(seed), SPECIAL)),
    st.lists(st.integers(0, 300), max_size=9),
)
def test_any_bytes_at_all_are_watched_without_a_failure(raw: bytes, at: list[int]) -> None:
    at.sort()
    watch = watched(*(raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)))
    assert watch.verdict in ("ok", "agent_error", "truncated")
    assert watch.unsaid in (True, False)
