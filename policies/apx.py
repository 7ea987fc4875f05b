"""apx agents: the one shape that they take, and what of them is not for every caller.

They take `{"input": [{"role", "content": "…"}], "stream", "custom_inputs"}`, where each content is one
text. `ALLOW` names what a caller may do besides asking, where the agent's setting of that name opens it:

    instructions   replace the agent's system prompt, by `custom_inputs.instructions`
    identity       say in `custom_inputs` who the user is, and to which workspace the user's token goes: the agent
                   believes these before the headers that tell it so
    tools          call its tools as HTTP routes, under `/api/tools/`
    dev            its development pages, under `/_apx/`, which invoke tools and fetch any URL
"""

from collections.abc import Container, Iterator
from operator import is_
from typing import Any, Final, Literal
from urllib.parse import unquote

from policies.loose import Value, member
from policies.refusal import Refusal

Allowed = Literal["instructions", "identity", "tools", "dev"]

QUESTIONS: Final = ("/responses", "/invocations")  # the newer path first
PRIVILEGED: Final[dict[str, Allowed]] = {
    "instructions": "instructions",
    "user_token": "identity",
    "workspace_host": "identity",
    "user_id": "identity",
    "user_email": "identity",
}
ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
TEXTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def question(value: Value) -> Value:
    """The body in the shape that it takes; the same object where it has that shape. `input` wins over `messages`.

    Raises Refusal 400 `unsupported_content`, its `index` naming the turn that is no role and text.
    """
    name = "input" if value.get("input") is not None else "messages"
    turns = value.get(name)
    if isinstance(turns, str) and name == "input":
        return value | {"input": [{"role": "user", "content": turns}]}
    if not isinstance(turns, list):
        return value
    told = [turn for index, one in enumerate(turns) for turn in _turn(name, index, one)]
    if name == "input" and len(told) == len(turns) and all(map(is_, told, turns)):
        return value
    return {key: part for key, part in value.items() if key not in ("input", name)} | {"input": told}


def _turn(name: str, index: int, turn: Any) -> Iterator[Value]:
    match turn:
        case {"role": "tool"} | {"type": "function_call" | "function_call_output" | "reasoning"}:
            return
        case {"role": str(role), "content": None, "tool_calls": list()} if role in ROLES:
            return
        case {"role": str(role), "content": str() | list() as content} if role in ROLES:
            said = _said(name, index, content)
            if said is content and "tool_calls" not in turn:
                yield turn
            elif said or not turn.get("tool_calls"):
                yield {key: part for key, part in turn.items() if key != "tool_calls"} | {"content": said}
        case {"type": str(kind)} if kind != "message":
            raise _unsayable(name, index, f"an item of type {kind[:40]!r}")
        case _:
            raise _unsayable(name, index, "a turn without a known role, or without text")


def _said(name: str, index: int, content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return " ".join(_text(name, index, part) for part in content)


def _text(name: str, index: int, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    said = part.get(TEXTS[kind]) if isinstance(kind, str) and kind in TEXTS else None
    if not isinstance(said, str):
        raise _unsayable(name, index, f"a part of type {kind[:40]!r}" if isinstance(kind, str) else "a part")
    return said


def _unsayable(name: str, index: int, what: str) -> Refusal:
    return Refusal(
        400,
        "unsupported_content",
        detail=f"`{name}[{index}]` holds {what}, and an apx agent takes roles and texts only.",
        hint="Leave the part out, or say it as text.",
        sent="none",
        index=index,
    )


def privileged(value: Any, allowed: Container[str]) -> tuple[str, Allowed] | None:
    """The first of `custom_inputs` that is not for every caller, and the word of `ALLOW` that would open it."""
    given = member(value, "custom_inputs")
    for name, word in PRIVILEGED.items():
        if word not in allowed and given.get(name) is not None:
            return name, word
    return None


def concerns(target: str) -> str | None:
    """What a relay's path belongs to: `dev`, `tools`, `question`, `mcp`; None is the app's own.

    Judged as the agent will read it, escapes decoded; in doubt it is what is closed.
    """
    segments = [segment for segment in unquote(target.partition("?")[0]).split("/") if segment]
    if "_apx" in segments:
        return "dev"
    if segments[:1] == ["mcp"]:
        return "mcp"
    if "tools" in segments[:-1]:
        return "tools"
    return "question" if f"/{'/'.join(segments)}" in QUESTIONS else None
