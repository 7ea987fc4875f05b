"""What a tongue is: how a caller speaks it, how an agent does, and how a stream in it begins and breaks."""

from collections.abc import Callable
from typing import NamedTuple

from middleware.exchange import Call, Headers, Middleware, Reply
from policies.refusal import Refusal


class Dialect(NamedTuple):
    inbound: Middleware  # the caller's tongue → plain chat, and the answer back into it
    outbound: Middleware  # plain chat → the agent's tongue, and the answer back into chat
    opening: (
        Headers  # what a stream in this tongue starts with, where it begins before the agent has answered
    )
    refuse: Callable[[Refusal, Call], Reply]
    last_word: Callable[
        [Refusal, str], bytes | None
    ]  # (why, request id) → a frame; None: break the connection
    terminal: tuple[bytes, ...]  # what proves a raw stream whole; empty: never judged truncated
    relay: Middleware | None = None  # what a relay to such an agent goes through, where `outbound` stands
