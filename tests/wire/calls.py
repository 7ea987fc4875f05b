"""Calls as the wire gets them, and a recorder that keeps what it is told."""

from typing import Any

from middleware.exchange import EMPTY, Body, Call, Upload, headers
from policies.agent import Agent, Caller

QUESTION = Body(b'{"input":[]}')


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        self.told.append((what, value))

    def attempted(self, call: Call, sent: str, result: str) -> None:
        self.note(call, "attempt", (sent, result))

    @property
    def attempts(self) -> list[Any]:
        """(what was sent, what became of it), one per exchange."""
        return [value for what, value in self.told if what == "attempt"]


def asking(
    url: str,
    target: str = "/invocations",
    *,
    method: str = "POST",
    body: Body | Upload = QUESTION,
    stream: bool | None = False,
    **fields: str,
) -> Call:
    """A call to an agent there. `stream=None` makes it a relay."""
    agent = Agent("default", url)
    named = headers(*((name.replace("_", "-"), value) for name, value in fields.items()))
    return Call(agent, Caller(), "responses", method, target, named, body, stream, "id")


def fetching(url: str, target: str = "/", **given: Any) -> Call:
    """A relayed GET."""
    return asking(url, target, **{"method": "GET", "body": EMPTY, "stream": None} | given)
