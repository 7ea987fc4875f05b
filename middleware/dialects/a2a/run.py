"""One question to an A2A agent, followed to its end: streamed, polled, taken up again after a cut, or canceled."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

from middleware.closing import closing
from middleware.dialects.a2a.again import Again, Sleep
from middleware.dialects.a2a.asking import Told, asked, readable, results
from middleware.dialects.a2a.cards import Cards, Known, Line
from middleware.exchange import Body, Call, Handler, Reply
from middleware.sse import DONE, frame
from middleware.within import Within
from policies import a2a_errors as errors
from policies.a2a_answer import Answer
from policies.a2a_message import Place, message
from policies.loose import Value
from policies.outcome import Ending
from policies.refusal import Refusal

BROKEN: Final = frozenset({"agent_broke_off", "agent_gap_timeout"})
GONE: Final = frozenset({404, 410})
PARTING: Final = 2.0  # seconds for `tasks/cancel`


class Run:
    """`begin()` asks; `frames()` is the answer as the events of a stream; `close()` lets go, whatever came."""

    def __init__(
        self,
        call: Call,
        forward: Handler,
        place: Place,
        *,
        ended: Callable[[Answer], None],
        note: Callable[[str], None],
        sleep: Sleep,
    ) -> None:
        """`place` is where the conversation goes on; `ended` is told of an answer that came to its end, `note` of
        one that was asked for again, and why.
        """
        self._call, self._forward, self._sleep = call, forward, sleep
        self._ended, self._note = ended, note
        self._place = place
        self._line: Line
        self._reply: Reply | None = None
        self._streamed = False
        self._results: AsyncIterator[Any] | None = None
        self._ident = call.headers.get("x-request-id", call.request_id)
        self.answer = Answer(self._ident, int(time.time()))
        self._first: Any = None

    # --- asking ------------------------------------------------------------------------------------------

    async def begin(self, cards: Cards) -> Reply:
        """The reply that holds the answer's beginning; whoever finds it not `readable` hands it on."""
        call, once = self._call, self._call.agent.replay == "never"
        known, read_anew = await cards.of(call, self._forward), False
        while True:
            self._line = known.line()
            streams = bool(call.wants_stream) and _streams(call, known)
            reply = await self._ask(streams)
            if not readable(reply):
                if reply.status in GONE:
                    cards.forget(call.agent)
                return reply
            try:
                self._streamed = not isinstance(reply.body, Body)
                self._results = results(reply)
                self._first = await anext(self._results)
                return reply
            except StopAsyncIteration:
                raise Refusal(502, "truncated", detail="The agent's stream ended before it began.") from None
            except Told as told:  # nothing ran: each of these is another question, and asked once
                await self._let_go("agent_error")
                if once:
                    raise errors.refusal(told.document) from None
                if self._place.task and told.code in errors.STALE_TASK and not _may_not_stream(told, streams):
                    self._place = self._place._replace(task="")
                elif told.code in errors.STALE_CARD and not read_anew:
                    cards.forget(call.agent)
                    known, read_anew = await cards.of(call, self._forward), True
                    if known.line() == self._line and _may_not_stream(told, streams):
                        known = cards.streams_not(call.agent, known)
                elif _may_not_stream(told, streams):
                    known = cards.streams_not(call.agent, known)
                else:
                    raise errors.refusal(told.document) from None

    async def _ask(self, streams: bool) -> Reply:
        tongue = self._line.tongue
        assert isinstance(self._call.body, Body)
        said = message(self._call.body.value, self._ident, self._place, tongue)
        method = tongue.stream if streams else tongue.send
        self._reply = await self._forward(
            asked(self._call, self._line, method, {"message": said}, stream=streams)
        )
        return self._reply

    # --- following ---------------------------------------------------------------------------------------

    async def frames(self) -> AsyncIterator[bytes]:
        """The answer in frames of Responses events, each batch as it comes, `[DONE]` at the end."""
        answer = self.answer
        yield _framed(answer.hear(self._first, last=not self._streamed))
        async with closing(self._followed()) as followed:
            async for events in followed:
                if events:
                    yield _framed(events)
        last = _framed(answer.end()) + DONE
        self._ended(answer)  # before its end is told: nobody waits for what comes behind
        yield last

    async def _followed(self) -> AsyncIterator[list[Value]]:
        answer, broken = self.answer, None
        streamed = self._streamed
        try:
            while not answer.over and (more := await self._next()) is not None:
                yield answer.hear(more, last=False)
            answer.rest()
        except Refusal as refusal:
            if refusal.code not in BROKEN or not answer.place.task:
                raise
            broken = refusal
        await self._let_go("ok" if answer.over else "agent_broke_off")
        if answer.blank and streamed and answer.place.task:
            with suppress(Told, Refusal):  # then there is no more to be had
                async with closing(self._again(self._line.tongue.get, stream=False)) as found:
                    async for more in found:
                        yield answer.hear(more)
        if answer.whole:
            return
        if not answer.place.task:
            raise broken or Refusal(502, "truncated", detail="The agent's stream ended before its task did.")
        self._note(broken.code if broken else "ended early" if streamed else "not over")
        asking = Again(answer, self._again, self._line.tongue, sleep=self._sleep)
        async with closing(asking.until_it_is_over(streamed, broken)) as resumed:
            async for events in resumed:
                yield events

    async def _next(self) -> Any:
        assert self._results is not None
        try:
            return await anext(self._results, None)
        except Told as told:
            raise errors.refusal(told.document) from None

    async def _again(self, method: str, *, stream: bool) -> AsyncIterator[Any]:
        """The results of asking for the task. Raises Told, and Refusal where it cannot be asked or breaks off."""
        params = {"id": self.answer.place.task}
        self._reply = await self._forward(asked(self._call, self._line, method, params, stream=stream))
        try:
            if not readable(self._reply):
                detail = f"Asked for its task, the agent answered {self._reply.status}."
                raise Refusal(502, "agent_broke_off", detail=detail, agent_status=self._reply.status)
            async with closing(results(self._reply)) as found:
                async for one in found:
                    yield one
        finally:
            await self._let_go("ok")

    # --- letting go --------------------------------------------------------------------------------------

    async def _let_go(self, ending: Ending) -> None:
        reply, self._reply = self._reply, None
        found, self._results = self._results, None
        if isinstance(found, AsyncGenerator):
            await found.aclose()
        if reply is not None:
            await reply.close(ending)

    async def close(self, ending: Ending) -> None:
        """Nobody reads on. An agent that still works on a task is told so; what it says to that is nobody's."""
        answer = self.answer
        await self._let_go(ending)
        if answer.over or not answer.cancelable:
            return
        params = {"id": answer.place.task}
        cancel = asked(self._call, self._line, self._line.tongue.cancel, params, stream=False)
        try:
            with Within(PARTING, "agent_total_timeout"):
                reply = await self._forward(cancel)
                await reply.close("ok")
        except (Refusal, TimeoutError):
            pass


def _may_not_stream(told: Told, asked: bool) -> bool:
    """Whether an agent that was asked to stream may mean that it does not."""
    return asked and told.code in errors.NO_STREAM


def _streams(call: Call, known: Known) -> bool:
    return known.streams is not False or (call.agent.streaming == "on" and not known.refused)


def _framed(events: list[Value]) -> bytes:
    try:
        return b"".join(map(frame, events))
    except ValueError:
        detail = "The agent's result is nested too deeply."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None
