"""What a builder still has of a run whose stream it has forgotten: its executions, else its conversation.

Streams go with a restart, live in one of several processes, and are dropped when a run was long. Executions are kept
in a database where there is one, a few seconds behind; the conversation has the answer when the run has ended.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

from middleware.dialects.builder.asking import Answered, asked, told
from middleware.exchange import Call, Handler, Reply
from policies import builder_run as policy
from policies.builder_cursor import Cursor, pause
from policies.loose import Value

IDLE: Final = 10  # looks in a row at a run that is said to go on, and has nothing new


class Run(NamedTuple):
    """One run: where it is, and the question that began it."""

    execution: str
    project: str
    conversation: str
    question: str


RECALLED: Final = (
    "recalled"  # the type of an event that is none of the agent's: `text` is all that it has answered
)


async def kept(
    call: Call,
    forward: Handler,
    forgotten: Reply | None,
    run: Run,
    cursor: Cursor,
    sleep: Callable[[float], Awaitable[None]],
) -> AsyncIterator[Value]:
    """What of the run was not heard yet, up to `stream.completed`; without that where this process has nothing of it.

    `forgotten` is the 404. Refusal 502 `agent_run_lost` where a run is said to go on, and does not.
    """
    if forgotten is not None:
        await forgotten.close("agent_refused")
    idle, size, found = 0, 0, None
    while idle < IDLE:
        executions = await _look(
            call, forward, "projects", run.project, "conversations", run.conversation, "executions"
        )
        found = policy.execution(executions, run.execution)
        if found is None:
            break
        news = found.events[cursor.told :]
        for event in news:
            cursor.told += 1
            yield event
        if found.end is not None:
            yield found.end
            return
        idle, size = 0 if found.size > size else idle + 1, found.size
        await sleep(pause(3 + idle))
    conversation = await _look(call, forward, "projects", run.project, "conversations", run.conversation)
    if answer := policy.last_answer(conversation, run.question):
        text, failed = answer
        yield {"type": "error", "error": text} if failed else {"type": RECALLED, "text": text}
        yield {"type": "stream.completed"}
    elif found is not None:
        raise policy.lost(call.agent)


async def _look(call: Call, forward: Handler, *parts: str) -> Any:
    """What the agent has there; nothing where it has no such thing."""
    try:
        return await told(asked(call, "GET", policy.path(*parts)), forward)
    except Answered as answered:
        await answered.reply.close("agent_refused")
        return None
