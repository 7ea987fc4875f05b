"""Streams that are ours, and the last word behind a stream that did not say how it ended."""

import json
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.exchange import Stream
from middleware.sse import DONE, Event, error_frame, frame, reframed
from middleware.streams import ENDS, Insisting, Reframed, Told
from middleware.watch import Blank, Watch
from policies.refusal import Refusal

DELTA = frame({"type": "response.output_text.delta", "item_id": "m1", "delta": "hi"})
ITEM = frame(
    {
        "type": "response.output_item.done",
        "item": {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "hi"}]},
    }
)


class Sink:
    """The caller's side of a connection; `full_after` writes it is gone."""

    def __init__(self, full_after: int = 1 << 30) -> None:
        self.chunks: list[bytes] = []
        self.full_after = full_after

    async def write(self, chunk: bytes) -> None:
        if len(self.chunks) >= self.full_after:
            raise ConnectionResetError
        self.chunks.append(chunk)

    @property
    def raw(self) -> bytes:
        return b"".join(self.chunks)


class Agent(Told):
    """A stream as the wire has it: chunks that begin and end anywhere. Knows whether it was pumped raw."""

    def __init__(self, chunks: Iterable[bytes], breaks: Refusal | None = None) -> None:
        super().__init__(self.arriving(list(chunks), breaks), Watch(ENDS))
        self.pumped = False

    async def arriving(self, chunks: list[bytes], breaks: Refusal | None) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if breaks:
            raise breaks

    async def pump(self, sink: Sink) -> None:  # type: ignore[override]
        self.pumped = True
        await super().pump(sink)


def last(refusal: Refusal) -> bytes:
    return error_frame(refusal.code, "It failed.", "r1")


LAST = last(Refusal(502, "agent_error"))


async def pumped(stream: Stream) -> bytes:
    sink = Sink()
    await stream.pump(sink)
    return sink.raw


async def chunked(stream: Stream) -> bytes:
    return b"".join([chunk async for chunk in stream.chunks()])


def test_all_of_them_are_streams() -> None:
    told = Told([DONE])
    assert all(isinstance(one, Stream) for one in (told, Reframed(told), Insisting(told, last)))


async def test_what_is_told_is_read_in_each_of_the_three_ways() -> None:
    frames = [DELTA, ITEM, DONE]
    assert await pumped(Told(frames)) == DELTA + ITEM + DONE
    assert await chunked(Told(frames)) == DELTA + ITEM + DONE
    assert [event.data for event in [event async for event in Told(frames).events()]][2] == "[DONE]"


async def test_what_is_told_may_be_made_while_it_is_told() -> None:
    async def frames() -> AsyncIterator[bytes]:
        yield DELTA
        yield DONE

    told = Told(frames())
    assert await pumped(told) == DELTA + DONE
    assert told.watch.verdict == "ok"


async def test_the_head_is_held_and_not_consumed() -> None:
    for stream in (Told([b": ping\n\n", DELTA[:9], DELTA[9:], DONE]), Insisting(Told([DELTA, DONE]), last)):
        head = await stream.head()
        assert head.endswith(DELTA)
        assert await stream.head() == head
        assert (await pumped(stream)).endswith(DELTA + DONE)
    assert await Told([]).head() == b""
    assert await Told([b"data: " + b"x" * 5000, DONE]).head() == b"data: " + b"x" * 5000
    reframed = Reframed(Agent([DELTA.replace(b"\n", b"\r\n"), DONE]))
    assert await reframed.head() == DELTA
    assert await pumped(reframed) == DELTA + DONE


async def test_what_breaks_while_it_is_told_breaks_for_its_reader() -> None:
    broken = Refusal(502, "agent_broke_off")
    for stream in (
        Agent([DELTA], broken),
        Insisting(Agent([DELTA], broken), last),
        Reframed(Agent([DELTA], broken)),
    ):
        sink = Sink()
        with pytest.raises(Refusal, match="agent_broke_off"):
            await stream.pump(sink)
        assert sink.raw == DELTA


async def test_a_caller_who_leaves_ends_the_telling() -> None:
    ended = []

    async def frames() -> AsyncIterator[bytes]:
        try:
            while True:
                yield DELTA
        finally:
            ended.append(True)

    for stream in (Told(frames()), Reframed(Told(frames())), Insisting(Told(frames()), last)):
        with pytest.raises(ConnectionResetError):
            await stream.pump(Sink(full_after=3))
        assert ended.pop()
    reading = Insisting(Reframed(Told(frames())), last)
    async for _ in (events := reading.events()):
        await events.aclose()
    assert ended == [True]


@pytest.mark.parametrize(
    "told_by_agent",
    [
        (DELTA + DONE).replace(b"\n", b"\r\n"),
        (DELTA + DONE).replace(b"\n", b"\r"),
        (DELTA + DONE).replace(b"data: ", b"data:"),
        b"\xef\xbb\xbf" + DELTA + DONE,
        b": ping\r\n\r\n" + DELTA + b": ping\r\n\r\n" + DONE,
        DELTA + DONE[:-2],
    ],
)
async def test_other_framings_are_told_again_so_that_everybody_reads_them(told_by_agent: bytes) -> None:
    stream = Reframed(Agent([told_by_agent[i : i + 5] for i in range(0, len(told_by_agent), 5)]))
    assert await pumped(stream) == DELTA + DONE
    assert stream.watch.verdict == "ok"


async def test_names_ids_and_other_peoples_fields_survive() -> None:
    raw = b'id: 7\r\nevent: e\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    stream = Reframed(Agent([raw, DONE]))
    assert await pumped(stream) == b'id: 7\nevent: e\ndata: {"a": 1}\n\n' + DONE


async def test_text_that_only_an_item_brought_is_told_as_a_delta_first() -> None:
    stream = Reframed(Agent([ITEM, DONE]))
    shown = [event async for event in stream.events()]
    assert [json.loads(event.data).get("delta") for event in shown[:-1]] == ["hi", None]
    assert not stream.watch.unsaid
    assert await pumped(Reframed(Agent([DELTA, ITEM, DONE]))) == DELTA + ITEM + DONE


async def test_a_stream_told_again_keeps_its_verdict() -> None:
    for raw, verdict in (
        (DELTA, "truncated"),
        (DELTA + DONE, "ok"),
        (b'data:{"error":"x"}\n\n', "agent_error"),
    ):
        stream = Reframed(Agent([raw]))
        await pumped(stream)
        assert stream.watch.verdict == verdict


class Full(Sink):
    """Takes one chunk, then has to be asked for room."""

    asked = 0

    def feed(self, chunk: bytes) -> bool:
        self.chunks.append(chunk)
        return False

    async def room(self) -> None:
        self.asked += 1


class Pushing(Agent):
    """A stream as the wire pushes it: each chunk is fed in the turn in which it comes, and room is waited for."""

    def __init__(self, chunks: list[bytes], breaks: Refusal | None = None) -> None:
        super().__init__(chunks, breaks)
        self.coming = chunks
        self.breaks = breaks

    async def pump(self, sink: Full) -> None:  # type: ignore[override]
        self.pumped = True
        for chunk in self.coming:
            self.watch.seen(chunk)
            if not sink.feed(chunk):
                await sink.room()
        if self.breaks:
            raise self.breaks


async def test_a_stream_told_again_is_pushed_in_the_same_turn_and_waits_for_room() -> None:
    raw = (DELTA + ITEM + DONE).replace(b"\n", b"\r\n")
    agent = Pushing([raw[:9], raw[9:-4], raw[-4:], b": ping\r\n\r\n"])
    stream, sink = Insisting(Reframed(agent), last), Full()
    await stream.pump(sink)
    assert sink.chunks == [DELTA + ITEM, DONE]
    assert sink.asked == 2  # what told nothing needed none
    assert agent.pumped
    assert stream.watch.verdict == "ok"


async def test_between_the_frames_that_are_told_there_is_always_room_for_a_comment() -> None:
    raw = DELTA.replace(b"\n", b"\r\n")
    agent = Pushing([raw[:9]])
    stream = Insisting(Reframed(agent), last)
    await agent.head()
    await stream.pump(Full())
    assert not agent.watch.between_frames
    assert stream.watch.between_frames


async def test_what_came_before_a_break_is_told_and_half_a_frame_is_not() -> None:
    agent = Pushing([DELTA, DELTA[:-1]], Refusal(502, "agent_broke_off"))
    stream, sink = Insisting(Reframed(agent), last), Full()
    with pytest.raises(Refusal, match="agent_broke_off"):
        await stream.pump(sink)
    assert sink.raw == DELTA


said = st.lists(
    st.sampled_from([DELTA, ITEM, DONE, b": c\n\n", b"id: 1\n", b"data: \xff\n\n", b"\n", b"data:x"])
)


@settings(max_examples=1000, deadline=None)
@given(said, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 400), max_size=6).map(sorted))
async def test_pushed_or_read_in_chunks_or_as_events_it_is_the_same(
    frames: list[bytes], eol: bytes, at: list[int]
) -> None:
    raw = b"".join(frames).replace(b"\n", eol)
    pieces = [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]
    pushed, sink = Insisting(Reframed(Pushing(pieces)), last), Full()
    await pushed.pump(sink)
    told = Insisting(Reframed(Agent(pieces)), last)
    assert await chunked(told) == sink.raw
    assert told.watch.verdict == pushed.watch.verdict
    events = [event async for event in Insisting(Reframed(Agent(pieces)), last).events()]
    assert b"".join(map(reframed, events)) == sink.raw.removeprefix(b"\n\n")


async def test_an_event_too_large_to_be_told_again_is_refused() -> None:
    stream = Reframed(Agent([b"data:" + b"x" * (2 << 20)]))
    with pytest.raises(Refusal, match="agent_too_large"):
        await pumped(stream)


SILENT_ERROR = b'data: {"error": "boom"}\n\n'


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (DELTA + DONE, b""),
        (DELTA, b""),  # cut short: the edge tells that
        (b"", b""),
        (DELTA + SILENT_ERROR + DONE, LAST),
        (SILENT_ERROR, LAST),
        (SILENT_ERROR[:-1], b"\n\n" + LAST),
        (DONE, LAST),
        (b": ping\n\n" + DONE, LAST),
        (frame({"type": "response.created", "response": {}}) + DONE, LAST),
        (frame({"type": "response.completed", "response": {"output": []}}) + DONE, LAST),
        (frame({"type": "error", "message": "boom"}) + DONE, b""),
        (b'event: error\ndata: {"error":"boom"}\n\n' + DONE, b""),
    ],
)
async def test_s08_a_reader_who_could_not_see_the_end_is_told_behind_the_agents_own_bytes(
    raw: bytes, word: bytes
) -> None:
    for read in (pumped, chunked):
        agent = Agent([raw[i : i + 3] for i in range(0, len(raw), 3)])
        stream = Insisting(agent, last)
        assert await read(stream) == raw + word
        assert agent.pumped is (read is pumped)
        assert stream.watch.verdict == ("agent_error" if word or b"boom" in raw else agent.watch.verdict)


async def test_readers_of_events_are_told_as_well() -> None:
    events = [event async for event in Insisting(Agent([SILENT_ERROR, DONE]), last).events()]
    assert [event.event for event in events] == [None, None, "error"]
    assert [event async for event in Insisting(Agent([DELTA]), last).events()] == [
        Event(DELTA[6:-2].decode())
    ]


async def test_an_answer_known_to_say_nothing_is_insisted_upon() -> None:
    chunk = frame({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    stream = Insisting(Told([chunk, DONE], Blank(ENDS)), last)
    assert await pumped(stream) == chunk + DONE + LAST
    assert stream.watch.verdict == "agent_error"


pieces = st.lists(
    st.sampled_from([DELTA, ITEM, SILENT_ERROR, DONE, b": c\n\n", b"\n", b"data:x\r\n\r\n", b"\r", b"junk"]),
    max_size=6,
)


@settings(max_examples=1000, deadline=None)
@given(pieces)
async def test_no_stream_for_a_reader_of_deltas_ends_well_without_a_word(chunks: list[bytes]) -> None:
    stream = Insisting(Agent(chunks), last)
    raw = await pumped(stream)
    assert raw.startswith(b"".join(chunks))
    if stream.watch.verdict == "ok":
        assert raw == b"".join(chunks)
        assert any(chunk in raw for chunk in (b"delta", b"output_item", b"data:x", b"junk"))
