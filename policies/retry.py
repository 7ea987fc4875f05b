"""Whether a call may be made again: on what had left, and on who can have answered (decision 15)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from policies import answers, signatures
from policies.refusal import Refusal, Sent

EVERY: Final = 2.0  # seconds between questions to an agent that sleeps
PROBES: Final = ("/agent/info", "/health")
GATEWAY: Final = frozenset({502, 503, 504})
SILENCE: Final = 300.0  # seconds without an answer, after which an agent may have been put to sleep
PROMPT: Final = 20.0  # seconds; what comes later may be a proxy's own timeout, on a run that goes on
MARKS: Final = 256  # header names of one agent that are remembered

# What any server or proxy says, so that it tells nothing about who answered. `server` is compared by value.
ANYBODY: Final = frozenset(
    {
        *("date", "server", "connection", "keep-alive", "transfer-encoding", "via", "alt-svc"),
        *("content-type", "content-length", "content-encoding", "cache-control", "vary", "retry-after"),
        *("strict-transport-security", "x-content-type-options", "x-request-id"),
    }
)


class Rule(NamedTuple):
    """`tries`: how many in quick succession, the first one counted; `wakes`: then the agent is waited for."""

    tries: int
    wakes: bool


UNSENT: Final[Mapping[str, Rule]] = {
    "agent_unreachable": Rule(3, True),
    "agent_connect_timeout": Rule(1, True),  # each has taken long enough
    "agent_tls_error": Rule(3, False),
    "agent_broke_off": Rule(3, False),
    "agent_protocol_error": Rule(3, False),
}
ASLEEP: Final = Rule(1, True)
ONCE_MORE: Final = Rule(2, False)
REPEATABLE: Final = frozenset({"GET", "HEAD"})


class Answer(NamedTuple):
    """As much of an answer as is looked at; header names in any case."""

    status: int
    content_type: str
    server: str
    names: Iterable[str]
    body: bytes
    took: float


def unsent(code: str, sent: Sent) -> Rule | None:
    """The rule for a failure before anything was sent; None where there is no second try."""
    return UNSENT.get(code) if sent == "none" else None


def stale(refusal: Refusal, method: str, size: int | None) -> Rule | None:
    """The rule for a request whose kept connection died before an answer: it may have run, so only what reads.

    `size` of the body, None where it cannot be read again.
    """
    return ONCE_MORE if refusal.stale and method in REPEATABLE and size == 0 else None


def pause(tries: int, spread: float) -> float:
    """Seconds before the next quick try: 0.1 to 0.5, then to 2, as `spread` (0 to 1) has it."""
    return 0.1 + spread * ((0.5 if tries == 1 else 2.0) - 0.1)


def not_run(answer: Answer, *, marks: Collection[str], silent: float | None) -> bool:
    """Whether a 502, 503 or 504 came from somebody in front of an agent that was not there.

    `marks` are the header names and `Server` values of the agent's own answers so far; `silent` is how long
    ago the last of them came, None if there was none. In doubt the agent has run.
    """
    if answer.status not in GATEWAY or is_json(answer) or len(marks) >= MARKS:
        return False
    known = {mark.lower() for mark in marks}
    if answer.server.lower() in known or any(name.lower() in known - ANYBODY for name in answer.names):
        return False
    if signatures.not_started(answer.status, answer.body):
        return True
    return answer.took <= PROMPT and (silent is None or silent >= SILENCE)


def is_json(answer: Answer) -> bool:
    return answers.is_json(answer.content_type) or answer.body.lstrip()[:1] in (b"{", b"[", b'"')
