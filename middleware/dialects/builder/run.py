"""One question to a builder: asked once, followed to its end, and stopped where nobody reads on."""

import time
from collections.abc import AsyncGenerator

from middleware.closing import closing
from middleware.dialects.builder.asking import Answered, asked, ident
from middleware.dialects.builder.conversations import Conversations, Place
from middleware.dialects.builder.kept import RECALLED, Run
from middleware.dialects.builder.projects import Projects
from middleware.dialects.builder.starting import Start
from middleware.dialects.builder.windows import Sleep, events
from middleware.exchange import Call, Handler
from middleware.sse import DONE, KEEPALIVE, frame
from policies import builder_run as policy
from policies.a2a_message import thread
from policies.builder_answer import Answer
from policies.builder_cursor import Cursor
from policies.builder_question import question
from policies.loose import Value, word
from policies.outcome import Ending
from policies.refusal import Refusal
from policies.retry import SILENCE


class Asking:
    """`begin()` starts the run; `frames()` is its answer; `close()` lets go, whatever came.

    `heard` is when each agent last answered: one that has been silent for long may sleep, and is woken by a
    question that starts nothing, because the one that does is not sent twice.
    """

    def __init__(
        self, call: Call, forward: Handler, value: Value, known: Conversations, heard: dict[str, float]
    ) -> None:
        self._call, self._forward, self._value, self._known = call, forward, value, known
        self._heard = heard
        self._question = question(value)
        self._place = known.take(call, value)
        self._start: Start | None = None
        self._run: Run | None = None
        self._telling: AsyncGenerator[bytes, None] | None = None
        self.answer = Answer(call.headers.get("x-request-id", call.request_id), int(time.time()))

    async def begin(self, projects: Projects) -> None:
        """Raises Answered where the agent says something else than that it has begun.

        404 says that the conversation or the project is no more, and that nothing was begun: there are others.
        """
        call = self._call
        for last in (False, True) if self._place is None else (False, False, True):
            fresh = self._place is None
            try:
                if self._place is None:
                    self._place = await self._opened(await projects.of(call, self._forward))
                else:
                    await self._woken()
                self._run = await self._started(self._place, fresh=fresh)
                self._heard[call.agent.url] = time.monotonic()
                return
            except Answered as answered:
                if answered.reply.status != 404 or last:
                    raise
                await answered.reply.close("agent_refused")
                self._place = self._start = None
                if fresh:
                    projects.forget(call)

    async def _opened(self, project: str) -> Place:
        target = policy.path("projects", project, "conversations")
        opened = asked(self._call, "POST", target, {"title": self._question.title})
        return Place(project, await ident(opened, self._forward))

    async def _woken(self) -> None:
        heard = self._heard.get(self._call.agent.url)
        if heard is None or time.monotonic() - heard >= SILENCE:
            reply = await self._forward(asked(self._call, "GET", policy.path("config", "health")))
            await reply.close("ok")

    async def _started(self, place: Place, *, fresh: bool) -> Run:
        message = self._question.retold if fresh else self._question.text
        said = dict(self._question.options) | {"message": message}
        self._start = Start(self._call, self._forward, place, said, fresh=fresh)
        return Run(await self._start.execution(), *place, message)

    def frames(self, sleep: Sleep) -> AsyncGenerator[bytes, None]:
        """The answer in frames of Responses events, `[DONE]` at the end; a comment where the agent says it lives."""
        assert self._run is not None
        self._telling = self._told(self._run, sleep)
        return self._telling

    async def _told(self, run: Run, sleep: Sleep) -> AsyncGenerator[bytes, None]:
        answer = self.answer
        async with closing(events(self._call, self._forward, run, Cursor(), sleep)) as heard:
            async for event in heard:
                kind = event.get("type")
                if kind == "keepalive":
                    yield KEEPALIVE
                    continue
                if kind == "error":  # whoever has the id of a run can read and stop it
                    event = event | {"error": word(event.get("error")).replace(run.execution, "…")}
                told = answer.recalled(word(event.get("text"))) if kind == RECALLED else answer.hear(event)
                if told:
                    yield _framed(told)
        last = _framed(answer.end()) + DONE
        self._leave(thread(self._value, answer.text))  # whoever collects the answer stops reading at its end
        yield last

    async def close(self, ending: Ending) -> None:
        """Nobody reads on. An agent that still works is told so, once."""
        if self._telling is not None:
            await self._telling.aclose()
        start, self._start = self._start, None
        if start is not None and not self.answer.over:
            await start.stop(self._run.execution if self._run else "")
        self._leave(thread(self._value))

    def _leave(self, where: bytes) -> None:
        """The conversation is there for the chat's next turn, or for the same one again."""
        place, self._place = self._place, None
        if place is not None:
            self._known.put(self._call, place, where)


def _framed(events: list[Value]) -> bytes:
    try:
        return b"".join(map(frame, events))
    except ValueError:
        detail = "The agent's event is nested too deeply."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None
