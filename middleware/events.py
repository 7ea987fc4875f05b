"""The events of a stream, read from its chunks; and the end of whatever is read only in part."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from middleware.sse import Event, Reader

T = TypeVar("T")


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


@asynccontextmanager
async def closing(source: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """A reader who leaves early ends the source at once, and not when the collector finds it."""
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
