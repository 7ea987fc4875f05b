"""What passes between the front and the frontend: everything, but for whose word it is and from where it comes.

`policies.header_table.FRONTEND` says it line by line. Values are not looked into: bytes that are no UTF-8 pass. What
would break a line of a request is refused by our parser, and by the wire again.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from policies import header_table as table
from policies.headers import HANDSHAKE, Headers, Pairs, handshake, plain
from policies.refusal import Refusal

MARK: Final = "1.1 sidecar-front"  # in `Via`; other than the mark of calls to agents, which are counted apart
LONGEST_NAMES: Final = 4096  # of a request's headers together, for what they come to to be remembered
SCHEME: Final = "http"  # the doors speak no TLS

_ROWS: Final = {name: row for row in reversed(table.FRONTEND) for name in row.names if name[-1] != "*"}
_BEGIN: Final = tuple((name[:-1], row) for row in table.FRONTEND for name in row.names if name[-1] == "*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_USUAL: Final = frozenset({"keep-alive", "close", "upgrade"})
_CLOSED: Final = frozenset({*_ROWS, "authorization", "cookie", "host", "content-type"}) - frozenset(table.HOP)
_BEHIND: Final = re.compile(r"x[-_]forwarded")
_BACK: Final = frozenset(name for name in table.BACK.names if name[-1] != "*")


def onward(
    headers: Headers,
    *,
    believed: bool,
    peer: str | None,
    request_id: str,
    played: Sequence[tuple[str, str]] = (),
) -> Pairs:
    """What a request takes along to the frontend.

    `believed`    the platform's proxy sent it, or one in SIDECAR_TRUST
    `peer`        the address of the connection's other end
    `request_id`  told where the caller sent none
    `played`      what SIDECAR_DEV_USER says in the platform's place

    Refusal: 400 `bad_request`, 508 `loop_detected`.
    """
    items = list(headers.items())
    spelled = "\n".join([name for name, _ in items])
    keep = _kept if len(spelled) <= LONGEST_NAMES else _kept.__wrapped__
    pairs = [items[at] for at in keep(spelled, believed)]
    if "connection" in headers and (named := _named(headers)):
        pairs = [pair for pair in pairs if pair[0].lower() not in named]
    here = peer or "unknown"
    if believed:
        pairs.append(("X-Forwarded-For", ", ".join([*headers.getall("x-forwarded-for", ()), here])))
    else:
        host = ("X-Forwarded-Host", headers.get("host", ""))
        pairs += (
            ("X-Forwarded-For", here),
            host,
            ("X-Forwarded-Proto", SCHEME),
            ("X-Real-Ip", here),
            *played,
        )
    if "x-request-id" not in headers:
        pairs.append(("X-Request-Id", request_id))
    pairs.append(("Via", _via(headers) if "via" in headers else MARK))
    if "upgrade" in headers and handshake(headers):
        pairs += HANDSHAKE
    return pairs


def back(headers: Headers, request_id: str) -> Pairs:
    """What the caller sees of the frontend's headers. Refusal 502 `frontend_broke_off`: a value would split it."""
    items = list(headers.items())
    spelled = "\n".join([name for name, _ in items])
    told = _told if len(spelled) <= LONGEST_NAMES else _told.__wrapped__
    pairs = [items[at] for at in told(spelled)]
    if "connection" in headers and (named := _listed(headers.getall("connection"))):
        pairs = [pair for pair in pairs if pair[0].lower() not in named]
    text = "".join([value for _, value in pairs])
    if not (text.isascii() and text.isprintable()) and _CONTROL.search(text):
        raise Refusal(502, "frontend_broke_off", detail="The app's header holds a control character.")
    if "x-request-id" not in headers:
        pairs.append(("x-request-id", request_id))
    return pairs


def navigates(method: str, headers: Headers) -> bool:
    """Whether a person waits for a page, and not a script for an answer."""
    mode = headers.get("sec-fetch-mode")
    return method == "GET" and (mode or "navigate") == "navigate" and "text/html" in headers.get("accept", "")


def opens(method: str, headers: Headers) -> bool:
    """Whether a browser opens a page in a window of its own, as a link on any site may have it do."""
    how = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return method == "GET" and how == ("navigate", "document")


def played(email: str, workspace: str | None, token: str | None) -> Pairs:
    """A user as the platform's proxy tells of one. Its id is made up, and no e-mail: none is on the platform."""
    number = sum(256**at * byte for at, byte in enumerate(email.encode()[-6:]))
    pairs = [
        ("X-Forwarded-Email", email),
        ("X-Forwarded-User", f"{number:016}@{workspace or 0}"),
        ("X-Forwarded-Preferred-Username", email),
    ]
    return pairs if token is None else [*pairs, ("X-Forwarded-Access-Token", token)]


@lru_cache(512)
def _kept(spelled: str, believed: bool) -> tuple[int, ...]:
    """Which of these names (a line each) go on as they came, by place. The same client sends the same again."""
    return tuple(at for at, name in enumerate(spelled.splitlines()) if _passes(name, believed))


@lru_cache(512)
def _told(spelled: str) -> tuple[int, ...]:
    """The same of an answer's names."""
    names = enumerate(spelled.lower().splitlines())
    return tuple(at for at, name in names if name not in _BACK and not name.startswith("proxy-"))


def _passes(name: str, believed: bool) -> bool:
    known = plain(name)
    row = _ROWS.get(known) or next((row for begin, row in _BEGIN if known.startswith(begin)), None)
    if row is None:
        return True
    return (row.believed if believed else row.otherwise) == "as it came" and known == name.lower()


def _named(headers: Headers) -> frozenset[str]:
    """What `Connection` names goes no further; but nobody names away what tells who asks, and from where."""
    values = headers.getall("connection")
    if len(values) == 1 and values[0].lower() in _USUAL:
        return frozenset()
    named = _listed(values)
    for name in named:
        if name in _CLOSED or _BEHIND.match(name):
            detail = f"`Connection` names {plain(name)}, which goes from end to end."
            raise Refusal(400, "bad_request", detail=detail, sent="none")
    return named


def _listed(values: Sequence[str]) -> frozenset[str]:
    return frozenset(name.strip().lower() for value in values for name in value.split(","))


def _via(headers: Headers) -> str:
    came = ", ".join(headers.getall("via"))
    if came.count(MARK) >= table.LONGEST_CHAIN:
        raise Refusal(
            508,
            "loop_detected",
            detail="The request has come through this front again and again.",
            hint="SIDECAR_FRONTEND_URL leads back to a sidecar: set it to the app's own address.",
            sent="none",
        )
    return f"{came}, {MARK}"
