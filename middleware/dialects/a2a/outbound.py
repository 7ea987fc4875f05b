"""Chats to an A2A agent: the last question as a message, the answer told as Responses events.

And JSON-RPC of a caller who speaks A2A: those bytes, at the endpoint that the agent's card names.
"""

import asyncio

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.dialects.a2a.again import Sleep
from middleware.dialects.a2a.asking import readable
from middleware.dialects.a2a.cards import Cards
from middleware.dialects.a2a.run import GONE, Run
from middleware.dialects.a2a.threads import Threads
from middleware.dialects.told import OPENING
from middleware.exchange import Body, Call, Handler, Middleware, Reply
from middleware.observe import Recorder
from middleware.streams import Translated
from policies import a2a, jsonrpc
from policies.a2a_answer import Answer
from policies.jsonrpc import Wrong
from policies.refusal import Refusal


def outbound(cards: Cards, recorder: Recorder | None = None, *, sleep: Sleep = asyncio.sleep) -> Middleware:
    """Notes `resumed`, and why, where a task was asked for again: `agent_broke_off`, `ended early`, `not over`."""
    threads = Threads()

    async def middleware(call: Call, forward: Handler) -> Reply:
        if call.wants_stream is None or not isinstance(call.body, Body):
            return await forward(call)
        value = call.body.value

        def ended(answer: Answer) -> None:
            threads.keep(call, value, answer.text, answer.waits)

        def note(why: str) -> None:
            if recorder is not None:
                recorder.note(call, "resumed", why)

        run = Run(call, forward, threads.find(call, value), ended=ended, note=note, sleep=sleep)
        try:
            reply = await run.begin(cards)
        except BaseException as error:
            await run.close(error.code if isinstance(error, Refusal) else "caller_left")
            raise
        if not readable(reply):
            return reply
        return Reply(200, OPENING, Translated(run.frames()), run.close)

    return middleware


def relay(cards: Cards) -> Middleware:
    async def middleware(call: Call, forward: Handler) -> Reply:
        if call.dialect != "a2a" or not isinstance(call.body, Body):
            return await forward(call)
        known = await cards.of(call, forward)
        line = known.line(_spoken(call))
        raw, headers = call.body.raw, call.headers
        if jsonrpc.at_stream(call.target):
            raw = jsonrpc.streamed(raw)
            if "text/event-stream" not in headers.get("accept", ""):
                changed = CIMultiDict(headers)
                changed["accept"] = "text/event-stream, application/json"
                headers = CIMultiDictProxy(changed)
        there = call._replace(agent=line.agent, target=line.target, body=Body(raw), headers=headers)
        reply = await forward(there)
        if reply.status in GONE:
            cards.forget(call.agent)
        return reply

    return middleware


def _spoken(call: Call) -> a2a.Tongue | None:
    """What the caller speaks; where nobody knows that version, its agent shall say so."""
    try:
        return a2a.of_header(call.headers.get(a2a.HEADER))
    except Wrong:
        return None
