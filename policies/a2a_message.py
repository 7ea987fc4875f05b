"""A chat's last question as the message that an A2A agent is sent, and a caller's message as a chat.

The agent keeps what was said before, under its `contextId`; therefore only the last turn of the user's goes out.
Which context that is, a caller of chats does not say: the turns before its question do (`thread`).
"""

import hashlib
from typing import Any, Final, NamedTuple

from policies import a2a_parts as parts
from policies.a2a import NEW, Tongue, field, says
from policies.json_exact import dumps
from policies.jsonrpc import INVALID_PARAMS, Wrong
from policies.loose import Value, dicts, member, text, word
from policies.parts import Unsayable
from policies.refusal import Refusal

_TOLD: Final = ("user", "assistant")


class Place(NamedTuple):
    """Where in an agent's memory a conversation is: its context, and the task that waits for an answer."""

    context: str = ""
    task: str = ""


def message(value: Value, ident: str, place: Place, tongue: Tongue) -> Value:
    """The last question of a chat's body as a message. Refusal 400 `unsupported_content`, `index` saying where."""
    name = "input" if value.get("input") is not None else "messages"
    turns = _turns(value)
    index = next((nth for nth in reversed(range(len(turns))) if _role(turns[nth]) == "user"), None)
    if index is None:
        raise _refusal(name, 0, "no turn of a user's")
    try:
        told = parts.parts(turns[index].get("content"), tongue)
    except Unsayable as no:
        raise _refusal(name, index, str(no)) from None
    said: Value = {"messageId": ident, "role": "ROLE_USER" if tongue is NEW else "user", "parts": told}
    if tongue is not NEW:
        said = {"kind": "message"} | said
    named = {"contextId": place.context, "taskId": place.task}
    return said | {name: value for name, value in named.items() if value}


def thread(value: Value, answer: str | None = None) -> bytes:
    """A print of a conversation: of the turns before its last question; or of all, with this answer behind them.

    A caller who says `conversation_id` (its own, or in `context`, as mlflow has it) means all that has it.
    """
    ident = word(value.get("conversation_id")) or word(member(value, "context").get("conversation_id"))
    if ident:
        return _print(["conversation", ident])
    told = [[_role(turn), _plain(turn.get("content"))] for turn in _turns(value) if _role(turn) in _TOLD]
    if answer is None:
        while told and told.pop()[0] != "user":
            pass
        return _print(told) if told else b""
    return _print([*told, ["assistant", answer.strip()]])


def _turns(value: Value) -> list[Value]:
    given = value.get("input") if value.get("input") is not None else value.get("messages")
    return [{"role": "user", "content": given}] if isinstance(given, str) else dicts(given)


def _role(turn: Value) -> str:
    return word(turn.get("role")) if turn.get("type", "message") == "message" else ""


def _plain(content: Any) -> Any:
    """The same for a text and for a text in parts: callers send an answer back in either way."""
    if isinstance(content, str):
        return content.strip()
    others = [part for part in dicts(content) if "text" not in part]
    return [text(content).strip(), *others] if others else text(content).strip()


def _print(value: Any) -> bytes:
    try:
        return hashlib.sha256(dumps(value)).digest()
    except ValueError:
        return b""  # nested too deeply to be printed: no conversation that could go on


def _refusal(name: str, index: int, what: str) -> Refusal:
    return Refusal(
        400,
        "unsupported_content",
        detail=f"`{name}[{index}]` holds {what}, which an A2A message cannot say.",
        hint="Send a user's turn of text, images or files.",
        sent="none",
        index=index,
    )


class Asked(NamedTuple):
    """What a caller's message says, as a chat's body, and the context it named."""

    body: Value
    context: str


def chat(params: Any) -> Asked:
    """The chat's body that a caller's `message/send` amounts to. Raises Wrong -32602."""
    if not isinstance(params, dict) or not isinstance(said := params.get("message"), dict):
        raise Wrong(INVALID_PARAMS, "`params.message` is missing.")
    if not says(said, "user"):
        raise Wrong(INVALID_PARAMS, "`params.message.role` is the user's.")
    try:
        content = parts.content(said.get("parts"))
    except (Unsayable, ValueError) as no:
        raise Wrong(INVALID_PARAMS, f"`params.message.parts` holds {no}.") from None
    context = word(field(said, "contextId"))
    body: Value = {"input": [{"role": "user", "content": content}]}
    return Asked(body | ({"context": {"conversation_id": context}} if context else {}), context)
