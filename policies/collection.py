"""A stream folded back into the one JSON answer that it would have been."""

from typing import Any, Final

from policies.chunks import Chunks
from policies.items import Items
from policies.loose import Value, member, word
from policies.refusal import Refusal

ENDS: Final = frozenset({"response.completed", "response.incomplete"})
OPENINGS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


class Collected:
    """Takes the events of one stream in order; `value()` is the answer.

    `add` raises Refusal 502 `agent_error` at an error inside the stream, with its message as the detail;
    `value` raises 502 `truncated` where no end was met. Text is that of the finished items; where a message
    was never finished, that of its deltas.
    """

    __slots__ = ("_chunks", "_ended", "_extra", "_items", "_others", "_response")

    def __init__(self) -> None:
        self._ended = False
        self._items = Items()
        self._chunks = Chunks()
        self._response: Value = {}
        self._extra: dict[str, Value] = {}  # what mlflow puts beside or between the events
        self._others: list[Value] = []

    def done(self) -> None:
        """`[DONE]` was met."""
        self._ended = True

    def add(self, value: Any, name: str | None = None) -> None:
        """One event: its JSON value, and its frame's name, which counts where the value has no `type`."""
        if not isinstance(value, dict):
            return
        kind = str(value.get("type") or name or "")
        if (failure := _failure(value, kind)) is not None:
            why = failure[:1000] or "The agent gave no reason."
            raise Refusal(502, "agent_error", detail=why, quotes=True)
        self._beside(value)
        if isinstance(value.get("choices"), list):
            self._chunks.add(value)
        elif kind == "response.output_text.delta":
            self._items.delta(word(value.get("item_id")) or None, word(value.get("delta")))
        elif kind == "response.output_item.done":
            if item := member(value, "item"):
                self._items.finished(item)
        elif kind in ENDS or kind in OPENINGS:
            self._ended = self._ended or kind in ENDS
            self._response = member(value, "response") or self._response
        elif not kind.startswith("response.") and set(value) - {"trace_id", "custom_outputs"}:
            self._others.append(value)

    def value(self) -> Any:
        """The answer, now that the stream is over."""
        if not (self._ended or self._chunks.ended):
            raise Refusal(502, "truncated", detail="The agent's stream ended without its closing mark.")
        if self._chunks:
            return self._with_extra(self._chunks.value())
        output: Any = self._items.output()
        if self._others and not (output or self._response):
            return self._only_other()
        answer: Value = {"object": "response"} | self._response
        answer["output"] = self._response.get("output") or output
        return self._with_extra(answer)

    def _beside(self, value: Value) -> None:
        if custom := member(value, "custom_outputs"):
            self._extra["custom_outputs"] = self._extra.get("custom_outputs", {}) | custom
        if "trace_id" in value:
            self._extra["metadata"] = {"trace_id": value["trace_id"]}

    def _with_extra(self, answer: Value) -> Value:
        return answer | {key: part | member(answer, key) for key, part in self._extra.items()}

    def _only_other(self) -> Value:
        if len(self._others) > 1:
            detail = f"{len(self._others)} events of no known kind cannot be told as one JSON answer."
            raise Refusal(
                502, "agent_protocol_error", detail=detail, hint="Ask for a stream: `stream: true`."
            )
        return self._others[0]


def _failure(value: Value, kind: str) -> str | None:
    """What an error says; None where the event is none."""
    if kind == "response.failed":
        value = member(value, "response")
    elif kind != "error" and ("type" in value or value.get("error") in (None, False, {})):
        return None
    return (
        word(member(value, "error").get("message")) or word(value.get("message")) or word(value.get("error"))
    )
