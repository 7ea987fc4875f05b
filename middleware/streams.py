"""Streams that are ours: told by us, told again in frames that everybody reads, or with a last word added."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Final

from middleware.closing import closing
from middleware.events import events
from middleware.exchange import Sink, Stream
from middleware.reframing import Reframing
from middleware.sse import Event, Reader, first_frame_end
from middleware.watch import Watch
from policies.refusal import Refusal

HELD: Final = 4096  # bytes of a first frame that are waited for
ENDS: Final = (b"[DONE]", b"response.completed", b"response.failed", b"response.incomplete", b"finish_reason")


class Told:
    """A stream of whole frames that are made here."""

    __slots__ = ("_frames", "_held", "watch")

    def __init__(self, frames: Iterable[bytes] | AsyncIterable[bytes], watch: Watch | None = None) -> None:
        self.watch = watch or Watch(ENDS)
        self._frames = aiter(frames if isinstance(frames, AsyncIterable) else _later(frames))
        self._held: list[bytes] = []

    async def head(self) -> bytes:
        while first_frame_end(held := b"".join(self._held)) is None and len(held) < HELD:
            if (more := await anext(self._frames, None)) is None:
                break
            self.watch.seen(more)
            self._held.append(more)
        return held

    async def chunks(self) -> AsyncIterator[bytes]:
        held, self._held = self._held, []
        async with closing(self._frames) as frames:
            for chunk in held:
                yield chunk
            async for chunk in frames:
                self.watch.seen(chunk)
                yield chunk

    def events(self) -> AsyncIterator[Event]:
        return events(self.chunks())

    async def pump(self, sink: Sink) -> None:
        async with closing(self.chunks()) as chunks:
            async for chunk in chunks:
                await sink.write(chunk)


class Translated(Told):
    """An agent's stream, told in frames of another tongue than its own."""

    __slots__ = ()


class Through:
    """A sink before another one: what is fed to it goes on told by `tell`, in the same turn, past the watch."""

    __slots__ = ("_sink", "_tell", "_watch")

    def __init__(self, tell: Callable[[bytes], bytes], watch: Watch, sink: Sink) -> None:
        self._tell, self._watch, self._sink = tell, watch, sink

    def feed(self, chunk: bytes) -> bool:
        if told := self._tell(chunk):
            self._watch.seen(told)
            return self._sink.feed(told)
        return True

    async def room(self) -> None:
        await self._sink.room()

    async def write(self, chunk: bytes) -> None:
        if told := self._tell(chunk):
            self._watch.seen(told)
            await self._sink.write(told)


class Reframed(Told):
    """The events of another stream in LF frames with `data: `, and text that only items brought as deltas too."""

    __slots__ = ("_begun", "_inner")

    def __init__(self, inner: Stream) -> None:
        super().__init__(_reframed(inner), inner.watch.afresh())
        self._inner, self._begun = inner, False

    async def head(self) -> bytes:
        self._begun = True
        return await super().head()

    async def pump(self, sink: Sink) -> None:
        """Pushed as it arrives, like the stream inside, unless its head was asked for."""
        if self._begun:
            await super().pump(sink)
            return
        reframing = Reframing()
        await self._inner.pump(Through(reframing.feed, self.watch, sink))
        if told := reframing.end():
            self.watch.seen(told)
            await sink.write(told)


class Insisting:
    """Another stream, byte for byte; and behind it one more frame where its reader would not see how it ended.

    That is an error without a type, or an end with nothing before it. `last` makes the frame.
    """

    __slots__ = ("_inner", "_last", "watch")

    def __init__(self, inner: Stream, last: Callable[[Refusal], bytes]) -> None:
        self._inner, self._last, self.watch = inner, last, inner.watch

    async def head(self) -> bytes:
        return await self._inner.head()

    def _word(self) -> bytes:
        if not self.watch.unsaid:
            return b""
        word = self._last(Refusal(502, "agent_error", detail="The agent's stream did not say how it ended."))
        if not self.watch.between_frames:
            word = b"\n\n" + word
        self.watch.seen(word)
        return word

    async def chunks(self) -> AsyncIterator[bytes]:
        async with closing(self._inner.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk
        if word := self._word():
            yield word

    async def events(self) -> AsyncIterator[Event]:
        async with closing(self._inner.events()) as told:
            async for event in told:
                yield event
        for event in Reader().feed(self._word()):
            yield event

    async def pump(self, sink: Sink) -> None:
        await self._inner.pump(sink)
        if word := self._word():
            await sink.write(word)


async def _later(frames: Iterable[bytes]) -> AsyncIterator[bytes]:
    for one in frames:
        yield one


async def _reframed(inner: Stream) -> AsyncIterator[bytes]:
    reframing = Reframing()
    async with closing(inner.chunks()) as chunks:
        async for chunk in chunks:
            if told := reframing.feed(chunk):
                yield told
    if told := reframing.end():
        yield told
