"""The output of a Responses answer, as it grows in a stream."""

from policies.synthesis import Value, text


class Items:
    """Items in the order in which they were finished; a message that never was stands where it began."""

    __slots__ = ("_growing", "_output")

    def __init__(self) -> None:
        self._output: list[Value] = []
        self._growing: dict[str | None, list[str]] = {}  # id → deltas of a message that is not finished

    def delta(self, ident: str | None, said: str) -> None:
        if ident not in self._growing:
            self._growing[ident] = []
            self._output.append({"type": "message", "id": ident, "role": "assistant"})
        self._growing[ident].append(said)

    def finished(self, item: Value) -> None:
        """Its text is all of it: the deltas that brought it before are forgotten."""
        if item.get("type") == "message" and self._growing:
            whole = text(item.get("content"))
            for ident, pieces in self._growing.items():
                if ident is None or ident == item.get("id") or "".join(pieces) == whole:
                    del self._growing[ident]
                    self._output = [other for other in self._output if not _is(other, ident)]
                    break
        self._output.append(item)

    def output(self) -> list[Value]:
        return [self._told(item) for item in self._output]

    def _told(self, item: Value) -> Value:
        if "content" in item or item.get("id") not in self._growing:
            return item
        whole = "".join(self._growing[item["id"]])
        named = item if item["id"] is not None else {k: v for k, v in item.items() if k != "id"}
        return named | {"content": [{"type": "output_text", "text": whole, "annotations": []}]}


def _is(item: Value, ident: str | None) -> bool:
    return "content" not in item and item.get("type") == "message" and item.get("id") == ident
