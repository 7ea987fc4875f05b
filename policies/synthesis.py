"""A whole answer told as the events that a stream of it would have brought.

They are those that readers wait for: the recipe's hook and mlflow's clients read text deltas and finished
items, the AI SDK wants every item to begin, openai's `responses.stream()` the response and every part.
"""

from collections.abc import Iterator
from typing import Any, Final

Value = dict[str, Any]

PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
BEGUN: Final[dict[str, Value]] = {"message": {"content": []}, "reasoning": {"summary": []}}
ENDS: Final = {"failed": "response.failed", "incomplete": "response.incomplete"}  # else `response.completed`
CHUNK: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


def told(value: Any, ident: str = "", at: int = 0) -> list[Value]:
    """The events of an answer, without `[DONE]`.

    `value` is the answer's JSON: a Responses object and a chat completion are told in their own tongues, any
    other value goes whole into one `response.completed`. Missing ids are made of `ident`; `at` is when it was
    answered, in seconds since 1970, where the answer itself does not say.
    """
    if isinstance(value, dict):
        if dicts(value.get("choices")):
            return list(_chunks(value, ident, at))
        if isinstance(value.get("output"), list) and len(dicts(value["output"])) == len(value["output"]):
            return list(_events(value, ident, at))
    return [{"type": "response.completed", "response": value}]


def says_nothing(value: Any) -> bool:
    """Whether a reader of this answer's events sees nothing: no text, no other item, no call of a tool."""
    if not isinstance(value, dict):
        return True
    messages = dicts([choice.get("message") for choice in dicts(value.get("choices"))])
    if any(text(m.get("content")) or m.get("tool_calls") or m.get("refusal") for m in messages):
        return False
    return all(item.get("type") == "message" and not any(deltas(item)) for item in dicts(value.get("output")))


def deltas(item: Value, index: int = 0) -> Iterator[Value]:
    """The text of a message, one delta for each part that has some."""
    for nth, part in enumerate(_parts(item)):
        kind = "refusal" if part.get("type") == "refusal" else "output_text"
        said = part.get("refusal" if kind == "refusal" else "text")
        if isinstance(said, str) and said:
            where = {"item_id": item.get("id"), "output_index": index, "content_index": nth}
            yield {"type": f"response.{kind}.delta", **where, "delta": said}


def text(content: Any) -> str:
    """The text of a chat message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in dicts(content) if isinstance(part.get("text"), str))


def dicts(value: Any) -> list[Value]:
    """The objects of a list; none where it is no list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _events(value: Value, ident: str, at: int) -> Iterator[Value]:
    output = [_identified(item, f"{ident}_{nth}") for nth, item in enumerate(value["output"])]
    status = value.get("status") or "completed"
    response = value | {"id": value.get("id") or f"resp_{ident}", "object": "response", "status": status}
    response["output"] = output
    begun = {
        "object": "response",
        "created_at": value.get("created_at") or at,
        "model": value.get("model") or "",
    }
    yield {
        "type": "response.created",
        "response": {"id": response["id"], **begun, "status": "in_progress", "output": []},
    }
    for index, item in enumerate(output):
        yield from _item(item, index)
    metadata = value.get("metadata")
    if isinstance(metadata, dict) and "trace_id" in metadata:
        yield {"trace_id": metadata["trace_id"]}  # as mlflow puts it into its streams
    yield {"type": ENDS.get(status, "response.completed"), "response": response}


def _item(item: Value, index: int) -> Iterator[Value]:
    begun = item | BEGUN.get(item["type"], {})
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    where = {"item_id": item["id"], "output_index": index}
    for nth, part in enumerate(_parts(item)):
        empty = part | {key: "" for key in ("text", "refusal") if key in part}
        yield {"type": "response.content_part.added", **where, "content_index": nth, "part": empty}
    yield from deltas(item, index)
    for nth, part in enumerate(dicts(item.get("summary"))):
        said = where | {"summary_index": nth}
        yield {"type": "response.reasoning_summary_part.added", **said, "part": part | {"text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **said, "delta": part.get("text") or ""}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _identified(item: Value, ident: str) -> Value:
    kind = item.get("type") or ("message" if "content" in item else "item")
    item = item | {"type": kind, "id": item.get("id") or f"{PREFIXES.get(kind, kind)}_{ident}"}
    return (
        item | {"role": item.get("role") or "assistant", "content": _parts(item)}
        if kind == "message"
        else item
    )


def _parts(item: Value) -> list[Value]:
    content = item.get("content") if item.get("type") == "message" else None
    if isinstance(content, str):
        return [{"type": "output_text", "text": content, "annotations": []}]
    return dicts(content)


def _chunks(value: Value, ident: str, at: int) -> Iterator[Value]:
    head = {"id": f"chatcmpl-{ident}", "created": at, "model": ""} | {
        k: value[k] for k in CHUNK if k in value
    }
    head["object"] = "chat.completion.chunk"
    for nth, choice in enumerate(dicts(value["choices"])):
        index = choice.get("index", nth)
        for delta in _chat_deltas(*dicts([choice.get("message")])):
            yield head | {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        end = choice | {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
        end.pop("message", None)
        yield head | {"choices": [end]}
    if rest := {k: v for k, v in value.items() if k not in CHUNK and k != "choices" and v is not None}:
        yield head | {"choices": []} | rest  # usage, and whatever else the answer had


def _chat_deltas(message: Value | None = None) -> Iterator[Value]:
    message = message or {}
    calls = dicts(message.get("tool_calls"))
    rest = {k: v for k, v in message.items() if k not in ("role", "content", "tool_calls") and v is not None}
    if said := text(message.get("content")) or not calls or rest:
        yield {
            "role": message.get("role") or "assistant",
            "content": said if isinstance(said, str) else "",
        } | rest
    for index, call in enumerate(calls):
        yield {"role": "assistant", "tool_calls": [{"index": index} | call]}
