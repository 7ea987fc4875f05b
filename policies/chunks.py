"""A chat completion, folded from its chunks."""

from typing import Any, Final

from policies.synthesis import CHUNK, Value, dicts

GROWING: Final = frozenset(
    {"refusal", "reasoning", "reasoning_content"}
)  # texts that come in pieces, as content


class Chunks:
    """Takes `chat.completion.chunk` values in order; `value()` is the completion."""

    __slots__ = ("_choices", "_head", "_rest", "ended")

    def __init__(self) -> None:
        self._head: Value = {}
        self._rest: Value = {}  # usage, and whatever else stands beside the choices
        self._choices: dict[Any, Value] = {}
        self.ended = False  # some choice has its finish_reason

    def __bool__(self) -> bool:
        return bool(self._choices)

    def add(self, value: Value) -> None:
        for key, part in value.items():
            if key in CHUNK:
                self._head.setdefault(key, part)
            elif key != "choices" and part is not None:
                self._rest[key] = part
        for nth, choice in enumerate(dicts(value.get("choices"))):
            self._choice(choice.get("index", nth), choice)

    def value(self) -> Value:
        choices = [
            _told(choice)
            for _, choice in sorted(self._choices.items(), key=lambda pair: str(pair[0]).zfill(9))
        ]
        return self._head | {"object": "chat.completion", "choices": choices} | self._rest

    def _choice(self, index: Any, choice: Value) -> None:
        known = self._choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        for part in (choice.get("delta"), choice.get("message")):
            if isinstance(part, dict):
                _merge(known["message"], part)
        if isinstance(why := choice.get("finish_reason"), str) and why:
            known["finish_reason"], self.ended = why, True
        if choice.get("logprobs"):
            known["logprobs"] = choice["logprobs"]


def _merge(message: Value, delta: Value) -> None:
    for key, part in delta.items():
        if key == "tool_calls":
            for call in dicts(part):
                _call(message.setdefault("tool_calls", []), call)
        elif part is not None:
            grows = key == "content" or key in GROWING
            known = message.get(key)
            message[key] = known + part if grows and isinstance(known, type(part)) else part


def _call(calls: list[Value], piece: Value) -> None:
    at = piece.get("index", len(calls))
    known = next((call for call in calls if call["index"] == at), None)
    if known is None:
        known = {"index": at, "function": {}}
        calls.append(known)
    known |= {key: part for key, part in piece.items() if key != "function" and part is not None}
    for function in dicts([piece.get("function")]):
        said = known["function"].get("arguments", "") + (function.get("arguments") or "")
        known["function"] |= {k: v for k, v in function.items() if v is not None} | {"arguments": said}


def _told(choice: Value) -> Value:
    message = {"role": "assistant", "content": None} | choice["message"]
    if "tool_calls" in message:
        message["tool_calls"] = [
            {k: v for k, v in call.items() if k != "index"} for call in message["tool_calls"]
        ]
    elif message["content"] is None:
        message["content"] = ""
    return choice | {"message": message}
