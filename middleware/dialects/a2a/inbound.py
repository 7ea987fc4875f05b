"""JSON-RPC to an agent that does not speak it: told into a chat, and the answer back as a task's.

An answer is a task that is over with it: nobody can ask for it afterwards. Errors of JSON-RPC are answered with
HTTP 200, failures of the agent or of ours by their HTTP status, and neither is told as the other.
"""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import uuid4

from middleware.access import known
from middleware.closing import closing
from middleware.dialects.a2a.judged import Judged
from middleware.dialects.told import OPENING
from middleware.exchange import Body, Call, Handler, Reply, Stream, headers
from middleware.sse import frame
from middleware.streams import Told
from policies import a2a, answers, errors, jsonrpc
from policies.a2a import NEW, OLD, Tongue
from policies.a2a_message import Asked, chat
from policies.a2a_telling import Task
from policies.json_exact import dumps
from policies.jsonrpc import Request, Wrong
from policies.loose import Value
from policies.refusal import Refusal

JSON: Final = headers(("Content-Type", "application/json"))
# What is asked of a task or a card that an agent without A2A does not have.
NOT_HERE: Final[dict[str, int]] = {
    method: code
    for code, methods in {
        jsonrpc.TASK_NOT_FOUND: [
            method for words in (OLD, NEW) for method in (words.get, words.cancel, words.resubscribe)
        ],
        jsonrpc.NO_PUSH: [
            *(f"tasks/pushNotificationConfig/{verb}" for verb in ("set", "get", "list", "delete")),
            *(f"{verb}TaskPushNotificationConfig" for verb in ("Create", "Get", "Delete")),
            "ListTaskPushNotificationConfigs",
        ],
        jsonrpc.UNSUPPORTED: ["ListTasks"],
        jsonrpc.NO_EXTENDED_CARD: jsonrpc.CARDS,
    }.items()
    for method in methods
}


async def inbound(call: Call, forward: Handler) -> Reply:
    if call.wants_stream is None or not isinstance(call.body, Body):
        return await forward(call)
    known(call.agent)  # before the body is judged: nobody has no tongue of an agent's
    try:
        tongue = a2a.of_header(call.headers.get(a2a.HEADER))
        value = jsonrpc.document(call.body.raw)
        if (many := jsonrpc.batch(value)) is not None:
            return await _batch(call, many, tongue, forward)
        asked = jsonrpc.request(value)
        if not call.wants_stream:
            told = await _answered(call, asked, tongue, forward)
            return _whole(None if asked.notification else jsonrpc.result(asked.ident, told))
        return await _streamed(call, asked, tongue, forward)
    except Wrong as wrong:
        return _whole(jsonrpc.error(wrong))


async def _batch(call: Call, many: list[Any], tongue: Tongue, forward: Handler) -> Reply:
    """Each in its turn. Where one fails, that is told in its own answer: there is no status for one of many."""
    told = []
    for one in many:
        try:
            asked = jsonrpc.request(one)
            if asked.method in jsonrpc.STREAMS:
                raise Wrong(jsonrpc.UNSUPPORTED, "Nothing is streamed in a batch.", asked.ident)
            answer = jsonrpc.result(asked.ident, await _answered(call, asked, tongue, forward))
            told += [] if asked.notification else [answer]
        except Wrong as wrong:
            told.append(jsonrpc.error(wrong))
        except Refusal as refusal:
            said = errors.message(refusal, full=False)
            told.append(jsonrpc.error(Wrong(jsonrpc.INTERNAL_ERROR, said, asked.ident)))
    return _whole(told or None)


async def _answered(call: Call, asked: Request, tongue: Tongue, forward: Handler) -> Value:
    """The result of one request, whole. Raises Wrong, with the request's id; Refusal where there is no answer."""
    said = _question(asked, tongue)
    reply = await forward(_told(call, said, stream=False))
    try:
        body = _judged(call, reply)
        assert isinstance(body, Body)
        return _task(said, tongue).whole(body.value)
    except ValueError:
        raise Refusal(502, "agent_protocol_error", detail="The agent's JSON cannot be read.") from None
    finally:
        await reply.close("ok")


async def _streamed(call: Call, asked: Request, tongue: Tongue, forward: Handler) -> Reply:
    said = _question(asked, tongue)
    reply = await forward(_told(call, said, stream=True))
    try:
        body = _judged(call, reply)
    except BaseException as error:
        await reply.close(error.code if isinstance(error, Refusal) else "internal_error")
        raise
    assert not isinstance(body, Body)
    watch = Judged()
    frames = _frames(body, _task(said, tongue), asked.ident, watch)
    return reply._replace(headers=_opened(reply), body=Told(frames, watch))


async def _frames(stream: Stream, task: Task, ident: Any, watch: Judged) -> AsyncIterator[bytes]:
    def framed(result: Value) -> bytes:
        try:
            return frame(jsonrpc.result(ident, result))
        except ValueError:
            raise too_deep() from None

    yield framed(task.begin())
    try:
        async with closing(stream.events()) as events:
            async for event in events:
                if event.data == "[DONE]":
                    task.done()
                    break
                try:
                    value = event.value()
                except ValueError:
                    continue  # a heartbeat in words
                if updates := task.hear(value, event.event):
                    yield b"".join(map(framed, updates))
        last = task.end()
    except Refusal as refusal:  # the task has failed, which this tongue can say
        watch.said = "agent_error"
        last = task.failed(errors.message(refusal, full=refusal.quotes))
    yield framed(last)


def _question(asked: Request, tongue: Tongue) -> Asked:
    if asked.method in (tongue.send, tongue.stream):
        try:
            return chat(asked.params)
        except Wrong as wrong:
            raise Wrong(wrong.code, wrong.data, asked.ident) from None
    if asked.method in NOT_HERE:
        raise Wrong(NOT_HERE[asked.method], None, asked.ident)
    if asked.method in (NEW.send, NEW.stream):
        raise Wrong(jsonrpc.VERSION_NOT_SUPPORTED, f"{asked.method} goes with A2A-Version: 1.0.", asked.ident)
    raise Wrong(jsonrpc.METHOD_NOT_FOUND, None, asked.ident)


def _told(call: Call, said: Asked, *, stream: bool) -> Call:
    return call._replace(target="/invocations", body=Body(value=said.body), wants_stream=stream)


def _task(said: Asked, tongue: Tongue) -> Task:
    return Task(str(uuid4()), said.context or str(uuid4()), tongue)


def _judged(call: Call, reply: Reply) -> Body | Stream:
    """The body of an answer that is one. Refusal with the status of what is none."""
    kind = reply.headers.get("Content-Type", "")
    text = reply.body.raw[:4096].decode("utf-8", "replace") if isinstance(reply.body, Body) else ""
    if refusal := answers.refused(call.agent, reply.status, kind, text):
        raise refusal
    if reply.status >= 300:
        raise Refusal(
            reply.status, "agent_refused", detail=text[:1000], quotes=True, agent_status=reply.status
        )
    return reply.body


def _opened(reply: Reply) -> Any:
    opening = OPENING.copy()
    opening["x-sidecar-stream"] = reply.headers.get("x-sidecar-stream", "translated")
    return type(OPENING)(opening)


def _whole(told: Any) -> Reply:
    if told is None:
        return Reply(204, headers(), Body(b""))
    try:
        return Reply(200, JSON, Body(dumps(told), value=told))
    except ValueError:
        raise too_deep() from None


def too_deep() -> Refusal:
    return Refusal(502, "agent_protocol_error", detail="The agent's JSON is nested too deeply.")
