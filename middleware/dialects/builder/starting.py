"""Starts a run, once: `invoke_agent` is work that begins, and is sent again only where nothing of it was sent."""

import asyncio
from typing import Final

from middleware.dialects.builder.asking import Answered, asked, document, told, whole
from middleware.dialects.builder.conversations import Place
from middleware.exchange import Body, Call, Handler, Reply
from middleware.within import Within
from policies import builder_run as policy
from policies.answers import is_json
from policies.json_exact import loads
from policies.loose import Value, word
from policies.refusal import Refusal

PARTING: Final = 2.0  # seconds for what is said to the agent when the caller has left


class Start:
    """One `invoke_agent`. Its answer is waited for to the end even if the caller leaves: it names what to stop."""

    def __init__(self, call: Call, forward: Handler, place: Place, message: Value, *, fresh: bool) -> None:
        self._call, self._forward, self._place, self._fresh = call, forward, place, fresh
        asks = {"project_id": place.project, "conversation_id": place.conversation} | message
        invoke = asked(call, "POST", policy.path("invoke_agent"), asks, stream=None)
        self._answer = asyncio.create_task(self._read(invoke))

    async def _read(self, invoke: Call) -> Reply:
        reply = await self._forward(invoke)
        return reply._replace(body=await whole(reply))

    async def execution(self) -> str:
        """The run's id. Raises Answered.

        Where the answer was lost, the run is the one that its conversation is working on: nobody else has that.
        """
        try:
            reply = await asyncio.shield(self._answer)
        except Refusal as refusal:
            if refusal.sent == "none" or refusal.code not in policy.UNTOLD:
                raise
            if found := await self._begun():
                return found
            raise
        by_gateway = reply.status in policy.GATEWAYS and not is_json(reply.headers.get("Content-Type", ""))
        if by_gateway and (found := await self._begun()):
            await reply.close("agent_failed")
            return found
        value = await document(reply)
        if found := word(value.get("execution_id") if isinstance(value, dict) else None):
            return found
        raise Refusal(502, "agent_protocol_error", detail="The agent's answer has no `execution_id`.")

    async def _begun(self) -> str:
        place = self._place
        target = policy.path("projects", place.project, "conversations", place.conversation, "executions")
        try:
            return policy.begun(
                await told(asked(self._call, "GET", target), self._forward), fresh=self._fresh
            )
        except Answered as answered:
            await answered.reply.close("agent_refused")
            return ""

    async def stop(self, execution: str) -> None:
        """Says that nobody reads on, of the run that was started or is about to be; in vain where nobody listens."""
        try:
            with Within(PARTING, "agent_total_timeout"):
                if not execution:
                    body = (await self._answer).body
                    told = loads(body.raw) if isinstance(body, Body) else None
                    execution = word(told.get("execution_id") if isinstance(told, dict) else None)
                if execution:
                    target = policy.path("stop_stream", execution)
                    reply = await self._forward(asked(self._call, "POST", target))
                    await reply.close("ok")
        except (Refusal, TimeoutError, ValueError):
            pass
