"""An apx agent's answer, told as a Responses agent would have told it: its stream event by event, or whole.

Its frames are told apart by their names, and their data has no `type`:

    response.output_item.start {item_id, trace_id}   →  response.output_item.added, response.content_part.added
    output_text.delta {item_id, text}                →  response.output_text.delta
    tool.trace [{name, args, result, ms}, …]         →  a function_call and its function_call_output, finished
    response.output_item.done {item_id, output}      →  response.output_item.done
    custom_outputs {…}                               →  `custom_outputs` of response.completed
    error {item_id, error}                           →  Refusal 502 `agent_error`
    span.start, span.end                             →  nothing: they speak to the agent's developers

The end of the stream is its end: it is whole if a message was finished and none was left open. Its ids are the
same in every answer (`msg_001`), so others are made. Today's agents send Responses events, whose data has a `type`
and whose frames have no name; these pass as they are, and only `[DONE]` is missing behind them. One of them is a
mistake: what a tool gave back comes as a delta of text first, and would stand in the answer as if it had been said.
"""

from typing import Any, Final

from policies.json_exact import dumps
from policies.loose import Value, dicts, member, text, word
from policies.refusal import Refusal

SILENT: Final = frozenset({"span.start", "span.end", "created", "in_progress", "content_part.added"})
ENDS: Final = frozenset({"response.completed", "response.incomplete"})
PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


class Answer:
    """Takes the events of one stream in order; each gives the events to tell, `end` the last one.

    `ident` makes ids unique, `at` is when it was answered (seconds since 1970). Refusal 502: `agent_error` where
    the agent says that it failed, `truncated` by `end` where no message was finished.
    """

    def __init__(self, ident: str, at: int) -> None:
        self._ident, self._at = ident, at
        self._begun = self._finished = self._typed = False
        self._output: list[Value] = []  # by output_index; what is not finished is the item as it began
        self._open: dict[str, int] = {}  # agent's id of a message → its index
        self._said: set[int] = set()  # messages of which a delta was told
        self._beside: Value = {}
        self._first: Value | None = None  # delta of an item, held until the next event shows what it is of

    def hear(self, value: Any, name: str | None) -> list[Value]:
        """`value` is the JSON of one event's data, `name` what its frame is called."""
        kind = _kind(value, name)
        if name is None and isinstance(value, dict) and word(value.get("type")).startswith("response."):
            return self._passed(value)
        if kind in SILENT or not kind:
            return []
        told: list[Value] = [] if self._begun else [self._created()]
        said: Value = value if isinstance(value, dict) else {}
        match kind:
            case "error" | "failed":
                raise Refusal(502, "agent_error", detail=_failure(value), quotes=True)
            case "output_item.start" | "output_item.added":
                if trace := word(said.get("trace_id")):
                    self._beside["metadata"] = {"trace_id": trace}
                told += self._opened(word(said.get("item_id")))
            case "output_text.delta":
                told += self._delta(
                    word(said.get("item_id")), word(said.get("text")) or word(said.get("delta"))
                )
            case "output_item.done":
                told += self._done(word(said.get("item_id")), member(said, "output") or member(said, "item"))
            case "tool.trace":
                for call in dicts(value if isinstance(value, list) else [value]):
                    told += self._traced(call)
            case "custom_outputs":
                self._beside["custom_outputs"] = self._beside.get("custom_outputs", {}) | said
            case "completed":
                self._finished = True
            case _:
                return []
        self._begun = True
        return told

    def _passed(self, value: Value) -> list[Value]:
        """An event that is one of Responses already."""
        self._typed = True
        held, self._first = self._first, None
        if value["type"] == "response.output_text.delta" and word(value.get("item_id")) not in self._open:
            self._open[word(value.get("item_id"))] = 0
            self._first = value
            return [held] if held else []
        return [held, *self._counted(value)] if held and not _gave_back(held, value) else self._counted(value)

    def _counted(self, value: Value) -> list[Value]:
        if value["type"] == "response.failed":
            raise Refusal(502, "agent_error", detail=_failure(member(value, "response")), quotes=True)
        self._finished = self._finished or value["type"] in ENDS
        return [value]

    def end(self) -> list[Value]:
        """The event that closes the stream, where the agent itself does not send it."""
        if self._typed and self._finished:
            return [self._first] if self._first else []
        if self._open or not self._finished:
            detail = "The agent's stream ended before `response.output_item.done`."
            raise Refusal(502, "truncated", detail=detail)
        response = self._response("completed") | {"output": self._output} | self._beside
        traced = member(self._beside, "metadata")  # where readers of mlflow's streams look for it
        return [{"type": "response.completed", "response": response} | traced]

    def _response(self, status: str) -> Value:
        about = {"id": f"resp_{self._ident}", "object": "response", "created_at": self._at, "model": ""}
        return about | {"status": status, "output": []}

    def _created(self) -> Value:
        return {"type": "response.created", "response": self._response("in_progress")}

    def _named(self, item: Value) -> Value:
        kind = item["type"]
        return item | {"id": f"{PREFIXES.get(kind, kind)}_{self._ident}_{len(self._output)}"}

    def _opened(self, ident: str) -> list[Value]:
        if ident in self._open:
            return []
        index = self._open[ident] = len(self._output)
        item = self._named({"type": "message", "role": "assistant", "status": "in_progress", "content": []})
        self._output.append(item)
        part = {"type": "output_text", "text": "", "annotations": []}
        place = {"item_id": item["id"], "output_index": index, "content_index": 0}
        return [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.content_part.added", **place, "part": part},
        ]

    def _delta(self, ident: str, said: str) -> list[Value]:
        if not said:
            return []
        told = self._opened(ident)
        index = self._open[ident]
        self._said.add(index)
        place = {"item_id": self._output[index]["id"], "output_index": index, "content_index": 0}
        return [*told, {"type": "response.output_text.delta", **place, "delta": said}]

    def _done(self, ident: str, item: Value) -> list[Value]:
        if item.get("type", "message") != "message":
            return self._whole(item)
        told = self._opened(ident)
        index = self._open[ident]
        said = text(item.get("content"))
        if index not in self._said:
            told += self._delta(ident, said)
        del self._open[ident]
        self._finished = True
        content = item.get("content")
        if not isinstance(content, list):
            content = [{"type": "output_text", "text": said, "annotations": []}]
        about = {"type": "message", "role": "assistant", "status": "completed"}
        told_id = {"id": self._output[index]["id"], "content": content}
        self._output[index] = about | {k: v for k, v in item.items() if v is not None} | told_id
        done = {"type": "response.output_item.done", "output_index": index, "item": self._output[index]}
        return [*told, done]

    def _traced(self, call: Value) -> list[Value]:
        """A call of a tool that the agent has made, and what came of it."""
        ident = f"call_{self._ident}_{len(self._output)}"
        made = {
            "call_id": ident,
            "name": word(call.get("name"), "tool"),
            "arguments": _as_text(call.get("args")),
        }
        told = self._whole({"type": "function_call", **made, "status": "completed"})
        if "result" in call:
            took = {"ms": call["ms"]} if isinstance(call.get("ms"), int | float) else {}
            output = {"call_id": ident, "output": _as_text(call["result"]), **took}
            told += self._whole({"type": "function_call_output", **output})
        return told

    def _whole(self, item: Value) -> list[Value]:
        """An item that begins and ends at once."""
        item = self._named(item)
        place = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        return [{"type": f"response.output_item.{moment}", **place} for moment in ("added", "done")]


def whole(value: Any, ident: str) -> Any:
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


def _gave_back(delta: Value, value: Value) -> bool:
    """Whether an event is the finished result of a tool, of which this delta was the text."""
    item = member(value, "item")
    return item.get("type") == "function_call_output" and value.get("output_index") == delta.get(
        "output_index"
    )


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


def _failure(value: Any) -> str:
    """Why it failed, in the agent's words; where it names a kind of error beside them, the words."""
    said = value if isinstance(value, dict) else {}
    why = word(member(said, "error").get("message")) or word(said.get("message")) or word(said.get("error"))
    return why[:1000] or "The agent gave no reason."


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else dumps({} if value is None else value).decode()
