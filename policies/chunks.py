"""Chat completions: a whole one told in chunks, and chunks folded into a whole one."""

from collections.abc import Iterator
from typing import Final

from policies.loose import Value, dicts, member, text, word

HEAD: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
GROWING: Final = frozenset(
    {"content", "refusal", "reasoning", "reasoning_content"}
)  # texts that come in pieces


def chunks(value: Value, ident: str, at: int) -> Iterator[Value]:
    """The chunks of a chat completion: role and content, each call of a tool, and the end with its usage."""
    head = {"id": f"chatcmpl-{ident}", "created": at, "model": ""} | {k: value[k] for k in HEAD if k in value}
    head["object"] = "chat.completion.chunk"
    choices = dicts(value.get("choices"))
    for nth, choice in enumerate(choices):
        index = choice.get("index", nth)
        for delta in _deltas(member(choice, "message")):
            yield head | {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}
        end = {k: v for k, v in choice.items() if k != "message"}
        end |= {"index": index, "delta": {}, "finish_reason": word(choice.get("finish_reason"), "stop")}
        last = nth + 1 == len(choices)
        beside = {k: v for k, v in value.items() if k not in HEAD and k != "choices" and v is not None}
        yield head | {"choices": [end]} | (beside if last else {})


def _deltas(message: Value) -> Iterator[Value]:
    role, said = word(message.get("role"), "assistant"), text(message.get("content"))
    calls = dicts(message.get("tool_calls"))
    rest = {k: v for k, v in message.items() if k not in ("role", "content", "tool_calls") and v is not None}
    if said or rest or not calls:
        yield {"role": role, "content": said} | rest
    for index, call in enumerate(calls):
        yield {"role": role, "tool_calls": [{"index": index} | call]}


class Chunks:
    """Takes `chat.completion.chunk` values in order; `value()` is the completion."""

    __slots__ = ("_beside", "_choices", "_head", "ended")

    def __init__(self) -> None:
        self._head: Value = {}
        self._beside: Value = {}  # usage, and whatever else stands beside the choices
        self._choices: dict[int, Value] = {}
        self.ended = False  # some choice has its finish_reason

    def __bool__(self) -> bool:
        return bool(self._choices)

    def add(self, value: Value) -> None:
        for key, part in value.items():
            if key in HEAD:
                self._head.setdefault(key, part)
            elif key != "choices" and part is not None:
                self._beside[key] = part
        for nth, choice in enumerate(dicts(value.get("choices"))):
            index = choice.get("index")
            self._add(index if isinstance(index, int) else nth, choice)

    def value(self) -> Value:
        choices = [_whole(choice) for _, choice in sorted(self._choices.items())]
        return self._head | {"object": "chat.completion", "choices": choices} | self._beside

    def _add(self, index: int, choice: Value) -> None:
        known = self._choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        _merge(known["message"], member(choice, "delta"))
        _merge(known["message"], member(choice, "message"))
        if why := word(choice.get("finish_reason")):
            known["finish_reason"], self.ended = why, True
        if choice.get("logprobs"):
            known["logprobs"] = choice["logprobs"]


def _merge(message: Value, delta: Value) -> None:
    for key, part in delta.items():
        if key == "tool_calls":
            for call in dicts(part):
                _call(message.setdefault("tool_calls", []), call)
        elif part is not None:
            known = message.get(key)
            grows = key in GROWING and isinstance(part, str | list) and type(known) is type(part)
            message[key] = known + part if grows else part


def _call(calls: list[Value], piece: Value) -> None:
    index = piece.get("index", len(calls))
    known = next((call for call in calls if call["index"] == index), None)
    if known is None:
        calls.append(known := {"index": index, "function": {"arguments": ""}})
    known |= {k: v for k, v in piece.items() if k != "function" and v is not None}
    function = member(piece, "function")
    said = known["function"]["arguments"] + word(function.get("arguments"))
    known["function"] |= {k: v for k, v in function.items() if v is not None} | {"arguments": said}


def _whole(choice: Value) -> Value:
    message = {"role": "assistant", "content": ""} | choice["message"]
    if calls := message.get("tool_calls"):
        message["content"] = message["content"] or None
        message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
    return choice | {"message": message}
