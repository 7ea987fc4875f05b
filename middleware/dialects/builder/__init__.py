"""`builder`: apps in which an agent works on projects. One chat is several calls: a project, a conversation, a run.

Request: the chat's last question as `message`; the agent keeps what was said before. Answer: the run's events, which
come in windows of 50 s, told as one Responses stream. An agent's tongue only.
"""

import asyncio
from typing import Final

from middleware.dialects.builder.asking import Answered, named
from middleware.dialects.builder.conversations import Conversations
from middleware.dialects.builder.projects import Projects
from middleware.dialects.builder.run import Asking
from middleware.dialects.builder.windows import Sleep
from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json, last_frame
from middleware.exchange import Body, Call, Handler, Middleware, Reply
from middleware.streams import Translated
from policies import builder_run as policy
from policies.refusal import Refusal

__all__ = ["builder"]

AGENTS: Final = 1_000  # whose last answer is remembered


def builder(errors: str | None = None, *, sleep: Sleep = asyncio.sleep) -> Dialect:
    return Dialect(inbound, outbound(sleep), OPENING, as_json(errors), last_frame(errors), (), relay)


def outbound(sleep: Sleep) -> Middleware:
    projects, conversations = Projects(), Conversations()
    heard: dict[str, float] = {}

    async def middleware(call: Call, forward: Handler) -> Reply:
        if call.wants_stream is None or not isinstance(call.body, Body):
            return await forward(call)
        asking = Asking(call, forward, call.body.value, conversations, heard)
        try:
            await asking.begin(projects)
        except Answered as answered:
            await asking.close("agent_refused")
            return answered.reply
        except BaseException as error:
            await asking.close(error.code if isinstance(error, Refusal) else "caller_left")
            raise
        if len(heard) > AGENTS:
            del heard[next(iter(heard))]
        return Reply(200, OPENING, Translated(asking.frames(sleep)), asking.close)

    return middleware


async def relay(call: Call, forward: Handler) -> Reply:
    """Its other routes, as the user; a browser gets none of those that deal in execution ids."""
    if call.caller.door == "front" and policy.secret(call.target):
        raise Refusal(
            403,
            "relay_closed",
            detail=f"This path of agent {call.agent.name!r} deals in ids that let anybody read and stop a run.",
            hint="Chat with it at /api/chat; an app's own server may call this path at the egress door.",
            sent="none",
        )
    headers = named(call)
    return await forward(call if headers is call.headers else call._replace(headers=headers))


async def inbound(call: Call, forward: Handler) -> Reply:
    raise Refusal(500, "not_configured", detail="No caller speaks `builder`; it is an agent's tongue.")
