"""Asks for a stream only where one is permitted, and hands the caller what it wanted either way."""

import time
from typing import Any, Final

from multidict import CIMultiDictProxy, istr

from middleware.closing import or_closed
from middleware.exchange import Body, Call, Handler, Headers, Middleware, Reply, Stream, as_reply
from middleware.observe import Recorder
from middleware.sse import DONE, frame
from middleware.streams import ENDS, Told, Translated
from middleware.watch import Blank
from policies import streaming as policy
from policies.answers import is_json
from policies.collection import Collected
from policies.decoding import decoded, is_plain
from policies.json_exact import dumps, loads
from policies.names import CONTENT_ENCODING, CONTENT_TYPE
from policies.refusal import Refusal
from policies.signatures import streaming_refused
from policies.synthesis import says_nothing, told

MODE: Final[str] = istr("x-sidecar-stream")
LARGEST: Final = 64 << 20  # bytes of a stream that is collected
SSE: Final = ("Content-Type", "text/event-stream; charset=utf-8")
JSON: Final = ("Content-Type", "application/json")
FREELY: Final = [("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no")]
OF_THE_BYTES: Final = (  # what was true of the bytes that came, and is not of those that go
    "Content-Length",
    "Content-Encoding",
    "Content-MD5",
    "Content-Digest",
    "Repr-Digest",
    "Digest",
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Cache-Control",
    "X-Accel-Buffering",
)


def streaming(recorder: Recorder) -> Middleware:
    """Notes `stream_refused` with the status where an agent refused to stream and was asked once more, whole."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        wanted = call.wants_stream
        if wanted is None:
            return await forward(call)
        asked = policy.ask(wanted, call.agent.streaming)
        reply = await forward(call if asked is wanted else call._replace(wants_stream=asked))
        if asked and reply.status >= 400 and call.agent.replay != "never" and _refused_to_stream(reply):
            recorder.note(call, "stream_refused", reply.status)
            await reply.close("agent_refused")
            reply = await forward(call._replace(wants_stream=False))
        status, headers, body, close = reply
        if isinstance(body, Body) and (not wanted or status != 200):
            return as_reply((status, _with(headers, "raw"), body, close))
        return await or_closed(reply, _as_wanted(call, reply))

    return middleware


def _refused_to_stream(reply: Reply) -> bool:
    body = reply.body
    return isinstance(body, Body) and _is_json(reply) and streaming_refused(reply.status, body.raw)


async def _as_wanted(call: Call, reply: Reply) -> Reply:
    """The answer as a stream or whole, as the caller wanted it, with a header that says how that came about."""
    coding = reply.headers.get(CONTENT_ENCODING, "")
    match reply.body:
        case Body() as body if call.wants_stream and reply.status == 200 and _is_json(reply):
            stream = synthesized(_read(decoded(body.raw, coding)), call.request_id)
            return reply._replace(headers=_with(reply.headers, "synthesized", SSE, *FREELY), body=stream)
        case Body():
            return as_reply((reply.status, _with(reply.headers, "raw"), reply.body, reply.close))
        case stream if not is_plain(coding):
            detail = "The agent compresses its event stream, although it was asked not to."
            raise Refusal(502, "agent_protocol_error", detail=detail)
        case stream if call.wants_stream or reply.status != 200:
            mode = "translated" if isinstance(stream, Translated) else "raw"
            return reply._replace(headers=_with(reply.headers, mode, *FREELY))
        case stream:
            whole = await collected(stream)
            await reply.close("ok")
            return Reply(200, _with(reply.headers, "collected", JSON), whole)


def synthesized(value: Any, ident: str) -> Told:
    """The stream that an answer would have been. Ids that the answer lacks are made of `ident`."""
    try:
        frames = [frame(event) for event in told(value, ident, int(time.time()))]
    except ValueError:
        raise _unreadable("nested too deeply") from None
    return Told([b"".join([*frames, DONE])], Blank(ENDS) if says_nothing(value) else None)


async def collected(stream: Stream) -> Body:
    """The answer that a stream would have been. What comes behind `[DONE]` is not waited for.

    Refusal 502: `agent_error`, `truncated`, and `agent_too_large` beyond 64 MiB in all or 1 MiB in one event.
    """
    answer, size = Collected(), 0
    async for event in stream.events():
        if (size := size + len(event.data)) > LARGEST:
            raise Refusal(
                502, "agent_too_large", detail=f"The agent's stream is larger than {LARGEST} bytes."
            )
        if event.data == "[DONE]":
            answer.done()
            break
        try:
            value = event.value()
        except ValueError:
            continue  # a heartbeat in words; an answer's text comes in JSON
        answer.add(value, event.event)
    value = answer.value()
    try:
        return Body(dumps(value), value=value)
    except ValueError:
        raise _unreadable("nested too deeply") from None


def _read(raw: bytes) -> Any:
    try:
        return loads(raw)
    except ValueError as error:
        raise _unreadable(str(error)) from None


def _unreadable(why: str) -> Refusal:
    return Refusal(502, "agent_protocol_error", detail=f"The agent's JSON cannot be read: {why}.")


def _is_json(reply: Reply) -> bool:
    return is_json(reply.headers.get(CONTENT_TYPE, ""))


def _with(headers: Headers, mode: str, *pairs: tuple[str, str]) -> Headers:
    """The headers of an answer that was brought in this mode."""
    changed = headers.copy()
    if mode != "raw":
        for name in OF_THE_BYTES:
            changed.popall(name, None)
    elif pairs:
        changed.popall("Content-Encoding", None)
    for name, value in pairs:
        changed[name] = value
    changed[MODE] = mode
    return CIMultiDictProxy(changed)
