"""Tells an answer in a tongue, streamed or whole, byte for byte as mlflow's AgentServer frames it."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from sidecar.sim import says
from sidecar.sim.pages import compact
from sidecar.sim.says import Item
from sidecar.sim.script import Scene

Event = dict[str, Any]
DONE: Final = b"data: [DONE]\n\n"


class Tongue(NamedTuple):
    events: Callable[[Scene, list[Item]], Iterator[Event]]
    whole: Callable[[list[Item]], Event]


def stream(tongue: Tongue, scene: Scene, items: list[Item], trace_id: str | None = None) -> Iterator[bytes]:
    """The frames, up to where the scene breaks."""
    events = tongue.events(scene, items)
    if scene.breaks in ("error", "typed"):
        yield from framed(itertools.islice(events, scene.after), scene.framing)
        yield from framed([mishap(scene)], scene.framing)
        yield framing(DONE, None, scene.framing)
        return
    if scene.breaks == "endless":
        yield from framed(itertools.islice(events, scene.after), scene.framing)
        yield from itertools.cycle(
            framed([{"type": "response.output_text.delta", "item_id": "msg_1", "delta": "on "}])
        )
    traced = [{"trace_id": trace_id}] if trace_id else []
    frames = framed(itertools.chain(events, traced), scene.framing)
    if scene.after is not None:
        yield from itertools.islice(frames, max(scene.after, 0))
        if scene.within:
            half = next(frames, DONE)
            yield half[: len(half) // 2]
        return
    yield from frames
    if scene.breaks != "truncate":
        yield framing(DONE, None, scene.framing)


def whole(tongue: Tongue, items: list[Item], trace_id: str | None = None) -> bytes:
    """The JSON answer."""
    value = tongue.whole(items)
    return compact(value | {"metadata": {"trace_id": trace_id}} if trace_id else value)


def endless() -> Iterator[bytes]:
    """A JSON answer that never ends."""
    return itertools.chain([b'{"output":"'], itertools.repeat(b"on " * 1000))


def framed(events: Iterable[Event], shape: str = "plain") -> Iterator[bytes]:
    for event in events:
        yield framing(f"data: {json.dumps(event)}\n\n".encode(), event, shape)


def framing(frame: bytes, event: Event | None, shape: str) -> bytes:
    """The same frame in the ways that other servers write it."""
    match shape:
        case "crlf":
            return frame.replace(b"\n", b"\r\n")
        case "tight":
            return frame.replace(b"data: ", b"data:", 1)
        case "named" if event and "type" in event:
            return f"event: {event['type']}\n".encode() + frame
        case "comments":
            return b": still here\n\n" + frame
    return frame


def mishap(scene: Scene) -> Event:
    if scene.breaks == "typed":
        return {"type": "error", "code": "internal_error", "message": scene.failure}
    return {"error": scene.failure}


def responses_events(scene: Scene, items: list[Item]) -> Iterator[Event]:
    for item in items:
        for piece in says.pieces(says.spoken(item)) if scene.deltas else []:
            yield {"type": "response.output_text.delta", "item_id": item["id"], "delta": piece}
        yield {"type": "response.output_item.done", "item": item}
    if scene.completed:
        response = {"id": "resp_1", "object": "response", "status": "completed", "output": items}
        yield {"type": "response.completed", "response": response}


def responses_whole(items: list[Item]) -> Event:
    return {"object": "response", "output": [{"type": item["type"]} | item for item in items]}


def chat_events(scene: Scene, items: list[Item]) -> Iterator[Event]:
    for item in items:
        if item["type"] == "function_call":
            made = {"name": item["name"], "arguments": item["arguments"]}
            called = [{"index": 0, "id": item["call_id"], "type": "function", "function": made}]
            yield chunk({"role": "assistant", "tool_calls": called})
        for piece in says.pieces(says.spoken(item)):
            yield chunk({"role": "assistant", "content": piece})
    yield chunk({}, "stop")


def chat_whole(items: list[Item]) -> Event:
    answer = {"role": "assistant", "content": "".join(map(says.spoken, items))}
    choice = {"index": 0, "message": answer, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "sim",
        "choices": [choice],
    }


def chunk(delta: Event, why: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": why}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "sim",
        "choices": [choice],
    }


TONGUES: Final = {
    "responses": Tongue(responses_events, responses_whole),
    "chat": Tongue(chat_events, chat_whole),
}
