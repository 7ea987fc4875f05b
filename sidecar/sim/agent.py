"""A stand-in for an agent app on loopback: answers as it is directed and remembers who came."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web

from sidecar.sim import agent_server, apx, pages
from sidecar.sim.asks import Ask, Kind, Refused
from sidecar.sim.plays import dawdle
from sidecar.sim.script import scene
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Series, Visit

Bearer = str | Callable[[str], bool] | None


class Agent:
    """One agent app. `sim.agent()` starts it.

    `url`       where it listens
    `visits`    every request that reached it; `called()` waits for one
    `leavings`  the visits whose caller left before the answer was complete; `left()` waits for one
    `runs`      how often the agent worked on a question, refusals and sleep not counted
    `always`    the words that direct every answer; may be changed at any time
    `port`      `await port.close()` refuses connections until `await port.open()`
    """

    port: Port

    def __init__(self, kind: Kind, always: str, bearer: Bearer, turns: Iterable[str]) -> None:
        self.kind: Kind = kind
        self.app = apx.APP if kind in apx.PATH else agent_server.APP
        self.always = always
        self.visits: Series[Visit] = Series()
        self.leavings: Series[Visit] = Series()
        self.runs = 0
        self._bearer = bearer
        self._turns: Iterator[str] = iter(turns)
        self._asleep_until = -math.inf
        self._slept = False

    @property
    def url(self) -> str:
        return self.port.url

    @property
    def last(self) -> Visit:
        """The newest visit."""
        return self.visits[-1]

    async def called(self, number: int = 1, within: float = 5.0) -> Visit:
        """Waits until it was called so many times in all, and gives that visit."""
        return await self.visits.nth(number, within)

    async def left(self, number: int = 1, within: float = 5.0) -> Visit:
        """Waits until so many callers in all have left an unfinished answer, and gives that visit."""
        return await self.leavings.nth(number, within)

    def then(self, *words: str) -> None:
        """Directs the next questions, one each, in this order."""
        self._turns = itertools.chain(self._turns, words)

    def sleep(self, seconds: float = math.inf) -> None:
        """Until it wakes up, the platform answers 503 for it, whatever is asked."""
        self._asleep_until = asyncio.get_running_loop().time() + seconds
        self._slept = True

    def wake(self) -> None:
        self._asleep_until = -math.inf

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        try:
            visit.body = await request.content.read()
            self.visits.add(visit)
            return await self._answer(request, visit)
        except (asyncio.CancelledError, ConnectionError):
            self.leavings.add(visit)
            raise

    async def _answer(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        """First the platform's front, then the app."""
        if asyncio.get_running_loop().time() < self._asleep_until:
            return pages.PAGES["unavailable"](0)
        if not self._accepts(visit.headers.get("Authorization", "")):
            return pages.PAGES["unauthorized"](0)
        if request.method != "POST" or not self.app.takes_questions(self.kind, request.path):
            return self.app.beside(self.kind, request)
        try:
            ask = self.app.read(visit.body, self.kind)
        except Refused as refused:
            return self.app.refusal(refused)
        return await self._directed(request, visit, ask)

    async def _directed(self, request: web.BaseRequest, visit: Visit, ask: Ask) -> web.StreamResponse:
        played = scene(self.always, next(self._turns, ""), ask.text)
        if played.page == "asleep" and not self._slept:
            self.sleep(played.number)
            return pages.PAGES["unavailable"](0)
        page = None if played.page == "guardrail" and not ask.stream else pages.PAGES.get(played.page)
        self.runs += page is None
        visit.ran = page is None
        await dawdle(visit, played)
        if page:
            return page(played.number)
        self._slept = False
        return await self.app.answer(request, visit, self.kind, ask, played)

    def _accepts(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        return self._bearer(token) if callable(self._bearer) else self._bearer in (None, token)


@asynccontextmanager
async def agent(
    kind: Kind = "responses", always: str = "", *, bearer: Bearer = None, turns: Iterable[str] = ()
) -> AsyncIterator[Agent]:
    """Starts one agent in the running loop, until the block is left.

    `kind`    responses: `AgentServer("ResponsesAgent")`; plain: `AgentServer(None)`, takes either shape and
              answers in the tongue of it; chat: chat completions, whatever was asked;
              apx-typed, apx, apx-older: made with apx, today's and two generations before
    `always`  words of `script.WORDS` that direct every answer; the user's message can add to them
    `bearer`  any other `Authorization` is the platform's 401; a function says yes or no to a token
    `turns`   words for one question each, in order
    """
    one = Agent(kind, always, bearer, turns)
    async with serving(one.answer) as one.port:
        yield one
