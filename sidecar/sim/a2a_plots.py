"""What a stand-in A2A agent does with a message: skills, and words in the message that direct how it goes wrong."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

Skill = Literal["echo", "calculator", "asks", "assistant"]
Call = Callable[[str, str], Awaitable[str]]
"""Asks another agent, by name; what it answered."""


class Update(NamedTuple):
    """One thing that happens to a task. `artifact` is its id; empty: this is of the status."""

    text: str = ""
    artifact: str = ""
    append: bool = False
    state: str = "working"
    parts: tuple[dict[str, Any], ...] = ()  # beside the text


WORDS: Final = {
    "fail": "the task fails",
    "reject": "the task is rejected",
    "authorize": "the task waits for an authorization",
    "cancel yourself": "the task is canceled by the agent",
    "replace": "the artifact is said again, otherwise",
    "attach": "a file and data come with the text",
    "word": "the status has the answer, there is no artifact",
    "remember": "only the history has the answer",
    "message": "a message, no task",
    "cut": "the stream breaks off after three events; the task goes on when it is asked for",
    "drop": "the same, and the task is never heard of again",
    "end early": "the stream ends properly after three events; the task goes on when it is asked for",
    "poll": "the task is still working when it is answered; it ends when it was asked for twice",
    "unary": "JSON, although a stream was asked for",
    "bare": "the status is its state alone, artifacts have no ids",
    "hold": "the task stops before its second text until it is canceled",
    "error": "JSON-RPC error N (-32603)",
    "error inside": "the stream ends with a JSON-RPC error",
}
_SPOKEN: Final = re.compile(rf"\b({'|'.join(sorted(WORDS, key=len, reverse=True))})\b(?: (-\d+))?")
ENDS: Final = {
    "fail": "failed",
    "reject": "rejected",
    "authorize": "auth-required",
    "cancel yourself": "canceled",
}

_SUMS: Final[dict[str, Callable[[float, float], float]]] = {
    r"add (-?[\d.]+) (?:and|to) (-?[\d.]+)": lambda a, b: a + b,
    r"(-?[\d.]+) (?:plus|\+) (-?[\d.]+)": lambda a, b: a + b,
    r"subtract (-?[\d.]+) from (-?[\d.]+)": lambda a, b: b - a,
    r"multiply (-?[\d.]+) (?:by|and) (-?[\d.]+)": lambda a, b: a * b,
    r"(-?[\d.]+) (?:times|\*) (-?[\d.]+)": lambda a, b: a * b,
    r"divide (-?[\d.]+) by (-?[\d.]+)": lambda a, b: a / b if b else float("nan"),
}


def words(text: str) -> dict[str, str]:
    """The directing words in a message, each with the number behind it."""
    return dict(_SPOKEN.findall(text.lower()))


def calculated(text: str) -> str:
    for pattern, calculate in _SUMS.items():
        if found := re.search(pattern, text, re.IGNORECASE):
            return f"{calculate(float(found[1]), float(found[2])):g}"
    return "I add, subtract, multiply and divide: `Add 15 and 27`."


async def plot(skill: Skill, text: str, earlier: str | None, call: Call | None) -> AsyncIterator[Update]:
    """What happens, in order. `earlier` is what was said in this task before, where it waited for an answer."""
    said = words(text)
    yield Update(text="Looking at it", state="working")
    if skill == "asks" and earlier is None:
        yield Update(text="Which city?", state="input-required")
        return
    answer = f"Echo: {text}"
    if skill == "calculator":
        answer = calculated(text)
    elif skill == "asks":
        answer = f"{earlier} in {text}"
    elif skill == "assistant" and call is not None:
        name, _, question = text.partition(": ")
        answer = f"{name} says: {await call(name, question or text)}"
    if end := next((state for word, state in ENDS.items() if word in said), None):
        yield Update(text=f"It is {end}.", state=end)
        return
    if not said.keys() & {"word", "remember"}:
        first, middle, rest = answer.partition(" ")
        yield Update(text=first, artifact="a1")
        if middle:
            yield Update(text=middle + rest, artifact="a1", append=True)
        if "replace" in said:
            yield Update(text="Otherwise.", artifact="a1")
        if "attach" in said:
            raw = {"raw": "aGVsbG8=", "media": "text/plain", "name": "hello.txt"}
            yield Update(artifact="a2", parts=({"data": {"answer": 42}}, raw))
    yield Update(text=answer if "word" in said else "", state="completed")
