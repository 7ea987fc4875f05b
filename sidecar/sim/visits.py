"""What a stand-in remembers of those who called, so that a test can wait for a fact instead of a while."""

import asyncio
import json
from typing import Any, Generic, TypeVar

from aiohttp import web
from multidict import CIMultiDictProxy

T = TypeVar("T")


class Series(Generic[T]):
    """Things that happened, in order. `await series.nth(2)` waits until there are two."""

    def __init__(self) -> None:
        self._all: list[T] = []
        self._news = asyncio.Event()

    def add(self, one: T) -> None:
        self._all.append(one)
        self._news.set()
        self._news = asyncio.Event()

    async def nth(self, number: int, within: float = 5.0) -> T:
        """The `number`-th (from 1). TimeoutError if there are not so many within that many seconds."""
        async with asyncio.timeout(within):
            while len(self._all) < number:
                await self._news.wait()
        return self._all[number - 1]

    def __getitem__(self, index: int) -> T:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)


class Visit:
    """One request: what it brought, and the string on which a script can hold its answer."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.method: str = request.method
        self.target: str = request.raw_path
        self.headers: CIMultiDictProxy[str] = request.headers
        self.peer: Any = request.transport and request.transport.get_extra_info("peername")
        self.body = b""
        self.ran = False  # whether an agent worked on it, or it was turned away before
        self._go = asyncio.Semaphore(0)

    @property
    def value(self) -> Any:
        """The JSON that the body holds."""
        return json.loads(self.body)

    async def held(self) -> None:
        """Waits until `release` is called once more."""
        await self._go.acquire()

    def release(self, steps: int = 1) -> None:
        """Lets a held answer go on, by so many holds."""
        for _ in range(steps):
            self._go.release()
