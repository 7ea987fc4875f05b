"""Agents and callers, as values."""

import re
from typing import Final, Literal, NamedTuple

from policies.secret import Secret

Door = Literal["front", "egress", "admin"]
FRONTEND: Final = "frontend"  # the kind of the app behind the front, where that is asked like an agent
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Agent(NamedTuple):
    """One agent app: where it is, what it speaks, and what it may be told. Holds no secret."""

    name: str
    url: str  # origin and base path, without a slash at the end
    kind: str = "responses"
    auth: str = "none"  # app | user | static | oauth | none; `auto` is resolved at start
    trusted: bool = False  # may be told who the user is (docs/threats.md)
    streaming: str = "auto"  # auto | on | off
    stream_default: str = "json"  # json | sse: a body without `stream` on the agent paths
    shape: str = "auto"  # auto | as-is | input | messages
    replay: str = "auto"  # auto | never
    headers: tuple[str, ...] = ()  # further header names that may go to it, in lower case
    project: str = "agent-sidecar"  # of a builder: in which of each user's projects conversations are
    allow: tuple[str, ...] = ()  # of an apx agent: instructions | identity | tools | dev (policies.apx)
    why_trusted: str = ""  # one sentence for people
    connection: str = (
        ""  # the Unity Catalog connection by which it was found; empty: it stands in the settings
    )
    card: str = ""  # the path of its card behind `url`, where that is none of the well-known ones
    public: bool = False  # only addresses that everybody can reach are connected to: somebody else named it
    credential: str = ""  # under which name its credential is kept; empty: its own
    settled: bool = (
        True  # where it is and what it speaks is known; else it is asked for before the first call
    )


class Caller(NamedTuple):
    """Who calls, as far as it is believed. `token` is the end user's own and is shown to few, `bearer` to fewer."""

    door: Door = "egress"
    believed: bool = False
    name: str | None = None
    email: str | None = None
    token: Secret | None = None
    bearer: Secret | None = (
        None  # what it showed to be judged by; for the workspace, never for an agent as such
    )
