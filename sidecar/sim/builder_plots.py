"""What a stand-in builder's agent does with a message: words in the message direct how the run and its windows go."""

import re
from collections.abc import Iterator
from typing import Any, Final

Event = dict[str, Any]

WORDS: Final = {
    # The run
    "block": "the text comes whole, not piece by piece",
    "think": "it thinks before it answers",
    "tool": "it calls a tool, which makes a list of things to do, and goes on",
    "error": "the run fails after its first words, and says so twice",
    "fail": "the run fails without a word",
    "exhausted": "the run's summary is an error, and nothing was said",
    "cancel yourself": "somebody cancels the run after its first words",
    "hold": "the run stops after its first words until it is cancelled",
    "keepalive": "it is silent, and says that it lives",
    "same stamp": "all events have one stamp",
    "clock back": "the clock is set back by half a second in the middle",
    # Its windows
    "windows": "each window ends in order after three events",
    "cut": "N windows (1) break off after three events of theirs",
    "end early": "N windows (1) end properly after three events of theirs, without a word",
    "dead": "N windows (1) break off before anything came",
    "busy": "N windows (1) are 503 with JSON",
    "expired": "the second window is the platform's 401",
    # What is kept
    "purge": "the stream is forgotten after three events; the run's execution is kept",
    "lag": "the same, and the execution tells a little more each time it is looked at",
    "forget": "the stream and the execution are forgotten; the conversation has the answer",
    "lose": "all of it is forgotten",
    "drop reply": "the answer to `invoke_agent` is lost, the run goes on",
}
_SPOKEN: Final = re.compile(rf"\b({'|'.join(sorted(WORDS, key=len, reverse=True))})\b(?: (\d+))?")


def words(text: str) -> dict[str, int]:
    """The directing words in a message, each with the number behind it."""
    return {word: int(number or 1) for word, number in _SPOKEN.findall(text.lower())}


def answer(text: str) -> str:
    return f"You said: {text}"


def plot(text: str, said: dict[str, int], conversation: str) -> Iterator[Event]:
    """The events of a run, without their stamps."""
    yield {"type": "conversation.created", "conversation_id": conversation}
    yield {"type": "system", "subtype": "init", "data": {"session_id": "s1"}}
    if "fail" in said:
        yield from [{"type": "error", "error": "The model endpoint did not answer."}] * 2
        return
    if "exhausted" in said:
        yield summary(is_error=True)
        return
    if "think" in said:
        yield {"type": "thinking", "thinking": "What was said?"}
    whole = answer(text)
    pieces = [whole] if "block" in said else re.findall(r"\S+\s*", whole)
    kind = "text" if "block" in said else "text_delta"
    yield {"type": kind, "text": pieces[0]}
    if "keepalive" in said:
        yield {"type": "keepalive", "elapsed_since_last_event": 15.0}
    if "error" in said:
        yield from [{"type": "error", "error": "The tool is gone."}] * 2
        return
    if "tool" in said:
        todos = [{"content": "Look", "status": "pending"}]
        yield {"type": "tool_use", "tool_id": "t1", "tool_name": "TodoWrite", "tool_input": {"todos": todos}}
        yield {"type": "todos", "todos": todos}
        yield {"type": "tool_result", "tool_use_id": "t1", "content": "Done.", "is_error": False}
    if "cancel yourself" in said:
        return
    for piece in pieces[1:]:
        yield {"type": kind, "text": piece}
    yield summary()


def summary(*, is_error: bool = False) -> Event:
    about = {"session_id": "s1", "duration_ms": 1200, "total_cost_usd": 0.0125, "is_error": is_error}
    return {"type": "result", "num_turns": 2, **about}
