"""Streams: pushed as they arrive with no task and no future per chunk, paused where nobody reads, left at once."""

import asyncio
import gc

import pytest
from wire.calls import asking, fetching
from wire.hostile import Peer, answering, serving, still, until
from wire.test_sent import SSE

from middleware.exchange import NO_HEADERS
from middleware.sse import LIMIT, Event
from middleware.streams import Reframed
from middleware.watch import Watch
from policies.refusal import Refusal
from sidecar.wire.arriving import HIGH, Arriving
from sidecar.wire.exchange import ASKED, Exchange
from sidecar.wire.faults import Fault, told

FRAME = b'data: {"type":"response.output_text.delta","delta":"x"}\n\n'
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = chunk(DONE) + b"0\r\n\r\n"


class Taking:
    """A sink that takes so many bytes before it has to be asked for room."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.taken: list[bytes] = []
        self.left = room
        self.size = 0
        self.asked = 0
        self.opened = asyncio.Event()

    def feed(self, chunk: bytes) -> bool:
        self.taken.append(chunk)
        self.left -= len(chunk)
        self.size += len(chunk)
        return self.left > 0

    async def room(self) -> None:
        self.asked += 1
        await self.opened.wait()

    async def write(self, chunk: bytes) -> None:
        raise AssertionError("a stream that nobody touched is fed")

    @property
    def bytes(self) -> bytes:
        return b"".join(self.taken)


async def test_everything_reaches_the_sink_in_order(wire):
    frames = [b"data: %d\n\n" % number for number in range(50)]
    async with serving(answering(SSE + b"".join(map(chunk, frames)) + END)) as agent:
        reply = await wire(asking(agent.url, stream=True))
        sink = Taking()
        await reply.body.pump(sink)
        assert sink.bytes == b"".join(frames) + DONE
        assert reply.body.watch.verdict == "ok"
        await reply.close("ok")
        assert [len(pool.idle) for pool in wire.pools.values()] == [1]


@pytest.mark.parametrize("told", [FRAME, FRAME.replace(b"\n", b"\r\n")], ids=["raw", "told again"])
async def test_a_chunk_that_is_pushed_costs_no_task_no_future_and_no_timer(wire, monkeypatch, told):
    """200 reads, each alone on the wire, and one waiter for all of them; where each is told again, too."""
    loop = asyncio.get_running_loop()
    made: list[str] = []
    began = asyncio.Event()

    async def streaming(peer: Peer) -> None:
        await peer.asked()
        peer.writer.write(SSE + chunk(told))
        await began.wait()
        for _ in range(200):
            peer.writer.write(chunk(told))
            for _ in range(3):
                await asyncio.sleep(0)
        peer.writer.write(END)

    async with serving(streaming) as agent:
        reply = await wire(asking(agent.url, stream=True))
        stream = reply.body if told is FRAME else Reframed(reply.body)
        sink = Taking()
        pumping = asyncio.create_task(stream.pump(sink))
        await until(lambda: sink.taken)
        for name in ("create_future", "create_task", "call_later"):
            monkeypatch.setattr(loop, name, counted(made, getattr(loop, name)))
        began.set()
        await pumping
        monkeypatch.undo()
    assert sink.bytes == FRAME * 201 + DONE
    assert len(sink.taken) > 150
    assert len(made) < 20, made  # the sweep's timers, and the end


def counted(made: list[str], function):
    def counting(*given, **named):
        made.append(function.__name__)
        return function(*given, **named)

    return counting


async def test_chunks_of_one_read_are_one_piece(wire):
    async with serving(answering(SSE + chunk(b"data: 1\n") * 40 + b"0\r\n\r\n")) as agent:
        reply = await wire(asking(agent.url, stream=True))
        sink = Taking()
        await reply.body.pump(sink)
        assert len(sink.taken) <= 2


async def flooding(peer: Peer) -> None:
    await peer.asked()
    peer.writer.write(SSE)
    piece = chunk(FRAME * 100)
    peer.server.written = 0
    while True:
        peer.writer.write(piece)
        peer.server.written += len(piece)
        await peer.writer.drain()
        await asyncio.sleep(0)


async def test_a_sink_that_is_full_pauses_the_agent_until_there_is_room(wire):
    async with serving(flooding) as agent:
        reply = await wire(asking(agent.url, stream=True))
        sink = Taking(room=100_000)
        pumping = asyncio.create_task(reply.body.pump(sink))
        await until(lambda: sink.asked)
        taken = sink.size
        await asyncio.sleep(0.05)
        assert sink.size == taken < 100_000 + (256 << 10)
        sink.left = 1 << 30
        sink.opened.set()
        await until(lambda: sink.size >= 4 << 20)
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
        await reply.close("caller_left")
        await agent.empty()


async def test_a_frame_too_large_to_be_told_again_leaves_the_agent_and_says_so_behind_those_before_it(wire):
    crlf = FRAME.replace(b"\n", b"\r\n")
    large = b"data: " + b"x" * LIMIT + b"x\r\n\r\n"
    async with serving(answering(SSE + chunk(crlf) + chunk(large) + END)) as agent:
        reply = await wire(asking(agent.url, stream=True))
        sink = Taking()
        with pytest.raises(Refusal, match="agent_too_large"):
            await Reframed(reply.body).pump(sink)
        assert sink.bytes == FRAME
        await agent.empty()


async def test_a_sink_that_goes_away_while_it_is_told_again_leaves_the_agent(wire):
    async with serving(flooding) as agent:
        reply = await wire(asking(agent.url, stream=True))
        with pytest.raises(ConnectionResetError):
            await Reframed(reply.body).pump(Gone())
        await agent.empty()


class Gone(Taking):
    def feed(self, chunk: bytes) -> bool:
        if self.taken:
            raise ConnectionResetError
        return super().feed(chunk)


async def test_a_stream_that_nobody_reads_yet_is_held_within_bounds(wire):
    async with serving(flooding) as agent:
        reply = await wire(asking(agent.url, stream=True))
        held = await still(lambda: sum(map(len, reply.body._held)))
        assert HIGH <= held < HIGH + (256 << 10)
        await reply.close("caller_left")
        await agent.empty()


async def test_a_slow_reader_of_chunks_holds_the_agent_back(wire):
    async with serving(flooding) as agent:
        reply = await wire(asking(agent.url, stream=True))
        chunks = reply.body.chunks()
        total = len(await anext(chunks))
        written = await still(lambda: agent.written)
        while total <= written:
            total += len(await anext(chunks))
        await reply.close("caller_left")


async def test_events_are_read_from_the_same_connection(wire):
    body = b"".join(chunk(part) for part in (b"event: a\nda", b"ta: 1\n\ndata: 2\r", b"\n\r\n", b"data: 3"))
    async with serving(answering(SSE + body + b"0\r\n\r\n")) as agent:
        reply = await wire(asking(agent.url, stream=True))
        assert [event async for event in reply.body.events()] == [Event("1", "a"), Event("2"), Event("3")]


async def test_the_head_of_a_stream_is_held_and_not_consumed(wire):
    async def slowly(peer: Peer) -> None:
        await peer.asked()
        await peer.send(SSE, chunk(b"data: "), chunk(b"1\n"))
        await asyncio.sleep(0.02)
        await peer.send(chunk(b"\n"), END)

    async with serving(slowly) as agent:
        reply = await wire(asking(agent.url, stream=True))
        assert await reply.body.head() == b"data: 1\n\n"
        sink = Taking()
        await reply.body.pump(sink)
        assert sink.bytes == b"data: 1\n\n" + DONE


async def test_a_head_without_a_frame_is_four_kibibytes_or_all_there_is(wire):
    for size in (100, 9000):
        async with serving(answering(SSE + chunk(b"x" * size) + b"0\r\n\r\n")) as agent:
            reply = await wire(asking(agent.url, stream=True))
            assert len(await reply.body.head()) == size


@pytest.mark.source  # looks into it
async def test_the_watch_sees_what_was_handed_on_and_nothing_else(wire):
    async with serving(
        answering(SSE + chunk(b"data: 1\n\nda") + chunk(b"ta: 2\n\n") + b"0\r\n\r\n")
    ) as agent:
        reply = await wire(asking(agent.url, stream=True))
        await reply.body.head()
        assert vars_of(reply.body.watch) == vars_of(Watch())
        await reply.body.pump(Taking())
        assert reply.body.watch.between_frames


def vars_of(watch: Watch) -> list[object]:
    skipped = ("_marks",)
    return [getattr(watch, name) for name in Watch.__slots__ if name not in skipped]


@pytest.mark.parametrize("terminal", [(b"[DONE]",), ()])
async def test_a_stream_without_its_end_is_truncated_where_its_kind_has_one(wired, terminal):
    wire = wired(terminals={"responses": terminal})
    async with serving(answering(SSE + chunk(FRAME) + b"0\r\n\r\n")) as agent:
        reply = await wire(asking(agent.url, stream=True))
        await reply.body.pump(Taking())
        assert reply.body.watch.verdict == ("truncated" if terminal else "ok")


async def test_a_relay_is_never_judged_and_streams_whatever_it_is(wired):
    wire = wired(terminals={"responses": (b"[DONE]",)})
    page = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
    async with serving(answering(page)) as agent:
        reply = await wire(fetching(agent.url))
        sink = Taking()
        await reply.body.pump(sink)
        assert (reply.status, sink.bytes, reply.body.watch.verdict) == (404, b"hello", "ok")


async def test_what_the_sink_raises_ends_the_pump_and_the_agent(wire):
    class Gone(Taking):
        def feed(self, chunk: bytes) -> bool:
            raise ConnectionResetError("the caller is gone")

    async with serving(flooding) as agent:
        reply = await wire(asking(agent.url, stream=True))
        with pytest.raises(ConnectionResetError):
            await reply.body.pump(Gone())
        await reply.close("caller_left")
        await agent.empty()


@pytest.mark.parametrize("phase", ["asked", "head", "pumping"])
async def test_d04_a_caller_who_leaves_closes_the_agent_at_once(wire, notes, phase):
    there = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.asked()
        if phase != "asked":
            await peer.send(SSE + (chunk(FRAME) if phase == "pumping" else b""))
        there.set()
        await peer.left()

    async def calling() -> None:
        reply = await wire(asking(agent.url, stream=True))
        try:
            await reply.body.pump(Taking())
        finally:
            await reply.close("caller_left")

    async with serving(silent) as agent:
        caller = asyncio.create_task(calling())
        await there.wait()
        await asyncio.sleep(0.01)
        caller.cancel()
        began = asyncio.get_running_loop().time()
        await agent.empty()
        assert asyncio.get_running_loop().time() - began < 0.5
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert notes.attempts == [("full", "caller_left" if phase == "asked" else "answered")]


# --- deadlines ---------------------------------------------------------------------------------------------


async def test_p09_an_agent_that_never_answers_is_late_with_its_first_byte(wired, notes):
    async def mute(peer: Peer) -> None:
        await peer.left()

    async with serving(mute) as agent:
        with pytest.raises(Refusal) as refused:
            await wired(first_byte=0.1)(asking(agent.url))
        assert (refused.value.status, refused.value.code) == (504, "agent_first_byte_timeout")
        assert "SIDECAR_TIMEOUTS__FIRST_BYTE" in refused.value.hint
        assert refused.value.sent == "full"
        await agent.empty()
        assert notes.attempts == [("full", "agent_first_byte_timeout")]


async def test_p09_an_agent_that_answers_a_head_and_nothing_more_leaves_a_gap(wired):
    async def nothing_more(peer: Peer) -> None:
        await peer.asked()
        await peer.send(SSE)
        await peer.left()

    async with serving(nothing_more) as agent:
        reply = await wired(gap=0.1)(asking(agent.url, stream=True))
        with pytest.raises(Refusal) as refused:
            await reply.body.pump(Taking())
        assert (refused.value.status, refused.value.code) == (504, "agent_gap_timeout")
        await agent.empty()


async def test_a_gap_is_counted_from_the_last_byte_not_from_the_first(wired):
    async def ticking(peer: Peer) -> None:
        await peer.asked()
        await peer.send(SSE)
        for _ in range(9):
            await peer.send(chunk(FRAME))
            await asyncio.sleep(0.05)
        await peer.left()

    async with serving(ticking) as agent:
        reply = await wired(gap=0.4)(asking(agent.url, stream=True))
        sink = Taking()
        with pytest.raises(Refusal) as refused:
            await reply.body.pump(sink)
        assert refused.value.code == "agent_gap_timeout"
        assert sink.bytes == FRAME * 9


async def test_a_whole_answer_has_a_limit_in_all(wired):
    async def dribbling(peer: Peer) -> None:
        await peer.asked()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n")
        while True:
            await peer.send(b" ")
            await asyncio.sleep(0.02)

    async with serving(dribbling) as agent:
        with pytest.raises(Refusal) as refused:
            await wired(total=0.5, gap=0.3)(asking(agent.url))
        assert (refused.value.status, refused.value.code) == (504, "agent_total_timeout")
        await agent.empty()


async def test_an_agent_is_not_late_while_it_is_the_caller_who_does_not_read(wired):
    async with serving(flooding) as agent:
        reply = await wired(gap=0.1)(asking(agent.url, stream=True))
        sink = Taking(room=1000)
        pumping = asyncio.create_task(reply.body.pump(sink))
        await asyncio.sleep(0.3)
        assert not pumping.done()
        sink.left = 1 << 30
        sink.opened.set()
        before = sink.size
        await until(lambda: sink.size >= before + (1 << 20))
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
        await reply.close("caller_left")


async def test_no_deadline_is_left_behind(wire):
    async with serving(answering(SSE + END)) as agent:
        reply = await wire(asking(agent.url, stream=True))
        await reply.body.pump(Taking())
        items = wire._setting.sweep.items
        assert items == set(wire.pools.values())


async def test_no_exchange_waits_for_the_collector_of_garbage(wire):
    async with serving(answering(*[SSE + chunk(FRAME) + END] * 20)) as agent:
        gc.collect()
        before = kept()
        gc.disable()
        try:
            for _ in range(20):
                reply = await wire(asking(agent.url, stream=True))
                await reply.body.pump(Taking())
                await reply.close("ok")
            assert kept() - before <= 4  # of the last reply, and of one that the loop still holds
        finally:
            gc.enable()


async def test_an_open_stream_holds_no_question_and_no_head_any_more(wired):
    """And what becomes of it is told of its agent all the same."""
    async with serving(answering(SSE + chunk(FRAME))) as agent:
        reply = await wired()(asking(agent.url, stream=True))
        exchange = reply.close.__self__
        assert exchange._call is ASKED
        assert exchange._reading.headers is NO_HEADERS
        assert reply.headers["Content-Type"] == "text/event-stream"
        with pytest.raises(Refusal, match="agent_broke_off") as refused:
            await reply.body.pump(Taking())
        expected = told(Fault("agent_broke_off"), asking(agent.url).agent, "full")
        assert (refused.value.detail, refused.value.hint) == (expected.detail, expected.hint)


def kept() -> int:
    return sum(type(one) in (Exchange, Arriving) for one in gc.get_objects())
