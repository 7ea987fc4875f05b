"""The one public door: everything that the author of a plug-in needs, and the only module to import from.

A plug-in is a constructor, called once at start with a `Kit`, that returns a middleware:

    from sidecar.api import Call, Handler, Kit, Middleware, Reply

    def stamp(kit: Kit) -> Middleware:
        async def middleware(call: Call, forward: Handler) -> Reply:
            reply = await forward(call)
            kit.recorder.note(call, "stamped", reply.status)
            return reply
        return middleware

`Call`        one question on its way to an agent; immutable, edited by `call._replace(…)`
`Reply`       one answer; whoever does not hand it on must `await reply.close("ok")` it
`Body`        a whole body: `.raw` bytes and `.value` JSON, each made from the other at most once
`Stream`      an answer that is still arriving: `events()` or `chunks()`, read once
`Tunnel`      a WebSocket, in the reply to a relay that asked for one: handed on, or closed
`Told`        a stream of your own: `Told(frames)`, of whole frames as bytes, in a list or from an async iterator
`Event`       one server-sent event: `data`, `event`, `id`, and `value()` for its JSON; `reframed(event)` makes
              its frame, and `frame(value)` one of any JSON value
`Headers`     an immutable multi-map of header names, any case; `headers((name, value), …)` makes one
`Handler`     `async (Call) -> Reply`: what `forward` is, and what the whole chain is
`Middleware`  `async (Call, Handler) -> Reply`: what a plug-in's constructor returns
`Kit`         what the constructor is given: its own variables, the agents, the recorder
`Refusal`     the only exception that speaks to the caller; any other becomes 500 `internal_error`
`Agent`       where a call goes: name, address, kind, whether it may be told who the user is
`Caller`      who calls: door, name and e-mail as far as they are believed
`Dialect`     a tongue: how callers and agents speak it (entry points of the group `sidecar.dialects`)

What is not exported here may change in any release.
"""

from middleware.dialects.dialect import Dialect
from middleware.exchange import Body, Call, Handler, Headers, Middleware, Reply, Stream, Tunnel, headers
from middleware.kit import Kit
from middleware.sse import Event, frame, reframed
from middleware.streams import Told
from policies.agent import Agent, Caller
from policies.refusal import Refusal

__all__ = [
    "Agent",
    "Body",
    "Call",
    "Caller",
    "Dialect",
    "Event",
    "Handler",
    "Headers",
    "Kit",
    "Middleware",
    "Refusal",
    "Reply",
    "Stream",
    "Told",
    "Tunnel",
    "frame",
    "headers",
    "reframed",
]
