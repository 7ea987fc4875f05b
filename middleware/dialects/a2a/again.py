"""A task that was not heard to its end, asked for again: by `tasks/resubscribe`, and by `tasks/get`."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, Protocol

from middleware.closing import closing
from middleware.dialects.a2a.asking import Told
from middleware.within import Within
from policies import a2a_errors as errors
from policies.a2a import Tongue
from policies.a2a_answer import Answer
from policies.loose import Value
from policies.refusal import Refusal

FAILURES: Final = 5  # in a row, of asking again
IDLE: Final = 120  # polls in a row without news: ten minutes
DEAD: Final = 3  # the same, for a task on which the agent says it does not work
QUIET: Final = 30.0  # seconds without a result, after which a stream that was taken up again is doubted
LONGEST: Final = 5.0  # seconds between two polls


class Sleep(Protocol):
    def __call__(self, seconds: float, /) -> Awaitable[None]: ...


class Ask(Protocol):
    def __call__(self, method: str, *, stream: bool) -> AsyncIterator[Any]:
        """The results of asking for the task. Raises Told, and Refusal where it cannot be asked or breaks off."""


class Again:
    def __init__(self, answer: Answer, ask: Ask, tongue: Tongue, *, sleep: Sleep) -> None:
        self._answer, self._ask, self._tongue, self._sleep = answer, ask, tongue, sleep
        self._idle = self._failures = 0
        self._patience = IDLE

    async def until_it_is_over(self, streamed: bool, broken: Refusal | None) -> AsyncIterator[list[Value]]:
        """The events of what else there is. `broken` is raised where nothing more is to be had."""
        answer = self._answer
        if not streamed:
            await self._sleep(min(LONGEST, 1.0))
        while True:
            before = answer.state, answer.text
            if streamed and not answer.over:
                answer.cut()
                try:
                    async with closing(self._subscribed()) as found:
                        async for more in found:
                            yield answer.hear(more, last=False)
                    answer.rest()
                except TimeoutError:  # there are servers that keep a stream open on which nothing will come
                    self._patience = DEAD
                except Told as told:
                    streamed = False
                    self._patience = IDLE if told.code in errors.NEVER_RESUMES else DEAD
                except Refusal as refusal:
                    broken = refusal
            if not answer.whole:
                try:
                    async with closing(self._ask(self._tongue.get, stream=False)) as found:
                        async for more in found:
                            yield answer.hear(more)
                    self._failures = 0
                except Told as told:
                    raise broken or errors.refusal(told.document) from None
                except Refusal as refusal:
                    broken, self._failures = refusal, self._failures + 1
            if answer.whole:
                return
            self._idle = 0 if (answer.state, answer.text) != before else self._idle + 1
            if self._failures >= FAILURES or self._idle >= self._patience:
                raise broken or Refusal(502, "truncated", detail="The agent's task makes no progress.")
            await self._sleep(min(LONGEST, 1.0 + self._idle))

    async def _subscribed(self) -> AsyncIterator[Any]:
        """The results of a stream that is taken up again, until it is over. TimeoutError where none comes."""
        async with closing(self._ask(self._tongue.resubscribe, stream=True)) as found:
            while not self._answer.over:
                with Within(QUIET, "agent_gap_timeout"):
                    more = await anext(found, None)
                if more is None:
                    return
                yield more
