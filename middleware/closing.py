"""Whoever does not hand on a reply, or reads a stream only in part, closes it, whatever has happened."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from middleware.exchange import Reply
from policies.outcome import Ending
from policies.refusal import Refusal

T = TypeVar("T")


async def or_closed(reply: Reply, further: Awaitable[T], ending: Ending | None = None) -> T:
    """What comes of it. Where that is an error the reply is closed, with that error's code if nothing else is said."""
    try:
        return await further
    except BaseException as error:
        await reply.close(ending or (error.code if isinstance(error, Refusal) else "internal_error"))
        raise


@asynccontextmanager
async def closing(source: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """A reader who leaves early ends the source at once, and not when the collector finds it."""
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
