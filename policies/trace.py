"""W3C trace context by hand: the caller's trace goes on with a span of ours, or a new one starts."""

import re
from typing import Final

from policies.digits import is_lower_hex

LONGEST_STATE: Final = 512  # bytes of tracestate that have to be passed on; more is dropped

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


def continued_or_new(
    traceparent: str | None, tracestate: str | None, random_hex: str
) -> tuple[str, str | None]:
    """What goes to the agent as `traceparent`, and as `tracestate` if there is one: the trace that the caller's
    headers continue, else a new, sampled one. `[3:35]` of the first is the trace's id.

    `random_hex` holds 48 digits: 32 for a new trace, 16 for the span. A header that came more than once is
    given with its values joined by commas: two parents are none, two states are one.
    """
    span = random_hex[32:48]
    if traceparent is not None and usual(traceparent):
        flag = traceparent[54]
        sampled = "01" if flag in "13579bdf" else "00"  # other flags are not ours to promise
        return f"{traceparent[:36]}{span}-{sampled}", _kept(tracestate) if tracestate else None
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
            return f"00-{trace_id}-{span}-{sampled}", _kept(tracestate)
    return f"00-{random_hex[:32]}-{span}-01", None


def usual(traceparent: str) -> bool:
    """Whether this is a parent as nearly all are: of the version that we speak, with nothing behind it."""
    return (
        len(traceparent) == 55
        and traceparent.startswith("00-")
        and traceparent[35] == "-"
        and traceparent[52] == "-"
        and is_lower_hex(traceparent[3:35] + traceparent[36:52] + traceparent[53:], 25)
        and traceparent[3:35] != _NO_TRACE
        and traceparent[36:52] != _NO_SPAN
    )


def _kept(tracestate: str | None) -> str | None:
    if (
        not tracestate
        or len(tracestate) > LONGEST_STATE
        or not tracestate.isascii()
        or not tracestate.isprintable()
    ):
        return None
    return tracestate
