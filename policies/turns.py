"""The turns of a conversation, `messages` of a chat ↔ items of a Responses `input`.

    {role: system|developer|user|assistant, content}    ↔  {role, content}
    {role: tool, tool_call_id, content}                 ↔  {type: function_call_output, call_id, output}
    each of tool_calls {id, function: {name, …}}        ↔  {type: function_call, call_id, name, arguments}
    refusal: "…"                                        →  a part of type refusal

Order is kept, unknown fields stay where they were. A message with `tool_calls` and no text is its calls only;
calls behind an assistant's message belong to that message. Values are read, never changed.
"""

from typing import Any, Final

from policies.parts import Json, Unsayable, as_chat, as_items, with_rest
from policies.refusal import Refusal

ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_OF_A_CHAT: Final = frozenset({"tool_calls", "refusal", "function_call", "audio"})  # null says nothing


def items(messages: list[Any]) -> list[Json]:
    """A chat's messages as items. Raises Refusal 400 `unsupported_content`, `index` saying where."""
    told: list[Json] = []
    for index, message in enumerate(messages):
        try:
            told += _items(message)
        except Unsayable as no:
            raise _refusal("messages", index, no) from None
    return told


def messages(items: list[Any]) -> list[Json]:
    """Items as a chat's messages. Raises Refusal 400 `unsupported_content`, `index` saying where."""
    told: list[Json] = []
    for index, item in enumerate(items):
        try:
            if isinstance(item, dict) and item.get("type") == "function_call":
                _assistants_last(told).setdefault("tool_calls", []).append(_call_of(item))
            else:
                told.append(_message(item))
        except Unsayable as no:
            raise _refusal("input", index, no) from None
    return told


def _items(message: Json) -> list[Json]:
    match message:
        case {"role": str(role), "content": str()} if role in ROLES and _OF_A_CHAT.isdisjoint(message):
            return [message]  # most are: the same in both shapes
        case {"role": str(role), **rest} if role in ROLES:
            return _spoken(role, rest)
        case {"role": "tool", "tool_call_id": str(call), "content": content, **rest}:
            output = as_items(content, "tool")
            return [with_rest({"type": "function_call_output", "call_id": call, "output": output}, rest)]
    raise Unsayable("a message without a known role, or a tool's without `tool_call_id` and `content`")


def _spoken(role: str, rest: Json) -> list[Json]:
    calls, refusal = rest.pop("tool_calls", None) or [], rest.pop("refusal", None)
    if not isinstance(calls, list) or not isinstance(refusal, str | None):
        raise Unsayable("a message whose `tool_calls` are no list, or whose `refusal` is no text")
    if rest.pop("function_call", None) is not None or rest.pop("audio", None) is not None:
        raise Unsayable("a message with `function_call` or `audio`")
    if not calls and not refusal and "content" not in rest:
        raise Unsayable("a message without `content`")
    content = as_items(rest.pop("content", None), role)
    if refusal:
        said = [{"type": "output_text", "text": content}] if isinstance(content, str) and content else content
        content = [*said, {"type": "refusal", "refusal": refusal}]
    spoken = [with_rest({"role": role, "content": content}, rest)] if content or not calls else []
    return spoken + [_item_of(call) for call in calls]


def _message(item: Json) -> Json:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    match item:
        case {"type": "function_call_output", "call_id": str(call), "output": output, **rest}:
            return with_rest({"role": "tool", "tool_call_id": call, "content": as_chat(output, "tool")}, rest)
        case {"role": str(role), "content": content, **rest} if role in ROLES and kind == "message":
            rest.pop("type", None)
            if [key for key in _OF_A_CHAT if rest.pop(key, None) is not None]:
                raise Unsayable("a message with what only a chat's has, like `tool_calls`")
            return with_rest({"role": role, "content": as_chat(content, role)}, rest)
    if kind == "message":
        raise Unsayable("a message without a known role, or without `content`")
    raise Unsayable(f"an item of type {kind[:40]!r}" if isinstance(kind, str) else "an item without a type")


def _assistants_last(told: list[Json]) -> Json:
    """The message to which a call belongs that stands behind these."""
    if not told or told[-1]["role"] != "assistant":
        told.append({"role": "assistant", "content": None})
    return told[-1]


def _item_of(call: Json) -> Json:
    match call:
        case {"id": str(own), "function": {"name": str(name), "arguments": str(arguments)}, **rest}:
            if rest.pop("type", "function") == "function":
                told = {"type": "function_call", "call_id": own, "name": name, "arguments": arguments}
                return with_rest(told, rest)
    raise Unsayable("a tool call that is no function's, or lacks `id`, `name` or `arguments`")


def _call_of(item: Json) -> Json:
    match item:
        case {"call_id": str(own), "name": str(name), "arguments": str(arguments), **rest}:
            for gone in ("type", "id", "status"):  # the item's own, for which a call has no place
                rest.pop(gone, None)
            told = {"id": own, "type": "function", "function": {"name": name, "arguments": arguments}}
            return with_rest(told, rest)
    raise Unsayable("a function call that lacks `call_id`, `name` or `arguments`")


def _refusal(member: str, index: int, no: Unsayable) -> Refusal:
    other = {"messages": "input", "input": "messages"}[member]
    return Refusal(
        400,
        "unsupported_content",
        detail=f"`{member}[{index}]` holds {no}, for which `{other}` has no counterpart.",
        hint=f"The agent takes `{other}`: send that, or leave the part out.",
        index=index,
    )
