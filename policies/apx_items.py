"""The output of an apx agent's answer, item by item, as the events that a Responses agent would have sent.

The agent's ids are the same in every answer, so others are made.
"""

from typing import Any, Final

from policies.json_exact import dumps
from policies.loose import Value, text, word

PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


class Items:
    """`ident` makes ids unique. `output` is by output_index; an item that is not finished is there as it began."""

    __slots__ = ("_ident", "_open", "_said", "output")

    def __init__(self, ident: str) -> None:
        self._ident = ident
        self.output: list[Value] = []
        self._open: dict[str, int] = {}  # agent's id of a message → its index
        self._said: set[int] = set()  # messages of which a delta was told

    @property
    def unfinished(self) -> bool:
        return bool(self._open)

    def _identified(self, item: Value) -> Value:
        kind = word(item.get("type"), "item")
        return item | {"id": f"{PREFIXES.get(kind, kind)}_{self._ident}_{len(self.output)}"}

    def opened(self, ident: str) -> list[Value]:
        """A message begins, if it has not."""
        if ident in self._open:
            return []
        index = self._open[ident] = len(self.output)
        item = self._identified(
            {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        )
        self.output.append(item)
        part = {"type": "output_text", "text": "", "annotations": []}
        place = {"item_id": item["id"], "output_index": index, "content_index": 0}
        return [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.content_part.added", **place, "part": part},
        ]

    def delta(self, ident: str, said: str) -> list[Value]:
        """More of a message's text."""
        if not said:
            return []
        told = self.opened(ident)
        index = self._open[ident]
        self._said.add(index)
        place = {"item_id": self.output[index]["id"], "output_index": index, "content_index": 0}
        return [*told, {"type": "response.output_text.delta", **place, "delta": said}]

    def finished(self, ident: str, item: Value) -> list[Value]:
        """An item is complete; a message's text is told before, where no delta brought it."""
        if item.get("type", "message") != "message":
            return self.whole(item)
        told = self.opened(ident)
        index = self._open[ident]
        said = text(item.get("content"))
        if index not in self._said:
            told += self.delta(ident, said)
        del self._open[ident]
        content = item.get("content")
        if not isinstance(content, list):
            content = [{"type": "output_text", "text": said, "annotations": []}]
        about = {"type": "message", "role": "assistant", "status": "completed"}
        told_id = {"id": self.output[index]["id"], "content": content}
        self.output[index] = about | {k: v for k, v in item.items() if v is not None} | told_id
        done = {"type": "response.output_item.done", "output_index": index, "item": self.output[index]}
        return [*told, done]

    def traced(self, call: Value) -> list[Value]:
        """A call of a tool that the agent has made, and what came of it."""
        ident = f"call_{self._ident}_{len(self.output)}"
        made = {
            "call_id": ident,
            "name": word(call.get("name"), "tool"),
            "arguments": _as_text(call.get("args")),
        }
        told = self.whole({"type": "function_call", **made, "status": "completed"})
        if "result" in call:
            took = {"ms": call["ms"]} if isinstance(call.get("ms"), int | float) else {}
            output = {"call_id": ident, "output": _as_text(call["result"]), **took}
            told += self.whole({"type": "function_call_output", **output})
        return told

    def whole(self, item: Value) -> list[Value]:
        """An item that begins and ends at once."""
        item = self._identified(item)
        place = {"output_index": len(self.output), "item": item}
        self.output.append(item)
        return [{"type": f"response.output_item.{moment}", **place} for moment in ("added", "done")]


def identified(value: Any, ident: str) -> Any:
    """A whole answer with an id for each item that lacks one; the same object where none does."""
    output = value.get("output") if isinstance(value, dict) else None
    if not isinstance(output, list) or all(not isinstance(item, dict) or item.get("id") for item in output):
        return value
    items = [
        item | {"id": f"{PREFIXES.get(word(item.get('type')), 'item')}_{ident}_{index}"}
        if isinstance(item, dict) and not item.get("id")
        else item
        for index, item in enumerate(output)
    ]
    return {"object": "response", "status": "completed"} | value | {"output": items}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else dumps({} if value is None else value).decode()
