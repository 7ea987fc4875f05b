"""Agents and callers, as values."""

import re
from typing import Final, Literal, NamedTuple

from policies.secret import Secret

Door = Literal["front", "egress", "admin"]
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Agent(NamedTuple):
    """One agent app: where it is, what it speaks, and what it may be told. Holds no secret."""

    name: str
    url: str  # origin and base path, without a slash at the end
    kind: str = "responses"
    auth: str = "none"  # app | user | static | oauth | none; `auto` is resolved at start
    trusted: bool = False  # may be told who the user is (DESIGN §8)
    streaming: str = "auto"  # auto | on | off
    stream_default: str = "json"  # json | sse: a body without `stream` on the agent paths
    shape: str = "auto"  # auto | as-is | input | messages
    replay: str = "auto"  # auto | never
    headers: tuple[str, ...] = ()  # further header names that may go to it, in lower case
    why_trusted: str = ""  # one sentence for people


class Caller(NamedTuple):
    """Who calls, as far as it is believed. `token` is the end user's own and is shown to few."""

    door: Door = "egress"
    believed: bool = False
    name: str | None = None
    email: str | None = None
    token: Secret | None = None
