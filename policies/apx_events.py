"""An apx agent's answer, told as a Responses agent would have told it: its stream event by event, or whole.

Its frames are told apart by their names, and their data has no `type`:

    response.output_item.start {item_id, trace_id}   →  response.output_item.added, response.content_part.added
    output_text.delta {item_id, text}                →  response.output_text.delta
    tool.trace [{name, args, result, ms}, …]         →  a function_call and its function_call_output, finished
    response.output_item.done {item_id, output}      →  response.output_item.done
    custom_outputs {…}                               →  `custom_outputs` of response.completed
    error {item_id, error}                           →  Refusal 502 `agent_error`
    span.start, span.end                             →  nothing: they speak to the agent's developers

The end of the stream is its end: it is whole if a message was finished and none was left open. Today's
agents send Responses events, whose data has a `type` and whose frames have no name (see `policies.apx_typed`); only
`[DONE]` is missing behind them.
"""

from typing import Any

from policies.apx_items import Items
from policies.apx_typed import Typed
from policies.loose import Value, dicts, member, word
from policies.refusal import Refusal


class Answer:
    """Takes the events of one stream in order; each gives the events to tell, `end` the last ones.

    `ident` makes ids unique, `at` is when it was answered (seconds since 1970). Refusal 502: `agent_error` where
    the agent says that it failed, `truncated` by `end` where no message was finished.
    """

    def __init__(self, ident: str, at: int) -> None:
        self._ident, self._at = ident, at
        self._items, self._typed = Items(ident), Typed()
        self._begun = self._finished = False
        self._beside: Value = {}

    def hear(self, value: Any, name: str | None) -> list[Value]:
        """`value` is the JSON of one event's data, `name` what its frame is called."""
        kind = _kind(value, name)
        said: Value = value if isinstance(value, dict) else {}
        if kind in ("error", "failed"):
            raise Refusal(502, "agent_error", detail=_failure(said), quotes=True)
        if word(said.get("type")).startswith("response."):
            return self._typed.hear(said)
        told = self._told(kind, value, said)
        if told is None:
            return []
        begun, self._begun = self._begun, True
        return told if begun else [self._created(), *told]

    def _told(self, kind: str, value: Any, said: Value) -> list[Value] | None:
        """None where the event says nothing to a reader."""
        ident, items = word(said.get("item_id")), self._items
        match kind:
            case "output_item.start" | "output_item.added":
                if trace := word(said.get("trace_id")):
                    self._beside["metadata"] = {"trace_id": trace}
                return items.opened(ident)
            case "output_text.delta":
                return items.delta(ident, word(said.get("text")) or word(said.get("delta")))
            case "output_item.done":
                item = member(said, "output") or member(said, "item")
                self._finished = self._finished or item.get("type", "message") == "message"
                return items.finished(ident, item)
            case "tool.trace":
                calls = dicts(value if isinstance(value, list) else [value])
                return [event for call in calls for event in items.traced(call)]
            case "custom_outputs":
                self._beside["custom_outputs"] = self._beside.get("custom_outputs", {}) | said
                return []
        return None

    def end(self) -> list[Value]:
        """The event that closes the stream, where the agent itself does not send it."""
        if self._typed.ended:
            return self._typed.held
        if self._items.unfinished or not self._finished:
            detail = "The agent's stream ended before `response.output_item.done`."
            raise Refusal(502, "truncated", detail=detail)
        response = self._response("completed") | {"output": self._items.output} | self._beside
        traced = member(self._beside, "metadata")  # where readers of mlflow's streams look for it
        return [{"type": "response.completed", "response": response} | traced]

    def _response(self, status: str) -> Value:
        about = {"id": f"resp_{self._ident}", "object": "response", "created_at": self._at, "model": ""}
        return about | {"status": status, "output": []}

    def _created(self) -> Value:
        return {"type": "response.created", "response": self._response("in_progress")}


def _kind(value: Any, name: str | None) -> str:
    """What an event is. Not every agent names its frames, and some data says it itself."""
    said = value.get("type") if isinstance(value, dict) else None
    if kind := (name or word(said)).removeprefix("response."):
        return kind if kind != "message" or not isinstance(value, dict) else _guessed(value)
    return _guessed(value) if isinstance(value, dict) else ""


def _guessed(value: Value) -> str:
    if value.get("error") not in (None, False, {}):
        return "error"
    return "output_text.delta" if word(value.get("text")) or word(value.get("delta")) else ""


def _failure(said: Value) -> str:
    """Why it failed, in the agent's words; where it names a kind of error beside them, the words."""
    said = member(said, "response") or said
    why = word(member(said, "error").get("message")) or word(said.get("message")) or word(said.get("error"))
    return why[:1000] or "The agent gave no reason."
