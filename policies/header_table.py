"""Which headers go from whom to whom: one table, which `policies.headers` obeys and docs/headers.md is."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

Way = Literal["as it came", "told anew", "no"]

IDENTITY: Final = (
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-app-user-email",
)
HOP: Final[tuple[str, ...]] = (
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-*",
)
LONGEST_CHAIN: Final = 3  # sidecars one behind another; one more is a loop


class Row(NamedTuple):
    """Names of a request, in lower case; one that ends with `*` stands for all that begin so."""

    names: tuple[str, ...]
    sender: str
    chat: Way
    relay: Way
    remark: str


REQUEST: Final[tuple[Row, ...]] = (
    Row(
        ("content-type", "accept"),
        "the caller",
        "as it came",
        "as it came",
        "A middleware that changes the body, or the wish for a stream, changes these with it.",
    ),
    Row(
        ("idempotency-key", "last-event-id", "x-mlflow-return-trace-id", "a2a-*", "mcp-*"),
        "the caller",
        "as it came",
        "as it came",
        "Never removed. `SIDECAR_AGENTS__<NAME>__HEADERS` adds names to this line, for that agent.",
    ),
    Row(
        ("x-request-id", "traceparent", "tracestate"),
        "the caller",
        "told anew",
        "told anew",
        "The agent always gets a UUID, and a span of its own in the caller's trace.",
    ),
    Row(
        ("accept-encoding",),
        "the caller",
        "told anew",
        "as it came",
        "A chat asks for `identity`: a compressed stream is a late one.",
    ),
    Row(
        ("content-encoding",),
        "the caller",
        "no",
        "as it came",
        "A chat's body is read, so it comes uncompressed (else 415 `unsupported_media_type`).",
    ),
    Row(
        IDENTITY,
        "the platform's proxy, or who holds the egress key",
        "no",
        "no",
        "Read into the caller where the door believes them, and taken out in any spelling. What a trusted "
        "agent is told (`x-forwarded-access-token`, `x-app-user-email`) is written by `credentials`; a `builder` "
        "is told `x-forwarded-email` too.",
    ),
    Row(
        ("authorization",),
        "the caller",
        "no",
        "no",
        "Ends here. `credentials` writes the one that the agent's `AUTH` asks for.",
    ),
    Row(("cookie", "cookie2"), "the browser", "no", "no", "End here: cookies belong to the frontend."),
    Row(
        ("forwarded", "x-forwarded-*", "x-real-ip"),
        "proxies in front of us, or anybody",
        "no",
        "no",
        "End here, and nothing is decided by them.",
    ),
    Row(
        ("via",),
        "the caller",
        "told anew",
        "told anew",
        f"Only our own mark goes on, once more each time; a request that has passed {LONGEST_CHAIN} sidecars "
        "is a loop (508 `loop_detected`).",
    ),
    Row(
        ("host", "content-length", "expect"),
        "the caller",
        "told anew",
        "told anew",
        "Written for the agent's own address and for the bytes that really leave.",
    ),
    Row(
        HOP,
        "the caller",
        "no",
        "no",
        "Hop by hop, with whatever else `Connection` names. Nothing of the lines above may be named there "
        "(400 `bad_request`): no header can be nominated away. A WebSocket's handshake is told anew with a "
        "relay.",
    ),
)


class Back(NamedTuple):
    """Names of an agent's answer, in lower case, that do not simply go on to the caller."""

    names: tuple[str, ...]
    remark: str


ANSWER: Final[tuple[Back, ...]] = (
    Back(HOP, "Hop by hop, with whatever else `Connection` names."),
    Back(
        ("content-length", "date", "x-request-id"),
        "Told anew: the length that really leaves, when it does, and the caller's own id.",
    ),
    Back(("server", "via"), "They name what stands behind us."),
    Back(
        (
            "set-cookie",
            "set-cookie2",
            "strict-transport-security",
            "alt-svc",
            "clear-site-data",
            "service-worker-allowed",
            "refresh",
            "access-control-*",
        ),
        "They speak to a browser for the whole origin, which is the frontend's and no agent's.",
    ),
)
IF_OURS: Final = Back(
    ("location",),
    "Removed, unless a relay's points to the agent itself: then it is told relative to the caller's path.",
)
IF_REAL: Final = Back(("content-encoding",), "Removed where it says `none`, which is no coding.")


class Onward(NamedTuple):
    """Names of a request to the frontend, in lower case. `believed`: from the platform's proxy, or SIDECAR_TRUST."""

    names: tuple[str, ...]
    believed: Way
    otherwise: Way
    remark: str


# The first row that has a name rules it.
FRONTEND: Final = (
    Onward(
        ("x-app-user-email",),
        "no",
        "no",
        "No proxy sets it, and any browser can. A frontend tells it at egress.",
    ),
    Onward(
        IDENTITY,
        "as it came",
        "no",
        "What the frontend would see without us. `SIDECAR_DEV_USER` writes them as the platform does.",
    ),
    Onward(
        ("x-forwarded-for",),
        "told anew",
        "told anew",
        "What came, and behind it the address of our own peer; else that address alone.",
    ),
    Onward(
        ("x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
        "as it came",
        "told anew",
        "Else from the connection: its `Host`, `http`, its address.",
    ),
    Onward(
        (
            *("forwarded", "x-forwarded", "x-forwarded-*", "x-original-*", "x-rewrite-url", "x-host"),
            *("x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip"),
            "x-envoy-*",
        ),
        "as it came",
        "no",
        "Other ways to say from where a request comes, and what for. Frameworks act on them.",
    ),
    Onward(
        ("via",),
        "told anew",
        "told anew",
        f"What came, and our mark behind it. A request that has passed {LONGEST_CHAIN} fronts is a loop (508 "
        "`loop_detected`).",
    ),
    Onward(("content-length", "expect"), "told anew", "told anew", "For the bytes that really leave."),
    Onward(HOP, "no", "no", "Hop by hop, with whatever else `Connection` names."),
)
BACK: Final = Back(
    (*HOP, "content-length"),
    "Hop by hop, with whatever else `Connection` names; the length is told anew. `x-request-id` is added "
    "where the frontend tells none.",
)


INTRODUCTION: Final = """\
Made from `policies/header_table.py` by `make docs`; do not edit.

What goes from whom to whom: the code obeys the same table. A **chat** is a question in one of the dialects; a
**relay** is everything else under `/agents/<agent>/`. Names are compared without regard to case, and with `_`
taken for `-` wherever something is kept back.

A value that holds a control character, or bytes that are no UTF-8, never goes out. From a caller it is
refused (400 `bad_request`); from an agent a control character is 502 `agent_protocol_error`, and a value that
is no UTF-8 is left out."""


BESIDE: Final = """\
What a browser's request takes along to the app behind the front (docs/front.md). A name that is ruled here and
comes spelled with `_` is removed: some servers take it for the same. Bytes that are no UTF-8 pass as they are."""


def page() -> str:
    """docs/headers.md."""
    lines = ["# Headers", "", INTRODUCTION, "", "## From a caller to an agent", ""]
    lines += _table("Header", "Who sends it", "With a chat", "With a relay", "Why, and when it is removed")
    lines += [_row(_code(row.names), row.sender, row.chat, row.relay, row.remark) for row in REQUEST]
    lines.append(
        _row("everything else", "the caller", "no", "as it came", "A chat starts from an allow-list.")
    )
    lines += ["", "## From an agent to a caller", ""]
    lines += _table("Header", "What becomes of it")
    lines += [_row(_code(back.names), f"Removed. {back.remark}") for back in ANSWER]
    lines += [_row(_code(back.names), back.remark) for back in (IF_OURS, IF_REAL)]
    lines.append(_row("everything else", "As it came."))
    return "\n".join([*lines, "", *_frontend(), ""])


def _frontend() -> list[str]:
    lines = ["## From the front to the frontend", "", BESIDE, ""]
    lines += _table("Header", "From a proxy that is believed", "From anybody else", "Why")
    lines += [_row(_code(row.names), row.believed, row.otherwise, row.remark) for row in FRONTEND]
    lines.append(_row("everything else", "as it came", "as it came", "`Host`, cookies, `Authorization` too."))
    lines += ["", "## From the frontend to its caller", "", *_table("Header", "What becomes of it")]
    lines.append(_row(_code(BACK.names), f"Removed. {BACK.remark}"))
    lines.append(_row("everything else", "As it came: it is the app's own origin, so it may speak for it."))
    return lines


def _table(*titles: str) -> list[str]:
    return [_row(*titles), _row(*("---" for _ in titles))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
