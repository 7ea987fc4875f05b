"""Responses events of an apx agent, which pass as they are, but for one mistake of its.

What a tool gave back comes as a delta of text before it comes as the tool's result, and would stand in the answer as if
it had been said. Therefore the first delta of each item waits for the next event, which shows what it is of.
"""

from typing import Final

from policies.loose import Value, member, word

DELTA: Final = "response.output_text.delta"
ENDS: Final = frozenset({"response.completed", "response.incomplete"})


class Typed:
    """`ended`: the agent has said that this is all. What is `held` then is the last to tell."""

    __slots__ = ("_known", "ended", "held")

    def __init__(self) -> None:
        self.ended = False
        self.held: list[Value] = []
        self._known: set[str] = set()  # ids of items that had a delta

    def hear(self, value: Value) -> list[Value]:
        held, self.held = self.held, []
        if held and _is_result(value, of=held[0]):
            held = []
        ident = word(value.get("item_id"))
        if value["type"] == DELTA and ident not in self._known:
            self._known.add(ident)
            self.held = [value]
            return held
        self.ended = self.ended or value["type"] in ENDS
        return [*held, value]


def _is_result(value: Value, *, of: Value) -> bool:
    """Whether an event is the finished result of a tool, of which this delta was the text."""
    result = member(value, "item").get("type") == "function_call_output"
    return result and value.get("output_index") == of.get("output_index")
