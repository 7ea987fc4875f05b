"""What a reader that knows nothing but deltas misses of a stream: text that came in finished items alone."""

from typing import Any, Final

from policies.synthesis import Value, deltas, dicts

DELTAS: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
ENDS: Final = frozenset({"response.completed", "response.incomplete"})


class Legible:
    """Follows one stream of Responses events. Agents' ids are not to be relied on: a delta since the last
    finished message counts for the next one, whatever it is called."""

    __slots__ = ("_fresh", "_ids", "_spoke")

    def __init__(self) -> None:
        self._ids: set[Any] = set()  # of items that were told in deltas
        self._fresh = False  # there was a delta since the last finished message
        self._spoke = False

    def missing(self, value: Any) -> list[Value]:
        """The deltas to tell before this event."""
        kind = value.get("type") if isinstance(value, dict) else None
        said: list[Value] = []
        if kind in DELTAS:
            self._fresh = self._spoke = True
            if isinstance(value.get("item_id"), str):
                self._ids.add(value["item_id"])
        elif kind == "response.output_item.done":
            for item in dicts([value.get("item")]):
                if item.get("type") == "message":
                    known, self._fresh = self._fresh or item.get("id") in self._ids, False
                    said = [] if known else list(deltas(item, value.get("output_index", 0)))
        elif kind in ENDS and not self._spoke:
            for response in dicts([value.get("response")]):
                for index, item in enumerate(dicts(response.get("output"))):
                    said += deltas(item, index)
        self._spoke = self._spoke or bool(said)
        return said
