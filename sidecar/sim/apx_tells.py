"""An apx agent's event stream: named frames whose data has no `type`, the same ids in each, no closing mark; or,
of today's agents, Responses events that end with `response.completed`."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sidecar.sim.says import Item, pieces, spoken
from sidecar.sim.script import Scene
from sidecar.sim.tells import framed as plainly
from sidecar.sim.tells import framing, responses_events

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
    events = list(responses_events(scene._replace(completed=True), said))
    events[-1] |= {"custom_outputs": custom_outputs or None}
    if scene.breaks in ("error", "typed"):
        failed = {"type": "error", "error": "RuntimeError", "message": scene.failure}
        events = [*events[: scene.after], failed]
    elif scene.breaks == "truncate":
        events = events[: scene.after or -1]
    yield from plainly(events, scene.framing)


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
