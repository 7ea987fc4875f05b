"""An apx agent's event stream: named frames whose data has no `type`, the same ids in each, no closing mark; or,
of today's agents, Responses events that end with `response.completed`."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sidecar.sim.says import Item, pieces, spoken
from sidecar.sim.script import Scene
from sidecar.sim.tells import framed as plainly
from sidecar.sim.tells import framing

Named = tuple[str, Any]
ID: Final = "msg_001"
DONE: Final = "response.output_item.done"
TRACED: Final = "0af7651916cd43dd8448eb211c80319c"


def events(said: list[Item], custom_outputs: dict[str, Any], *, older: bool) -> Iterator[Named]:
    text = "".join(map(spoken, said))
    calls = traces(said)
    yield "response.output_item.start", {"item_id": ID} | ({} if older else {"trace_id": TRACED})
    if not older:
        for call in calls:
            yield "span.start", {"name": call["name"]}
            yield "tool.trace", [call]
            yield "span.end", {"name": call["name"]}
    in_pieces = [text[at : at + 20] for at in range(0, len(text), 20)] if older else pieces(text)
    for piece in in_pieces:
        yield "output_text.delta", {"item_id": ID, "text": piece}
    if older and calls:
        yield "tool.trace", calls
    yield DONE, {"item_id": ID, "output": finished({"content": [{"type": "output_text", "text": text}]})}
    if custom_outputs:
        yield "custom_outputs", custom_outputs


def typed(said: list[Item], custom_outputs: dict[str, Any], scene: Scene) -> Iterator[bytes]:
    """Responses events, up to where the scene breaks."""
    events = [*_typed(said)]
    for event in events:
        event["custom_outputs"] = None
    events[-1]["custom_outputs"] = custom_outputs or None
    if scene.breaks in ("error", "typed"):
        failed = {"type": "error", "error": "RuntimeError", "message": scene.failure}
        events = [*events[: scene.after], failed]
    elif scene.breaks == "truncate":
        events = events[: scene.after or -1]
    yield from plainly(events, scene.framing)


def _typed(said: list[Item]) -> Iterator[dict[str, Any]]:
    """What a tool gave back comes as text first, too: a mistake of the real one's."""
    place: dict[str, Any]
    for index, item in enumerate(said):
        ident = item.get("id") or f"t{index}"
        texts = pieces(spoken(item)) if item["type"] == "message" else [item.get("output", "")]
        for piece in filter(None, texts):
            place = {"item_id": ident, "output_index": index, "content_index": 0}
            yield {"type": "response.output_text.delta", "delta": piece, **place}
        yield {"type": "response.output_item.done", "item": item, "output_index": index}
    response = {"id": "resp-1", "object": "response", "output": said}
    yield {"type": "response.completed", "response": response}


def traces(said: list[Item]) -> list[dict[str, Any]]:
    """The calls of tools in an answer, as they are traced."""
    results = {item["call_id"]: item["output"] for item in said if item["type"] == "function_call_output"}
    return [
        {
            "name": item["name"],
            "args": json.loads(item["arguments"]),
            "result": results.get(item["call_id"]),
            "ms": 12,
        }
        for item in said
        if item["type"] == "function_call"
    ]


def finished(item: Item) -> Item:
    content = [{"type": "output_text", "text": part["text"]} for part in item["content"]]
    return {"type": "message", "role": "assistant", "id": None, "status": "completed", "content": content}


def framed(named: Iterable[Named], shape: str = "plain") -> Iterator[bytes]:
    for name, value in named:
        yield framing(f"event: {name}\ndata: {json.dumps(value)}\n\n".encode(), None, shape)
