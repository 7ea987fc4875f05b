"""The two places of the chain where a tongue is looked up."""

from collections.abc import Mapping

from middleware.dialects.dialect import Dialect
from middleware.exchange import Call, Handler, Middleware, Reply


def inbound(dialects: Mapping[str, Dialect]) -> Middleware:
    """From the caller's tongue into plain chat, and back."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        return await dialects[call.dialect].inbound(call, forward)

    return middleware


def outbound(dialects: Mapping[str, Dialect]) -> Middleware:
    """From plain chat into the agent's tongue, and back."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        return await dialects[call.agent.kind].outbound(call, forward)

    return middleware
