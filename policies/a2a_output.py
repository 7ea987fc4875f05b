"""The output of a Responses answer as it grows: messages that are told in deltas, thoughts, and other items."""

from typing import Final

from policies.loose import Value
from policies.refusal import Refusal

JOINT: Final = "\n\n"  # between a text that no longer holds and the one that does
LARGEST: Final = 64 << 20  # characters of an answer, which is told whole once more at its end


class Output:
    """Tells an answer event by event. `ident` makes ids unique, `at` is when it began (seconds since 1970).

    Refusal 502 `agent_too_large` beyond 64 Mi characters.
    """

    __slots__ = ("_at", "_begun", "_ident", "_items", "_open", "_size")

    def __init__(self, ident: str, at: int) -> None:
        self._ident, self._at = ident, at
        self._begun = False
        self._items: list[Value] = []  # by output_index
        self._open: dict[str, tuple[int, list[str]]] = {}  # a message's key → its index, its text in pieces
        self._size = 0

    def said(self, key: str) -> str:
        """The text of a message so far."""
        return "".join(self._open[key][1]) if key in self._open else ""

    @property
    def text(self) -> str:
        """All that was said, as it holds now."""
        return "".join(piece for _, pieces in self._open.values() for piece in pieces)

    def begin(self) -> list[Value]:
        if self._begun:
            return []
        self._begun = True
        return [{"type": "response.created", "response": self._response("in_progress") | {"output": []}}]

    def add(self, key: str, more: str) -> list[Value]:
        """A message goes on."""
        if not more:
            return []
        told = self._opened(key)
        index, pieces = self._open[key]
        pieces.append(more)
        return [*told, self._delta(index, more)]

    def say(self, key: str, whole: str) -> list[Value]:
        """A message says this now, in all; told is what of it was not told yet.

        Where it says something else than before, readers of deltas get the new text behind the old one; in the
        finished message stands the new one alone.
        """
        before = self.said(key)
        if whole.startswith(before):
            return self.add(key, whole[len(before) :])
        index, _ = self._open[key]
        self._open[key] = index, [whole]
        return [self._delta(index, JOINT + whole)]

    def think(self, text: str) -> list[Value]:
        """What the agent says of its work, and is no answer."""
        item = self._item("rs", {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]})
        index = len(self._items)
        self._items.append(item)
        place = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        part = {"type": "summary_text", "text": ""}
        return [
            *self.begin(),
            {"type": "response.output_item.added", "output_index": index, "item": item | {"summary": []}},
            {"type": "response.reasoning_summary_part.added", **place, "part": part},
            {"type": "response.reasoning_summary_text.delta", **place, "delta": text},
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]

    def show(self, item: Value) -> list[Value]:
        """An item that begins and ends at once."""
        item = self._item("item", item)
        place = {"output_index": len(self._items), "item": item}
        self._items.append(item)
        moments = ("added", "done")
        return [*self.begin(), *({"type": f"response.output_item.{moment}", **place} for moment in moments)]

    def end(self, status: str, beside: Value) -> list[Value]:
        """Every message finished, and the answer closed: `completed` or `incomplete`."""
        told = self.begin()
        for index, pieces in self._open.values():
            part = {"type": "output_text", "text": "".join(pieces), "annotations": []}
            item = self._items[index] | {"status": "completed", "content": [part]}
            self._items[index] = item
            told.append({"type": "response.output_item.done", "output_index": index, "item": item})
        response = self._response(status) | {"output": self._items} | beside
        return [*told, {"type": f"response.{status}", "response": response}]

    def _opened(self, key: str) -> list[Value]:
        if key in self._open:
            return []
        index = len(self._items)
        about = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        item = self._item("msg", about)
        self._items.append(item)
        self._open[key] = index, []
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            *self.begin(),
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.content_part.added", **self._place(index), "part": part},
        ]

    def _delta(self, index: int, said: str) -> Value:
        self._size += len(said)
        if self._size > LARGEST:
            detail = f"The agent's answer is larger than {LARGEST} characters."
            raise Refusal(502, "agent_too_large", detail=detail)
        return {"type": "response.output_text.delta", **self._place(index), "delta": said}

    def _place(self, index: int) -> Value:
        return {"item_id": self._items[index]["id"], "output_index": index, "content_index": 0}

    def _item(self, prefix: str, item: Value) -> Value:
        return {"type": item["type"], "id": f"{prefix}_{self._ident}_{len(self._items)}"} | item

    def _response(self, status: str) -> Value:
        about = {"id": f"resp_{self._ident}", "object": "response", "created_at": self._at, "model": ""}
        return about | {"status": status}
