"""What a builder's agent is told of a chat: the last question, and what came before where it does not know it yet.

The agent keeps its conversations, so a turn is sent once. A conversation that it does not have (any more) begins with
the turns that the caller sent along, as one text in front of the question.
"""

from typing import Any, Final, NamedTuple

from policies.loose import Value, dicts, member, word
from policies.refusal import Refusal

TEXTS: Final = frozenset({"text", "input_text", "output_text"})
SPEAKERS: Final = {"system": "Instructions", "developer": "Instructions", "user": "User", "assistant": "You"}
LONGEST: Final = 24_000  # characters of the turns before the question
TITLE: Final = 40  # characters
OPTIONS: Final = (  # members of `custom_inputs` that say where the agent works
    *("cluster_id", "warehouse_id", "default_catalog", "default_schema", "workspace_folder"),
    "mlflow_experiment_name",
)


class Question(NamedTuple):
    text: str
    before: tuple[str, ...] = ()  # the turns before it, the oldest first
    options: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """Of the conversation that it begins."""
        return " ".join(self.text.split())[:TITLE]

    @property
    def retold(self) -> str:
        """The question with what came before, as much as fits."""
        room = LONGEST
        turns: list[str] = []
        for turn in reversed(self.before):
            room -= len(turn)
            if room < 0:
                break
            turns.insert(0, turn)
        if not turns:
            return self.text
        return "\n\n".join(["This conversation so far:", *turns, "Now:", self.text])


def question(value: Value) -> Question:
    """Of a chat's body. Refusal 400 `unsupported_content`, `index` saying where."""
    name = "input" if value.get("input") is not None else "messages"
    turns = _turns(value.get(name))
    index = next((nth for nth in reversed(range(len(turns))) if turns[nth].get("role") == "user"), None)
    if index is None:
        raise _refusal(name, 0, "no turn of a user's")
    text, other = _said(turns[index].get("content"))
    if other or not text.strip():
        raise _refusal(name, index, other or "no text")
    before = []
    for turn in turns[:index]:
        speaker, (said, _) = SPEAKERS.get(word(turn.get("role"))), _said(turn.get("content"))
        if speaker and said.strip():
            before.append(f"{speaker}: {said.strip()}")
    given = member(value, "custom_inputs")
    options = tuple((option, said) for option in OPTIONS if (said := word(given.get(option))))
    return Question(text, tuple(before), options)


def _turns(given: Any) -> list[Value]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [turn if turn.get("type", "message") == "message" else {} for turn in dicts(given)]


def _said(content: Any) -> tuple[str, str]:
    """The text of a turn, and what of it is none."""
    if isinstance(content, str):
        return content, ""
    said, other = [], ""
    for part in dicts(content):
        kind = word(part.get("type"), "text")
        if kind in TEXTS:
            said.append(word(part.get("text")))
        else:
            other = f"a part of type {kind[:40]!r}"
    return "\n".join(said), other


def _refusal(name: str, index: int, what: str) -> Refusal:
    return Refusal(
        400,
        "unsupported_content",
        detail=f"`{name}[{index}]` holds {what}; a builder's agent takes a user's turn of text.",
        hint="Send the question as text.",
        sent="none",
        index=index,
    )
