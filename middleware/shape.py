"""Tells an agent the question in the shape that it takes: `messages` or `input`."""

from collections.abc import Awaitable

from middleware.closing import or_closed
from middleware.exchange import Body, Call, Handler, Middleware, Reply
from policies.shapes import Shape, asked_for, translate

KEPT = 1_000  # agents come and go in a catalogue; what was learned of the oldest is learned again


def shape() -> Middleware:
    """By the agent's `shape`: `as-is` never tells otherwise, `input` and `messages` always, `auto` where the
    agent refused by validation what came. What then worked is remembered for that agent until it is refused.

    An agent is called twice at most, and once where its `replay` is `never`. Raises Refusal 400
    `unsupported_content` where the question has a part for which the shape to be told in has no counterpart.
    """
    learned: dict[tuple[str, str], Shape] = {}

    def middleware(call: Call, forward: Handler) -> Awaitable[Reply]:
        match call.agent.shape:
            case "auto":
                return auto(call, forward)
            case "input" | "messages" as fixed:
                return forward(told(call, fixed))
        return forward(call)

    async def auto(call: Call, forward: Handler) -> Reply:
        agent = call.agent.name, call.agent.url
        known = learned.get(agent) if learned else None
        first = told(call, known) if known else call
        reply = await forward(first)
        if reply.status < 400 or call.agent.replay == "never":
            return reply
        otherwise = await or_closed(reply, others(call, reply, first), "ok")
        if not otherwise:
            return reply
        to, second = otherwise[0]
        await reply.close("ok")
        reply = await forward(second)
        if reply.status < 400:
            learned.pop(agent, None)
            learned[agent] = to
            if len(learned) > KEPT:
                del learned[next(iter(learned))]
        return reply

    return middleware


async def others(call: Call, reply: Reply, first: Call) -> list[tuple[Shape, Call]]:
    """The calls in the shapes that the agent's refusal asks for, as far as they are not the first one again."""
    return [(to, second) for to in asked(reply) if (second := told(call, to)).body != first.body]


def told(call: Call, to: Shape) -> Call:
    """The call with its question told in this shape; the same call where it is."""
    if not isinstance(call.body, Body):
        return call
    raw = translate(call.body.raw, call.body.value, to)
    return call if raw is call.body.raw else call._replace(body=Body(raw))


def asked(reply: Reply) -> tuple[Shape, ...]:
    """The shapes that a refusal asks for; what is not JSON asks for none."""
    if not isinstance(reply.body, Body):
        return ()
    try:
        return asked_for(reply.status, reply.body.value)
    except ValueError:
        return ()
