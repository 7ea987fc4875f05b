"""A whole answer told as the events that a stream of it would have brought.

They are those that readers wait for: the recipe's hook and mlflow's clients read text deltas and finished
items, the AI SDK wants every item to begin, openai's `responses.stream()` the response and every part.
"""

from collections.abc import Iterator
from typing import Any, Final

from policies.chunks import chunks
from policies.loose import Value, dicts, member, text, word

PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
BEGUN: Final[dict[str, Value]] = {"message": {"content": []}, "reasoning": {"summary": []}}
ENDS: Final = {"failed": "response.failed", "incomplete": "response.incomplete"}  # else `response.completed`
EMPTY: Final[Value] = {"text": "", "refusal": "", "annotations": []}
CITED: Final = frozenset({"type", "url", "title", "start_index", "end_index"})


def told(value: Any, ident: str = "", at: int = 0) -> list[Value]:
    """The events of an answer, without `[DONE]`.

    `value` is the answer's JSON: a Responses object and a chat completion are told in their own tongues, any
    other value goes whole into one `response.completed`. Missing ids are made of `ident`; `at` is when it was
    answered, in seconds since 1970, where the answer itself does not say.
    """
    if isinstance(value, dict):
        if dicts(value.get("choices")):
            return list(chunks(value, ident, at))
        if isinstance(value.get("output"), list) and len(dicts(value["output"])) == len(value["output"]):
            return list(_events(value, ident, at))
        if value.get("error") not in (None, False, {}):
            return [value]  # an error in a stream looks like one outside
    return [{"type": "response.completed", "response": value}]


def says_nothing(value: Any) -> bool:
    """Whether a reader of this answer's events sees nothing: no text, no other item, no call of a tool."""
    if not isinstance(value, dict):
        return True
    messages = [member(choice, "message") for choice in dicts(value.get("choices"))]
    if any(text(m.get("content")) or m.get("tool_calls") or m.get("refusal") for m in messages):
        return False
    return all(item.get("type") == "message" and not any(deltas(item)) for item in dicts(value.get("output")))


def deltas(item: Value, index: int = 0) -> Iterator[Value]:
    """The text of a message, one delta for each part that has some."""
    for nth, part in enumerate(_parts(item)):
        yield from _delta(part, {"item_id": item.get("id"), "output_index": index, "content_index": nth})


def _events(value: Value, ident: str, at: int) -> Iterator[Value]:
    output = [_identified(item, f"{ident}_{nth}") for nth, item in enumerate(value["output"])]
    named = {"id": word(value.get("id"), f"resp_{ident}"), "object": "response"}
    status = word(value.get("status"), "completed")
    begun = {"created_at": value.get("created_at") or at, "model": word(value.get("model"))}
    yield {"type": "response.created", "response": named | begun | {"status": "in_progress", "output": []}}
    for index, item in enumerate(output):
        yield from _item(item, index)
    end: Value = {"type": ENDS.get(status, "response.completed")}
    end["response"] = value | named | {"status": status, "output": output}
    if "trace_id" in (metadata := member(value, "metadata")):
        end["trace_id"] = metadata["trace_id"]  # where readers of mlflow's streams look for it
    yield end


def _item(item: Value, index: int) -> Iterator[Value]:
    begun = item | BEGUN.get(item["type"], {})
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    where = {"item_id": item["id"], "output_index": index}
    for nth, part in enumerate(_parts(item)):
        place = where | {"content_index": nth}
        empty = part | {key: nothing for key, nothing in EMPTY.items() if key in part}
        yield {"type": "response.content_part.added", **place, "part": empty}
        yield from _delta(part, place)
        cited = [note for note in dicts(part.get("annotations")) if note.keys() >= CITED]
        for number, note in enumerate(cited):
            said = {"annotation_index": number, "annotation": note}
            yield {"type": "response.output_text.annotation.added", **place, **said}
    for nth, part in enumerate(dicts(item.get("summary"))):
        place = where | {"summary_index": nth}
        yield {"type": "response.reasoning_summary_part.added", **place, "part": part | {"text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": word(part.get("text"))}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _delta(part: Value, place: Value) -> Iterator[Value]:
    kind, key = ("refusal", "refusal") if part.get("type") == "refusal" else ("output_text", "text")
    if said := word(part.get(key)):
        yield {"type": f"response.{kind}.delta", **place, "delta": said}


def _identified(item: Value, ident: str) -> Value:
    """The item with what readers of streams insist on: a type, an id, the state of a call, parts of a message."""
    kind = word(item.get("type"), "message" if "content" in item else "item")
    item = item | {"type": kind, "id": word(item.get("id"), f"{PREFIXES.get(kind, kind)}_{ident}")}
    if kind == "function_call":
        return item | {"status": word(item.get("status"), "completed")}
    if kind == "message":
        return item | {"role": word(item.get("role"), "assistant"), "content": _parts(item)}
    return item


def _parts(item: Value) -> list[Value]:
    content = item.get("content") if item.get("type") == "message" else None
    if isinstance(content, str):
        return [{"type": "output_text", "text": content, "annotations": []}]
    return dicts(content)
