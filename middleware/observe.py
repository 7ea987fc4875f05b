"""Outermost of all: knows of every call when it began, how it ended, and tells the recorder."""

import asyncio
from typing import Any, Protocol

from middleware.exchange import Call, Handler, Middleware, Reply, as_reply, nothing
from policies.outcome import Ending, of_leaving
from policies.refusal import Refusal, Sent


class Recorder(Protocol):
    """What the process keeps of a call: counters, one log line, the tap. Names and sizes, never words."""

    def began(self, call: Call) -> None: ...

    def carried(self, call: Call, credential: str, identity: tuple[str, ...]) -> None:
        """What goes with the call: the kind of its credential (app, user, none …), and which identity headers."""

    def attempted(self, call: Call, sent: Sent, result: str) -> None:
        """One HTTP exchange is over: what had left, and `answered` or the code of what went wrong."""

    def note(self, call: Call, what: str, value: Any) -> None:
        """One more fact, for the tap: what is rare, or a plug-in says. Some of the built-in are in the log line too."""

    def refused(self, call: Call, refusal: Refusal) -> None:
        """The call was answered by us; cause and hint go to the log."""

    def failed(self, call: Call, error: BaseException) -> None:
        """A fault of ours or of a plug-in: logged with its traceback."""

    def ended(self, call: Call, reply: Reply | None, ending: Ending) -> None: ...


def observe(recorder: Recorder) -> Middleware:
    async def middleware(call: Call, forward: Handler) -> Reply:
        recorder.began(call)
        try:
            reply = await forward(call)
        except asyncio.CancelledError as left:
            recorder.ended(call, None, of_leaving(left))
            raise

        async def close(ending: Ending) -> None:
            try:
                if reply.close is not nothing:
                    await reply.close(ending)
            finally:
                recorder.ended(call, reply, ending)

        return as_reply((reply.status, reply.headers, reply.body, close))

    return middleware
