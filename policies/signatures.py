"""How somebody in front of an agent says what became of a request: data, extended by what is met."""

import re
from typing import Final

# (statuses, what the beginning of the body says) of a proxy that found nobody to hand the request to.
# `connection termination` and `overflow` are missing on purpose: there the request may have been read.
NOT_STARTED: Final = (
    ({503}, r"no healthy upstream"),
    ({503}, r"reset reason: (remote |local )?connection (failure|timeout)"),
    ({502, 503, 504}, r"\bapp(lication)? (is )?(currently )?(not (available|running|ready)|unavailable)"),
    ({502, 503, 504}, r"\bapp(lication)? (is|has been) (starting|stopped|waking up)"),
)

_NOT_STARTED: Final = tuple(
    (statuses, re.compile(words.encode(), re.IGNORECASE)) for statuses, words in NOT_STARTED
)


def not_started(status: int, body: bytes) -> bool:
    """Whether this answer says, in words that are known, that the request reached no agent."""
    return any(status in statuses and words.search(body[:4096]) for statuses, words in _NOT_STARTED)
