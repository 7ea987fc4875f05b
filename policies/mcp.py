"""MCP behind a prefix: which session a request names, whose it is, and where a stream's endpoint is for the caller.

There are two transports. Streamable HTTP has its session in `Mcp-Session-Id`, or (since 2026-07-28) none. The SSE
transport has it in the address that its first event tells: `event: endpoint`, `data: /messages/?session_id=…`.
"""

import hashlib
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from policies.agent import Caller
from policies.refusal import Refusal

SESSION: Final = "mcp-session-id"
PARAMETERS: Final = frozenset({"session_id", "sessionid"})  # lower case: servers write `sessionId` as well


def owner(caller: Caller) -> tuple[str, str]:
    """Who opens sessions: the user as far as one is named, else whoever holds the same token, else the app.

    A token renewed is the same user, where the user is named; a token itself is not kept.
    """
    if caller.email or caller.name:
        return ("user", (caller.email or caller.name or "").lower())
    if held := caller.token or caller.bearer:
        return ("token", hashlib.blake2b(held.reveal().encode(), digest_size=16).hexdigest())
    return ("app", "")


def queried(target: str) -> tuple[str, ...]:
    """The sessions that a path's query names, every one of them."""
    query = target.partition("?")[2]
    pairs = parse_qsl(query, keep_blank_values=True) if "session" in unquote(query).lower() else ()
    return tuple(value for name, value in pairs if name.lower() in PARAMETERS)


def plainly(target: str) -> str:
    """A path with its query as it is read, for a stream whose endpoint names no session but is one."""
    return unquote(target)


def relative(target: str, asked: str) -> str:
    """A path behind the agent's prefix, as seen from another one: right below whatever prefix a caller used."""
    return ("../" * (asked.partition("?")[0].count("/") - 1) or "./") + target[1:]


def endpoint(data: str, agent_url: str, asked: str) -> str:
    """The endpoint that a stream told, as path and query behind the agent's prefix. `asked`: where the stream is.

    A path is taken from the agent's root, and must lie below its base path: what lies elsewhere is not reached.
    Refusal 502 `agent_protocol_error` where it leads out of the agent.
    """
    agent = urlsplit(agent_url)
    if not (data and data.isascii() and data.isprintable()):
        raise _elsewhere()
    try:
        there = urlsplit(data)
        same = not there.netloc or (there.scheme or agent.scheme, there.netloc) == (
            agent.scheme,
            agent.netloc,
        )
    except ValueError:
        raise _elsewhere() from None
    path = there.path
    if not path.startswith("/"):  # beside the stream
        path = agent.path + asked.partition("?")[0].rpartition("/")[0] + "/" + path
    base = agent.path + "/"
    inside = path.startswith(base) and "\\" not in path
    # `..;x` is the same step to whoever reads parameters of a segment, as RFC 2396 had them
    upwards = any(step.partition(";")[0] == ".." for step in unquote(path).split("/"))
    if not same or not inside or upwards:
        raise _elsewhere()
    return path[len(agent.path) :] + (f"?{there.query}" if there.query else "")


def _elsewhere() -> Refusal:
    return Refusal(
        502,
        "agent_protocol_error",
        detail="The agent's `endpoint` event leads to an address outside of the agent's own.",
        hint="Set the agent's URL to the address below which both its stream and its endpoint are.",
    )
