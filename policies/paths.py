"""Paths: the one string by which a request is routed and forwarded, and what it asks for."""

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from policies.agent import NAME, Door
from policies.refusal import Refusal

JSONRPC: Final = "a2a"  # the dialect of the gateway's own endpoints
CONNECT: Final = "CONNECT"
_TIDY: Final = re.compile(r"/[A-Za-z0-9/_~-]*")  # nothing in it that could mean something else to somebody
_TARGET: Final = re.compile(r"[\x21\x22\x24-\x7e]*")  # visible ASCII but `#`
_ABSOLUTE: Final = re.compile(r"https?://([^/?]*)", re.IGNORECASE)
_ESCAPE: Final = re.compile(
    r"%(?![0-9A-Fa-f]{2})|%(?:[01][0-9A-Fa-f]|5[Cc]|7[Ff])|\\"
)  # broken, control, backslash
_DOT: Final = re.compile(r"%2[Ee]")
_RELAYED: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"  # and more: all that HTTP knows but TRACE
_PORTS: Final = {"http": 80, "https": 443}
_INSIDE: Final = re.compile(r"%2[Ff]|%3[Bb]|;")  # what some servers split a segment at


class Target(NamedTuple):
    """A request target. `query` starts with its question mark, or is empty, and is as the caller wrote it."""

    path: str
    query: str


class Route(NamedTuple):
    """What a path asks for.

    `template` is the label in metrics and logs, from a closed set; `dialect` is None for a relay; `agent` is
    None where the path names none; `target` is the path and query behind the agent's prefix.
    """

    template: str
    dialect: str | None
    agent: str | None
    target: str


def split(raw: str, host: str | None = None, method: str = "GET") -> Target:
    """A raw request target, cut in two, dot segments resolved once. Escapes stay as they came.

    Refusal 405 `method_not_allowed`: CONNECT, whose target is a place to which a tunnel is to lead.
    Refusal 400 `invalid_path`: a fragment, another host's absolute URL, a backslash, a control character or
    their escapes, a broken escape, a dot segment in disguise (`..;x`, `..%2fx`).
    """
    if method == CONNECT:
        raise Refusal(405, "method_not_allowed", hint="No door is a proxy to elsewhere.")
    path, mark, query = raw.partition("?")
    if _TIDY.fullmatch(path) and not query:
        return Target(path, mark)
    if not _TARGET.fullmatch(raw):
        raise _invalid("The request target holds `#`, a space, or bytes that are not visible ASCII.")
    if absolute := _ABSOLUTE.match(path):
        if absolute[1].lower() != (host or "").lower():
            raise _invalid("The request target names another host than the Host header.")
        path = path[absolute.end() :] or "/"
    if not path.startswith("/"):
        raise _invalid("The request target is no path.")
    return Target(path if _TIDY.fullmatch(path) else _resolved(path), mark + query)


def _resolved(path: str) -> str:
    """Dot segments taken out once, as RFC 3986 §5.2.4 has it; what is escaped twice stays as it is."""
    if _ESCAPE.search(path):
        raise _invalid("The path holds a backslash, a control character, or a broken escape.")
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        meant = _DOT.sub(".", segment) if "%" in segment else segment
        if meant in (".", ".."):
            if meant == ".." and kept:
                kept.pop()
            if number == len(segments) - 1:
                kept.append("")
        elif "." in meant and any(part in (".", "..") for part in _INSIDE.split(meant)):
            raise _invalid("The path holds a dot segment in disguise.")
        else:
            kept.append(segment)
    return "/" + "/".join(kept)


def _invalid(cause: str) -> Refusal:
    return Refusal(400, "invalid_path", detail=cause)


def route(door: Door, method: str, target: Target) -> Route:
    """What a request asks for, once the egress key is cut off. `other` is nothing of an agent's.

    Refusal 405 `method_not_allowed` for anything but POST on /api/chat, and for TRACE to an agent: whoever answers
    that repeats what it was sent, and that has a credential of ours in it.
    """
    path, query = target
    if method == "TRACE" and path.startswith(("/agents/", "/api/agents/")):
        raise Refusal(405, "method_not_allowed", allow=_RELAYED)
    if path == "/api/chat" or (path.startswith("/api/chat/") and NAME.fullmatch(path, 10)):
        if method != "POST":
            hint = "POST a body with `input` or `messages`."
            raise Refusal(405, "method_not_allowed", hint=hint, allow="POST")
        name = path[10:]
        return Route("/api/chat/{agent}" if name else "/api/chat", "chat", name or None, "/invocations")
    if path.startswith("/agents/"):
        name, _, rest = path[8:].partition("/")
        if NAME.fullmatch(name):
            if method == "POST" and rest in ("invocations", "responses"):
                return Route(f"/agents/{{agent}}/{rest}", "responses", name, f"/{rest}{query}")
            return Route("/agents/{agent}/{rest}", None, name, f"/{rest}{query}")
    elif path.startswith("/api/agents/"):
        name, _, rest = path[12:].partition("/")
        if NAME.fullmatch(name):
            if method == "POST" and rest in ("", "message", "stream"):
                streams = "/stream" if rest == "stream" else ""
                return Route(f"/api/agents/{{agent}}{streams}", JSONRPC, name, streams or "/")
            return Route("/api/agents/{agent}/{rest}", None, name, f"/{rest}{query}")
    elif path in ("/invocations", "/responses") and door == "egress" and method == "POST":
        return Route(path, "responses", "default", path + query)
    return Route("other", None, None, path + query)


def listed(path: str, routes: tuple[str, ...]) -> bool:
    """Whether a path is one of these routes, or lies below one."""
    return any(path == one or path.startswith(one if one.endswith("/") else f"{one}/") for one in routes)


def location(value: str, agent_url: str, target: str) -> str | None:
    """An agent's `Location`, told relative to what the caller asked for; None if it leads out of the agent.

    `target` is what was asked for behind the agent's prefix. Relative, because the caller's own path may
    begin with an egress key.
    """
    if not _TARGET.fullmatch(value.replace("#", "", 1)) or "\\" in value:
        return None
    try:
        there, agent = urlsplit(urljoin(agent_url + target, value)), urlsplit(agent_url)
        if _authority(there) != _authority(agent):
            return None
        path = _resolved(there.path)
    except (ValueError, Refusal):
        return None
    if path != agent.path and not path.startswith(f"{agent.path}/"):
        return None
    up = "../" * (target.partition("?")[0].count("/") - 1) or "./"
    return up + there._replace(scheme="", netloc="", path=path[len(agent.path) + 1 :]).geturl()


def _authority(url: SplitResult) -> tuple[str, str | None, str | None, int | None]:
    return url.scheme, url.username, url.hostname, url.port or _PORTS.get(url.scheme)
