"""The settings of a call: what it goes through, how long, how large, and what is told about it."""

from typing import Annotated, Literal

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Lower
from sidecar.settings.lists import Names
from sidecar.settings.numbers import Count, Duration, Size, Span


class Chain(Group):
    """The middleware"""

    middleware: Names = setting(
        ("default",),
        "The list, outermost first: built-in names, installed entry points, `path/file.py:attribute`. "
        "`default` stands for the built-in ones that are not named elsewhere in it.",
        "An unknown name: exit 78.",
    )
    without: Names = setting((), "Built-in ones that the list may lack.", "Lacking and not named: exit 78.")
    relay: Annotated[Literal["closed", "open"], Lower] = setting(
        "closed",
        "Whether calls that are no chat go to agents past a middleware that does not act on them.",
        "403 `relay_closed`.",
    )
    both_shapes: Annotated[Literal["input", "refuse"], Lower] = setting(
        "input",
        "What a chat means that has both `input` and a list of `messages`: `input` [wins](agents.md#bodies), or it is "
        "refused.",
        "400 `ambiguous_body`.",
    )


class Timeouts(Group):
    """The four clocks on an agent"""

    connect: Span = setting(10.0, "For the connection to an agent.", "504 `agent_connect_timeout`.")
    first_byte: Span = setting(
        60.0, "From the request to the first byte of the answer.", "504 `agent_first_byte_timeout`."
    )
    gap: Span = setting(
        90.0, "For silence inside an answer.", "504 `agent_gap_timeout`; in a stream, its last word."
    )
    total: Span = setting(120.0, "For an answer that is no stream.", "504 `agent_total_timeout`.")


class Limits(Group):
    """Times and sizes"""

    timeouts: Timeouts = Timeouts()
    commit_after: Duration = setting(
        3.0, "When at the latest a caller who wants a stream gets its head, and then keepalives."
    )
    keepalive: Span = setting(10.0, "How long a stream may be silent before it gets a comment line.")
    write_timeout: Span = setting(
        30.0, "How long a caller may take nothing of an answer.", "It is cut: outcome `caller_stalled`."
    )
    websocket_ping: Duration = setting(
        25.0, "How long a WebSocket may be silent before both sides get a ping; `0`: none is sent."
    )
    head_timeout: Span = setting(
        10.0, "From the first byte of a request to the end of its head.", "408 `head_timeout`."
    )
    body_timeout: Span = setting(30.0, "How long a request's body may pause.", "408 `body_timeout`.")
    max_body: Size = setting(16 << 20, "The largest body of a chat.", "413 `body_too_large`.")
    max_answer: Size = setting(
        64 << 20, "The largest answer that has to be read whole.", "502 `agent_too_large`."
    )
    cold_start_budget: Duration = setting(
        60.0, "How long a call waits for an agent that sleeps.", "503 `agent_unavailable`."
    )
    waiting: Count = setting(64, "How many calls may wait so at once.", "503 `overloaded`.")


class Telling(Group):
    """Errors and the log"""

    errors: Annotated[Literal["brief", "full", "passthrough"] | None, Lower] = setting(
        None,
        "How much an error says. By default `brief` to browsers at the front and `full` at egress. "
        "`passthrough` hands an agent's own error on as it is.",
    )
    log: Annotated[Literal["debug", "info", "warning"], Lower] = setting("info", "What the log begins with.")
