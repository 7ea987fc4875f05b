"""The output of a Responses answer, as it grows in a stream."""

from policies.loose import Value, text


class Items:
    """Items in the order in which they were finished; a message that never was stands where it began."""

    __slots__ = ("_growing", "_output")

    def __init__(self) -> None:
        self._output: list[Value | list[str]] = []  # what is a list are the deltas of a message
        self._growing: dict[str | None, list[str]] = {}  # the same by the message's id

    def delta(self, ident: str | None, said: str) -> None:
        if ident not in self._growing:
            self._growing[ident] = []
            self._output.append(self._growing[ident])
        self._growing[ident].append(said)

    def finished(self, item: Value) -> None:
        """Its text is all of it: the deltas that brought it are forgotten, whatever the agent called them."""
        if item.get("type") == "message":
            whole = text(item.get("content"))
            for ident, pieces in self._growing.items():
                if ident is None or ident == item.get("id") or "".join(pieces) == whole:
                    del self._growing[ident]
                    self._output = [other for other in self._output if other is not pieces]
                    break
        self._output.append(item)

    def output(self) -> list[Value]:
        idents = {id(pieces): ident for ident, pieces in self._growing.items()}
        return [
            _message(idents[id(item)], "".join(item)) if isinstance(item, list) else item
            for item in self._output
        ]


def _message(ident: str | None, said: str) -> Value:
    named = {} if ident is None else {"id": ident}
    content = [{"type": "output_text", "text": said, "annotations": []}]
    return {"type": "message", **named, "role": "assistant", "content": content}
