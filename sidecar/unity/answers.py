"""What a workspace answered whom, for half a minute: one question at a time, and nobody gets another's answer."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, Final

SECONDS: Final = 30.0  # how long a revoked right may still be good here
MOST: Final = 4096  # answers that are kept


class Answers:
    """Keeps answers by (who asks, what is asked), under a hash with a key of this process: no token is kept.

    An answer is as old as its question. What failed is not kept, but shared by all who waited for it.
    """

    def __init__(
        self, clock: Callable[[], float] | None = None, *, seconds: float = SECONDS, most: int = MOST
    ) -> None:
        self._clock = clock or asyncio.get_running_loop().time
        self._seconds, self._most = seconds, most
        self._key = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, place: str, token: str, question: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to this question for this token at this place; asked for where none is at hand."""
        parts = "\0".join((place, token, question)).encode("utf-8", "surrogateescape")
        key = blake2b(parts, key=self._key, digest_size=32).digest()
        if (kept := self._kept.get(key)) is not None:
            if self._clock() - kept[0] < self._seconds:
                return kept[1]
            del self._kept[key]
        if (flight := self._flights.get(key)) is None:
            flight = self._flights[key] = asyncio.create_task(self._asked(key, ask))
            flight.add_done_callback(_looked_at)
        return await asyncio.shield(flight)  # whoever leaves does not end it for the others

    async def _asked(self, key: bytes, ask: Callable[[], Awaitable[Any]]) -> Any:
        began = self._clock()
        try:
            answer = await ask()
            self._kept[key] = (began, answer)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return answer
        finally:
            del self._flights[key]

    async def aclose(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._kept.clear()


def _looked_at(flight: "asyncio.Task[Any]") -> None:
    """Its failure is told to those who wait; where nobody is left, it is nobody's."""
    if not flight.cancelled():
        flight.exception()
