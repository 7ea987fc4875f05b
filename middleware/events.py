"""The events of a stream, read from its chunks."""

from collections.abc import AsyncIterator, Awaitable, Callable

from middleware.closing import closing
from middleware.sse import Event, Reader


async def chunks(following: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """What follows, until it is empty."""
    while chunk := await following():
        yield chunk


async def events(source: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Each as soon as it is whole. Raises what the source raises, and what the `Reader` does."""
    reader = Reader()
    async with closing(source) as pieces:
        async for chunk in pieces:
            for event in reader.feed(chunk):
                yield event
    for event in reader.end():
        yield event
