"""The words that direct a stand-in: in what it always does, in its next turn, in the message."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Scene(NamedTuple):
    """What an agent does with one question."""

    says: str = "echo"  # echo | tool | long | whoami | think | nothing | big | flood
    size: float = 0  # KiB for `big`, words for `flood`
    deltas: bool = True  # text piece by piece, not only in the finished item
    completed: bool = False  # closes with response.completed, which mlflow does not add
    unary: bool = False  # answers JSON whatever was wished
    framing: str = "plain"  # plain | crlf | tight | named | comments
    split: float = 0  # writes pieces of so many bytes
    content_type: str = ""  # instead of the right one
    delay: float = 0  # seconds before the first byte
    gap: float = 0  # seconds between two frames
    hold: int | None = None  # waits for a release: -1 before the headers, n before frame n
    step: bool = False  # waits for a release before each frame
    breaks: str = ""  # error | typed | truncate | endless | reset | hang up
    after: int | None = None  # breaks after so many frames; -1 before the headers
    within: bool = False  # and inside a frame
    failure: str = "The model endpoint did not answer."
    page: str = ""  # something else than the agent answers: see pages
    number: float = 0  # what the page is told


class Word(NamedTuple):
    does: str
    sets: Mapping[str, Any]
    number: str = ""  # the field which a number behind the word sets


MIDST: Final = 2  # frames that make "mid-stream"

WORDS: Final[dict[str, Word]] = {
    # What it says
    "tool": Word("calls a tool, shows its result, then answers", {"says": "tool"}),
    "long": Word("answers at length, with Markdown, umlauts and emoji", {"says": "long"}),
    "whoami": Word("tells which identity headers reached it", {"says": "whoami"}),
    "think": Word("reasons before it answers", {"says": "think"}),
    "nothing": Word("answers without any output", {"says": "nothing"}),
    "big": Word("answers with one word of N KiB (64)", {"says": "big", "size": 64}, "size"),
    "flood": Word(
        "sends N words (10000) as fast as it can", {"says": "flood", "size": 10_000, "gap": 0}, "size"
    ),
    # How it tells it
    "items only": Word("streams finished items, no text deltas", {"deltas": False}),
    "completed": Word("closes its stream with response.completed", {"completed": True}),
    "unary": Word("answers JSON although a stream was asked for", {"unary": True}),
    "comments": Word("puts a comment line before each frame", {"framing": "comments"}),
    "crlf": Word("ends its lines with CR LF", {"framing": "crlf"}),
    "tight": Word("writes data:{…} without the space", {"framing": "tight"}),
    "named": Word("names each event in an event: line", {"framing": "named"}),
    "split": Word("writes pieces of N bytes (7), whatever they cut", {"split": 7}, "split"),
    "wrong type": Word("labels its answer text/plain", {"content_type": "text/plain; charset=utf-8"}),
    # When
    "slow": Word("waits N seconds (3) before the first byte", {"delay": 3}, "delay"),
    "drip": Word("waits N seconds (0.3) between two frames", {"gap": 0.3}, "gap"),
    "mute": Word("accepts the request and never answers", {"hold": -1}),
    "silent": Word("sends its headers, then nothing", {"hold": 0}),
    "silent mid-stream": Word("falls silent after two frames", {"hold": MIDST}),
    "step": Word("waits for a release before each frame (for tests)", {"step": True}),
    # How it goes wrong
    "fail": Word(
        "fails before the first event: inside a 200, as mlflow does", {"breaks": "error", "after": 0}
    ),
    "fail mid-stream": Word("fails after two events, inside a 200", {"breaks": "error", "after": MIDST}),
    "fail typed": Word("fails with an error event that has a type", {"breaks": "typed", "after": MIDST}),
    "truncate": Word("ends properly, but without the closing mark", {"breaks": "truncate"}),
    "truncate mid-stream": Word("ends properly after two frames", {"breaks": "truncate", "after": MIDST}),
    "endless": Word("never stops, as fast as it can", {"breaks": "endless", "after": MIDST, "gap": 0}),
    "die": Word("resets the connection instead of an answer", {"breaks": "reset", "after": -1}),
    "die mid-stream": Word("resets the connection after two frames", {"breaks": "reset", "after": MIDST}),
    "die mid-frame": Word(
        "resets the connection inside a frame", {"breaks": "reset", "after": MIDST, "within": True}
    ),
    "hang up": Word(
        "closes the connection after two frames, unfinished", {"breaks": "hang up", "after": MIDST}
    ),
    # What stands before it
    "html": Word("answers a login page with status 200", {"page": "html"}),
    "redirect": Word("redirects to a login page", {"page": "redirect"}),
    "unauthorized": Word("the platform answers 401", {"page": "unauthorized"}),
    "forbidden": Word("the platform answers 403, app not authorized", {"page": "forbidden"}),
    "unavailable": Word("the platform answers 503", {"page": "unavailable"}),
    "cold start": Word(
        "falls asleep for N seconds (5) and wakes up by itself", {"page": "asleep", "number": 5}, "number"
    ),
    "status": Word("answers status N (500) with a JSON detail", {"page": "status", "number": 500}, "number"),
    "refuse streaming": Word(
        "a guardrail refuses the stream; a whole answer is given", {"page": "guardrail"}
    ),
}

_SPOKEN: Final = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, WORDS), key=len, reverse=True))})\b(?:\s+(\d+(?:\.\d+)?))?"
)


def scene(*texts: str) -> Scene:
    """What the words in these texts amount to; of two that contradict each other the later counts."""
    fields: dict[str, Any] = {}
    for text in texts:
        for word, number in _SPOKEN.findall(re.sub(r"mid[ -]?(stream|frame)", r"mid-\1", text.lower())):
            known = WORDS[word]
            fields.update(known.sets)
            if number and known.number:
                fields[known.number] = float(number)
    return Scene(**fields)


def spoken() -> list[dict[str, str]]:
    """The table for people: `[{"say": "slow N", "does": "waits N seconds (3) before the first byte"}, …]`."""
    return [
        {"say": f"{word} N" if known.number else word, "does": known.does} for word, known in WORDS.items()
    ]
