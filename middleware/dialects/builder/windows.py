"""A builder's run as one stream of events, of which each is heard once: window by window, and past those that are lost.

A builder ends every answer to `stream_progress` after 50 s, and whoever reads on asks again. An end without
`stream.reconnect` and without `stream.completed` is a cut, whatever ended it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from middleware.closing import closing
from middleware.dialects.builder.asking import asked
from middleware.dialects.builder.kept import Run, kept
from middleware.exchange import Body, Call, Handler, Reply
from middleware.within import Within
from policies import builder_run as policy
from policies.builder_cursor import Cursor, pause
from policies.json_exact import loads
from policies.loose import Value
from policies.refusal import Refusal

TRIES: Final = 5  # in a row that bring nothing
QUIET: Final = 20  # windows in a row that end in order and bring nothing, not even a sign of life
PARTING: Final = 1.0  # seconds for what may follow the end
END: Final = "stream.completed"

Sleep = Callable[[float], Awaitable[None]]


async def events(
    call: Call, forward: Handler, run: Run, cursor: Cursor, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[Value]:
    """The run's events up to its end, each once and in order; `keepalive` as it comes.

    Refusal: what broke the last of the windows, after five tries; `agent_run_lost` where the agent has forgotten
    the run and kept no answer.
    """
    tries = quiet = 0
    recalled = False
    while True:
        trouble, news = None, False
        try:
            reply = None if recalled else await forward(_next(call, run, cursor))
            if reply is None or reply.status == 404:
                source, trouble = kept(call, forward, reply, run, cursor, sleep), policy.lost(call.agent)
            else:
                source = _window(call, reply, cursor)
            async with closing(source) as heard:
                async for event in heard:
                    tries, news = 0, True
                    recalled = trouble is not None  # its events have no stamps: no window fits behind them
                    yield event
                    if event.get("type") == END:
                        return
        except Refusal as refusal:
            if not policy.again(refusal):
                raise
            trouble = refusal
        if trouble is None:
            quiet = 0 if news else quiet + 1
            if quiet > QUIET:
                raise _cut("says no more")
            if quiet > 1:
                await sleep(pause(quiet))
            continue
        if tries == TRIES:
            raise trouble
        tries += 1
        await sleep(pause(tries))


def _next(call: Call, run: Run, cursor: Cursor) -> Call:
    target = policy.path("stream_progress", run.execution)
    return asked(call, "POST", target, {"last_event_timestamp": cursor.ask()}, stream=True)


async def _window(call: Call, reply: Reply, cursor: Cursor) -> AsyncIterator[Value]:
    """What one window brings that is new. Returns where it ended in order; Refusal where it is none, or is cut."""
    try:
        said = reply.body.raw[:4096].decode("utf-8", "replace") if isinstance(reply.body, Body) else ""
        kind, coding = (reply.headers.get(f"Content-{name}", "") for name in ("Type", "Encoding"))
        if refusal := policy.judged(call.agent, reply.status, kind, coding, said):
            raise refusal
        async with closing(_read(reply)) as read:
            async for event in read:
                match event.get("type"):
                    case "stream.reconnect":
                        cursor.moved(event.get("last_timestamp"))
                        return
                    case "stream.completed":
                        yield event | await _parting(read)
                        return
                    case _ if cursor.fresh(event):
                        yield event
        raise _cut("broke off its stream of the run")
    finally:
        await reply.close("ok")


async def _read(reply: Reply) -> AsyncIterator[Value]:
    """The objects in a window's frames; `[DONE]` is the end of the run, said or not."""
    if isinstance(reply.body, Body):  # an event stream of no event
        return
    async with closing(reply.body.events()) as frames:
        async for frame in frames:
            if frame.data == "[DONE]":
                yield {"type": END}
                return
            try:
                value = loads(frame.data)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


async def _parting(read: AsyncIterator[Value]) -> Value:
    """What a second `stream.completed` adds to the first: it alone says whether the run was cancelled."""
    said: Value = {}
    try:
        with Within(PARTING, "agent_gap_timeout"):
            async for event in read:
                if event.get("type") == END:
                    said |= {name: True for name in ("is_error", "is_cancelled") if event.get(name) is True}
    except (TimeoutError, Refusal):
        pass
    return said


def _cut(what: str) -> Refusal:
    return Refusal(502, "agent_broke_off", detail=f"The agent {what}, and the run has not ended.")
