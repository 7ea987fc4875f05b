"""W3C trace context by hand: the caller's trace goes on with a span of ours, or a new one starts."""

import re
from typing import Final, NamedTuple

LONGEST_STATE: Final = 512  # bytes of tracestate that have to be passed on; more is dropped

_USUAL: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class Trace(NamedTuple):
    """What goes to the agent (`tracestate` if there is one), and the id for the log."""

    traceparent: str
    tracestate: str | None
    trace_id: str


def continued_or_new(traceparent: str | None, tracestate: str | None, random_hex: str) -> Trace:
    """The trace that the caller's headers continue, else a new, sampled one.

    `random_hex` holds 48 digits: 32 for a new trace, 16 for the span. A header that came more than once is
    given with its values joined by commas: two parents are none, two states are one.
    """
    span = random_hex[32:48]
    if traceparent and _USUAL.fullmatch(traceparent):
        trace_id, flag = traceparent[3:35], traceparent[54]
        sampled = "01" if flag in "13579bdf" else "00"  # other flags are not ours to promise
        return Trace(f"00-{trace_id}-{span}-{sampled}", _kept(tracestate) if tracestate else None, trace_id)
    match = _PARENT.fullmatch(traceparent) if traceparent else None
    if match is not None:
        version, trace_id, parent, flags, more = match.groups()
        if (
            version != "ff"
            and trace_id != _NO_TRACE
            and parent != _NO_SPAN
            and not (more and version == "00")
        ):
            sampled = "01" if int(flags, 16) & 1 else "00"
            return Trace(f"00-{trace_id}-{span}-{sampled}", _kept(tracestate), trace_id)
    trace_id = random_hex[:32]
    return Trace(f"00-{trace_id}-{span}-01", None, trace_id)


def _kept(tracestate: str | None) -> str | None:
    if (
        not tracestate
        or len(tracestate) > LONGEST_STATE
        or not tracestate.isascii()
        or not tracestate.isprintable()
    ):
        return None
    return tracestate
