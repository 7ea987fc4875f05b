"""What is kept of one exchange, from the moment it is accepted: names, numbers and times, and nobody's words.

One record serves the counters, the log line and the tap. The edge sets `first_byte`, `bytes`, `streaming`,
`status`, `owner` and the ids as plain attributes; the body's shape (input | messages | text) and size are looked
at when the call begins, and again where another is sent. What every call has, the `Recorder` has a method for; the
middleware tell the rest as notes:

    ambiguous_body     what became of a body with `input` and `messages`: input | both | refused
    stream_refused     the status with which the agent refused to stream, before it was asked once more
    credential         which kind of credential was added: app | user | static | none
    identity_removed   names of identity headers
    cold_start         why the agent was taken to be starting; `waited` the seconds that it took
    trace_id           the trace that the agent named
    plugin_failed      the name of a plug-in that raised
    plugin_blocked     the name of one that ran for over a quarter of a second without awaiting, and how long
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from middleware.exchange import EMPTY, Body, Call
from policies.agent import Agent
from policies.outcome import sentence
from policies.refusal import Refusal

ROOM: Final = 6_000  # characters, about, that the notes of one call may hold: 200 calls stay below 8 MiB
LOGGED: Final = frozenset(  # notes that stand in the log line too
    {
        *("trace_id", "stream_refused", "resumed", "cold_start", "waited", "refused_by", "plugin_failed"),
        "ambiguous_body",
    }
)
LONGEST: Final = 200  # characters of one text
MEMBERS: Final = 24  # of one list of names
MOST: Final = 64  # exchanges of one call that are kept, and credentials: a builder's run asks without end

Key = bytes
Note = tuple[float, str, Any]  # at (monotonic seconds), what, value
Exchange = tuple[float, str, str]  # with the agent: at, what was sent, `answered` or what went wrong


class Said(NamedTuple):
    """What a refusal said. The exception itself is let go: its frames hold the call."""

    code: str
    status: int
    agent_status: int | None
    detail: str | None
    hint: str | None

    @classmethod
    def of(cls, refusal: Refusal, clean: Callable[[str], str]) -> "Said":
        """Cleaned when it is kept, not when it is shown."""
        cause = sentence(refusal.code) if refusal.quotes else refusal.detail
        detail, hint = (text and clean(text)[:500] for text in (cause, refusal.hint))
        return cls(refusal.code, refusal.status, refusal.agent_status, detail, hint)


class Record:
    """What stands at the class is what most records never need of their own; `Telemetry.begin` sets the first six."""

    request_id: str
    door: str
    route: str
    method: str
    started: float  # seconds of the monotonic clock, like `first_byte` and `ended`
    time: float  # seconds since 1970

    first_byte: float | None = None
    ended = 0.0
    bytes = 0  # of the answer's body
    bytes_in: int | None = None  # of the request's; None: not known beforehand
    body: Body | None = None  # the question itself, as long as the call is open
    shape = ""  # of the question, as it came
    went: tuple[int | None, str] = (None, "")  # bytes and shape of what was sent in the last attempt
    streaming = False  # an event stream is open to the caller
    stream = ""  # how the answer was brought to the caller: raw, translated …
    status = 0  # what the caller was told; 0: nothing
    outcome = ""
    agent: Agent | None = None
    agent_name = "none"
    agent_request_id = ""
    trace_id = ""
    dialect = ""
    wants_stream: bool | None = None
    attempts = 0
    sent = "none"  # what had left in the last of them
    exchanges: tuple[Exchange, ...] = ()  # the first of them
    removed = 0  # identity headers
    identity_sent: tuple[str, ...] = ()  # and which of them went to the agent
    refusal: Said | None = None
    owner: Key | None = None  # who may look at it through the front door
    came: tuple[str, ...] = ()  # names of the headers that came, where identity was read from them
    notes: tuple[Note, ...] = ()
    room = ROOM
    telling = False  # whether its line tells more than that of a call which went as calls do

    def refused(self, said: Said) -> None:
        self.refusal, self.telling = said, True

    def changed(self, call: Call) -> None:
        """What goes to the agent is not what came: look at it again."""
        body = call.body
        if type(body) is Body and body is not EMPTY:
            self.went = len(body.raw), shape(body) if call.wants_stream is not None else ""

    def note(self, at: float, what: str, value: Any) -> None:
        """One fact more, as long as there is room."""
        if type(value) is str and len(value) <= LONGEST:
            room = self.room - 40 - len(value)
        else:
            value = bounded(value)
            room = self.room - 40 - (sum(map(_size, value)) if type(value) is list else _size(value))
        self.room = room
        if room >= 0:
            self.notes += ((at, what, value),)
            if what in LOGGED:
                self.telling = True

    def facts(self) -> dict[str, Any]:
        """The last value of each note."""
        return {what: value for _, what, value in self.notes}


def shape(body: Body) -> str:
    """In which shape a question is told: input | messages | text, a string as input; empty for any other body."""
    try:
        value = body.value
    except ValueError:
        return ""
    if type(value) is not dict:
        return ""
    if "input" in value:
        return "text" if type(value["input"]) is str else "input"
    return "messages" if "messages" in value else ""


def bounded(value: Any) -> Any:
    """A note's value as it is kept: short, flat, and nothing that could hold a body."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_member(member) for member in list(value)[:MEMBERS]]
    return type(value).__name__


def _member(value: Any) -> Any:
    return type(value).__name__ if isinstance(value, (list, tuple, set, frozenset)) else bounded(value)


def _size(member: Any) -> int:
    return 40 + (len(member) if isinstance(member, str) else 0)
