"""A reply, told to its caller: whole, as it arrives, or as the last word that can still be said."""

import asyncio
from collections.abc import Callable, Mapping

from middleware.dialects.dialect import Dialect
from middleware.dialects.told import Refused
from middleware.exchange import Body, Call, Pairs, Reply, Stream, Tunnel
from policies import answers, outcome
from policies import headers as header_policy
from policies.names import CONTENT_LENGTH, CONTENT_TYPE
from policies.outcome import Ending
from policies.refusal import Refusal
from sidecar.answer import Answer
from sidecar.telemetry import Record, Telemetry
from sidecar.wire.arriving import Arriving


class Telling:
    """Tells replies. Closes each, with how it ended."""

    def __init__(
        self, dialects: Mapping[str, Dialect], telemetry: Telemetry, told: Callable[[Call, Reply], Pairs]
    ) -> None:
        """`told`: the headers with which a reply is told."""
        self.dialects, self.telemetry, self.told = dialects, telemetry, told

    async def tell(self, answer: Answer, call: Call, reply: Reply, record: Record) -> Answer:
        ending = "internal_error"
        failure: BaseException | None = None
        try:
            ending = await self._everything(answer, call, reply, record)
        except asyncio.CancelledError as left:
            said_why = outcome.of_leaving(left) if left.args else gone(answer, reply)
            ending = "caller_stalled" if answer.stalled else said_why
            failure = left
        except ConnectionError:  # the caller's side: its connection is gone
            ending = "caller_stalled" if answer.stalled else "caller_left"
            answer.break_off()
        except BaseException as error:
            failure = error
        record.first_byte, record.bytes, record.status = answer.first_byte, answer.size, answer.status
        await reply.close(ending)
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # which holds this frame
        return answer

    async def _everything(self, answer: Answer, call: Call, reply: Reply, record: Record) -> str:
        """All that is to be told, or the last word where that breaks or cannot be told on; and how it ended."""
        try:
            body = reply.body
            if not isinstance(body, Body):
                if reply.status == 101 and isinstance(body, Tunnel):
                    return await self.joined(answer, call, reply, body, record)
                if answers.is_sse(reply.headers.get(CONTENT_TYPE, "")):
                    record.streaming = True
                return await self.pumped(answer, call, reply, body)
            if not answer.early:
                answer.head(reply.status, self.told(call, reply))
                if not answer.finish(body.raw):
                    await answer.taken()
                return "ok"
            broken = said(reply, body)
        except Refusal as refusal:
            broken = refusal.settled()
        await self.last_word(answer, call, broken)
        return outcome.outcome(broken.code)

    async def pumped(self, answer: Answer, call: Call, reply: Reply, stream: Stream) -> str:
        """Everything the stream brings, and how it ended. Refusal where it broke."""
        answer.head(reply.status, self.told(call, reply), length(call, reply))
        answer.watch = stream.watch
        if call.wants_stream is None and not (isinstance(stream, Arriving) and stream.at_hand):
            answer.open()  # a relay's head is told at once, however long its body may be in coming
        await stream.pump(answer)
        if stream.watch.verdict == "truncated" and answers.is_sse(reply.headers.get(CONTENT_TYPE, "")):
            raise Refusal(502, "truncated")
        await answer.end()
        return stream.watch.verdict

    async def joined(self, answer: Answer, call: Call, reply: Reply, tunnel: Tunnel, record: Record) -> str:
        """Bytes both ways until both sides are closed, and how it ended."""
        record.stream = "tunnel"
        head = answer.switched(self.told(call, reply), tunnel)
        try:
            ending = await tunnel.join(answer.request.connection, head)
        except Refusal:  # the agent has gone, and nothing was told
            answer.state, answer.tunnel = "uncommitted", None
            raise
        answer.size, record.bytes_in = tunnel.given, tunnel.taken
        return ending

    async def last_word(self, answer: Answer, call: Call, refusal: Refusal) -> Answer:
        """Whatever can still be said: a whole refusal, a typed last frame, or a visible break."""
        self.telemetry.refused(call, refusal)
        dialect = self.dialects[call.dialect]
        if answer.state == "uncommitted":
            reply = dialect.refuse(refusal, call)
            answer.head(reply.status, list(reply.headers.items()))
            return await answer.end(reply.body.raw if isinstance(reply.body, Body) else b"")
        frame = (
            dialect.last_word(refusal, call.request_id) if call.wants_stream and dialect.terminal else None
        )
        if frame is None or not (answer.watch is None or answer.watch.between_frames):
            return answer.break_off()
        return await answer.end(frame)


def told(call: Call, reply: Reply) -> Pairs:
    """The headers of an answer; only a relay's may lead the caller elsewhere in its agent."""
    return header_policy.answer(
        reply.headers, call.agent.url, call.target if call.wants_stream is None else ""
    )


def length(call: Call, reply: Reply) -> int | None:
    """How long a relay's answer will be, where its agent said so."""
    said = reply.headers.get(CONTENT_LENGTH, "") if call.wants_stream is None else ""
    return int(said) if said.isdecimal() and len(said) < 19 else None


def gone(answer: Answer, reply: Reply) -> Ending:
    """How an answer ended whose caller has left: as it said itself, where the caller had got as far as that."""
    watch = None if isinstance(reply.body, Body) else reply.body.watch
    said = watch.verdict if watch and watch.terminal and not answer.waiting else "truncated"
    return "caller_left" if said == "truncated" else said


def said(reply: Reply, body: Body) -> Refusal:
    """A whole reply, put as a refusal: what a stream that has begun can still say of it."""
    if isinstance(body, Refused):
        return body.refusal
    text = body.raw[:500].decode("utf-8", "replace")
    return Refusal(
        reply.status,
        outcome.of_answer(reply.status),
        detail=f"The agent answered {reply.status}: {text}",
        quotes=True,
    )
