"""What a reader that knows nothing but deltas misses of a stream: text that came in finished items alone."""

from typing import Any, Final

from policies.loose import Value, dicts, member, word
from policies.synthesis import deltas

DELTAS: Final = ("response.output_text.delta", "response.refusal.delta")
ITEM: Final = "response.output_item.done"
ENDS: Final = ("response.completed", "response.incomplete")


class Legible:
    """Follows the events of one stream. Agents' ids are not to be relied on: a delta since the last finished
    message counts for the next one, whatever it is called."""

    __slots__ = ("_fresh", "_ids", "_spoke")

    def __init__(self) -> None:
        self._ids: set[str] = set()  # of items that were told in deltas
        self._fresh = False  # there was a delta since the last finished message
        self._spoke = False

    def nothing(self, value: Any) -> bool:
        """Whether there is nothing to tell before this event, whatever it says; else it is for `missing`."""
        kind = value.get("type") if isinstance(value, dict) else None
        if kind in DELTAS:
            self._fresh = self._spoke = True
            self._ids.add(word(value.get("item_id")))
            return True
        return kind != ITEM and kind not in ENDS

    def missing(self, value: Any) -> list[Value]:
        """The deltas to tell before this event."""
        if self.nothing(value):
            return []
        said: list[Value] = []
        if value["type"] in ENDS:
            if not self._spoke:
                output = dicts(member(value, "response").get("output"))
                said = [delta for index, item in enumerate(output) for delta in deltas(item, index)]
        elif (item := member(value, "item")).get("type") == "message":
            if not self._fresh and word(item.get("id")) not in self._ids:
                said = list(deltas(item, value.get("output_index", 0)))
            self._fresh = False
        self._spoke = self._spoke or bool(said)
        return said
