"""One string by which a request is routed and forwarded."""

import posixpath
import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.agent import Door
from policies.paths import Route, Target, listed, location, route, split
from policies.refusal import Refusal


def routed(raw: str, method: str = "POST", door: Door = "egress") -> Route:
    return route(door, method, split(raw, "127.0.0.1:9800"))


# --- the target -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/api/chat", "/api/chat"),
        ("/agents/a/%2e%2e/%2e%2e/admin", "/admin"),
        ("/agents/a/../../admin", "/admin"),
        ("/agents/a/../../../../admin", "/admin"),
        ("/agents/a/.%2E/b", "/agents/b"),
        ("/agents/a/./x/.", "/agents/a/x/"),
        ("/agents/a/x/..", "/agents/a/"),
        ("/..", "/"),
        ("/agents/a/%252e%252e/admin", "/agents/a/%252e%252e/admin"),
        ("/agents/a/...", "/agents/a/..."),
        ("/agents/a/.well-known/agent.json", "/agents/a/.well-known/agent.json"),
        ("/agents/a//x///y", "/agents/a//x///y"),
        ("/agents/a//../b", "/agents/a/b"),
        ("//evil/x", "//evil/x"),
        ("/@evil", "/@evil"),
    ],
)
def test_dot_segments_are_resolved_once_and_nothing_else_is_touched(raw: str, path: str) -> None:
    """U01, U03"""
    assert split(raw) == Target(path, "")


@pytest.mark.parametrize("escape", ["%2f", "%2F", "%3b", "%25", "%23", "%3f", "%20", "%c3%a9", "%41"])
def test_an_escape_stays_as_it_came(escape: str) -> None:
    """U02"""
    assert split(f"/agents/a/x{escape}y").path == f"/agents/a/x{escape}y"


@pytest.mark.parametrize(
    "raw",
    [
        "/a%00b",
        "/a%5cb",
        "/a%5Cb",
        "/a\\b",
        "/\\evil",
        "/a/\\..\\b",
        "/a%0d%0aX:1",
        "/a%0A",
        "/a%1fb",
        "/a%7f",
        "/a%zzb",
        "/a%",
        "/a%4",
        "/a b",
        "/a\tb",
        "/a\0b",
        "/a\x7fb",
        "/é",
        "/\udce9",
        "/a#b",
        "/a?b#c",
        "/a?é",
        "/a?b\r\nX: 1",
        "/agents/a/..;/b",
        "/agents/a/..%3b/b",
        "/agents/a/..;x=1/b",
        "/agents/a/..%2fb",
        "/agents/a/%2e%2e%2Fb",
        "/agents/a/x%2f..%2fb",
        "/agents/a/.%2fb",
        "",
        "*",
        "api/chat",
        "example.org:443",
        "?x",
    ],
)
def test_what_could_mean_something_else_to_somebody_is_refused(raw: str) -> None:
    """U01, U02, U05, U06, F20, F21"""
    with pytest.raises(Refusal) as refused:
        split(raw, "127.0.0.1")
    assert (refused.value.status, refused.value.code) == (400, "invalid_path")


@pytest.mark.parametrize("raw", ["example.org:443", "/agents/a/x", "http://127.0.0.1/x"])
def test_a_tunnel_is_refused_whatever_it_is_to_lead_to(raw: str) -> None:
    """F20"""
    with pytest.raises(Refusal) as refused:
        split(raw, "127.0.0.1", "CONNECT")
    assert (refused.value.status, refused.value.code) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "query", ["?", "?a=%zz", "?a+b", "?a=%26&a=%26&a", "?%00", "?a=../..", "?a=%5c\\", "??"]
)
def test_a_query_stays_byte_for_byte(query: str) -> None:
    """U04"""
    assert split(f"/agents/a/x{query}") == Target("/agents/a/x", query)
    assert routed(f"/agents/a/x{query}").target == f"/x{query}"


def test_an_absolute_target_is_taken_for_its_path_where_it_names_this_host() -> None:
    """F19"""
    assert split("http://LocalHost:9800/agents/a?x=1", "localhost:9800") == Target("/agents/a", "?x=1")
    assert split("http://localhost", "localhost") == Target("/", "")


@pytest.mark.parametrize(
    "raw",
    [
        "http://evil/agents/a",
        "https://localhost:1/x",
        "http://localhost@evil/x",
        "http:///x",
        "ftp://localhost/x",
    ],
)
def test_an_absolute_target_of_another_host_is_refused(raw: str) -> None:
    """F19"""
    with pytest.raises(Refusal):
        split(raw, "localhost")


# --- routes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("/api/chat", Route("/api/chat", "chat", None, "/invocations")),
        ("/api/chat?x=1", Route("/api/chat", "chat", None, "/invocations")),
        ("/api/chat/billing-2", Route("/api/chat/{agent}", "chat", "billing-2", "/invocations")),
        ("/agents/a/invocations", Route("/agents/{agent}/invocations", "responses", "a", "/invocations")),
        ("/agents/a/responses?x", Route("/agents/{agent}/responses", "responses", "a", "/responses?x")),
        ("/agents/a/responses/7", Route("/agents/{agent}/{rest}", None, "a", "/responses/7")),
        ("/agents/a/invocations/", Route("/agents/{agent}/{rest}", None, "a", "/invocations/")),
        ("/agents/a/x%2fy", Route("/agents/{agent}/{rest}", None, "a", "/x%2fy")),
        ("/agents/a//evil/x", Route("/agents/{agent}/{rest}", None, "a", "//evil/x")),
        ("/agents/a/", Route("/agents/{agent}/{rest}", None, "a", "/")),
        ("/agents/a", Route("/agents/{agent}/{rest}", None, "a", "/")),
        ("/api/agents/a", Route("/api/agents/{agent}", "a2a", "a", "/")),
        ("/api/agents/a/", Route("/api/agents/{agent}", "a2a", "a", "/")),
        ("/api/agents/a/message?x", Route("/api/agents/{agent}", "a2a", "a", "/")),
        ("/api/agents/a/stream", Route("/api/agents/{agent}/stream", "a2a", "a", "/stream")),
        ("/api/agents/a/stream/x", Route("/api/agents/{agent}/{rest}", None, "a", "/stream/x")),
        (
            "/api/agents/a/v1/message:send?x",
            Route("/api/agents/{agent}/{rest}", None, "a", "/v1/message:send?x"),
        ),
        (
            "/api/agents/a/tasks/b%3A:cancel",
            Route("/api/agents/{agent}/{rest}", None, "a", "/tasks/b%3A:cancel"),
        ),
        ("/invocations", Route("/invocations", "responses", "default", "/invocations")),
        ("/responses?a=%zz", Route("/responses", "responses", "default", "/responses?a=%zz")),
    ],
)
def test_a_path_says_what_is_asked_for(raw: str, found: Route) -> None:
    assert routed(raw) == found


@pytest.mark.parametrize(
    "raw",
    [
        "/",
        "/api",
        "/api/chat/",
        "/api/chat/A",
        "/api/chat/a/b",
        "/api/chatter",
        "//api/chat",
        "/agents",
        "/agents/",
        "/agents/-a/x",
        "/agents/A/x",
        "/agents/%61/x",
        f"/agents/{'a' * 64}/x",
        "/agents/a/../../admin",
        "/agents/a/%2e%2e/%2e%2e/metrics",
        "/invocations/",
        "/responses/7",
    ],
)
def test_anything_else_is_nothing_of_an_agents(raw: str) -> None:
    """U01, U03"""
    found = routed(raw)
    assert (found.template, found.dialect, found.agent) == ("other", None, None)


@pytest.mark.parametrize("path", ["/invocations", "/responses"])
def test_the_roots_short_paths_are_the_egress_doors(path: str) -> None:
    assert routed(path, door="front").template == "other"
    assert routed(path, "GET").template == "other"


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "OPTIONS"])
def test_api_chat_takes_post_and_nothing_else(method: str) -> None:
    with pytest.raises(Refusal) as refused:
        routed("/api/chat", method)
    assert (refused.value.status, refused.value.code) == (405, "method_not_allowed")
    assert refused.value.allow == "POST"


@pytest.mark.parametrize(
    "path", ["/agents/a/x", "/agents/a/invocations", "/api/agents/a", "/api/agents/a/mcp"]
)
def test_trace_is_for_no_agent(path: str) -> None:
    """A server that answers it repeats the request, bearer and all."""
    with pytest.raises(Refusal) as refused:
        routed(path, "TRACE")
    assert (refused.value.status, refused.value.code) == (405, "method_not_allowed")
    assert refused.value.allow is not None
    assert "TRACE" not in refused.value.allow


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "post"])
def test_only_a_post_to_an_agents_chat_path_is_a_chat(method: str) -> None:
    assert routed("/agents/a/responses", method) == Route("/agents/{agent}/{rest}", None, "a", "/responses")


@pytest.mark.parametrize(
    ("path", "is_listed"),
    [
        ("/api/chat", True),
        ("/api/chat/billing", True),
        ("/api/chatter", False),
        ("/agents/a/x", True),
        ("/agents", False),
        ("/", False),
        ("/x/api/chat", False),
    ],
)
def test_a_listed_route_covers_what_lies_below_it(path: str, is_listed: bool) -> None:
    assert listed(path, ("/api/chat", "/agents/")) is is_listed


def test_no_route_is_listed_where_none_is_named() -> None:
    assert not listed("/api/chat", ())


PIECES = st.sampled_from(
    [
        "/",
        "//",
        "a",
        "agents",
        "api/chat",
        "..",
        ".",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "%252e",
        ";",
        "%3b",
        "\\",
        "@evil",
        "%41",
        "%",
        ":",
        "é",
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_dot_segment_leads_out_of_an_agents_prefix_however_it_is_read(tail: str) -> None:
    """U01, U02, U03: not even where the agent decodes escapes, or cuts segments at `;`."""
    try:
        found = routed(f"/agents/a/{tail}", "GET")
    except Refusal as refusal:
        assert refusal.code == "invalid_path"  # noqa: PT017
        return
    if found.agent is None:
        return
    assert found.target.startswith("/")
    forwarded = urlsplit("http://agent.example.org/base" + found.target)
    assert forwarded.netloc == "agent.example.org"
    for read in (forwarded.path, unquote(forwarded.path), re.sub(";[^/]*", "", unquote(forwarded.path))):
        assert posixpath.normpath(read).startswith("/base")


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["", "?", "?a=%zz&a", "?../.."]))
def test_what_is_forwarded_is_what_was_routed_and_resolving_again_changes_nothing(
    tail: str, query: str
) -> None:
    """U02: match and forward use the same string."""
    try:
        target = split(f"/agents/{tail}{query}")
    except Refusal:
        return
    assert split(target.path + target.query) == target
    found = route("egress", "POST", target)
    if found.dialect == "chat":
        return
    prefix = f"/agents/{found.agent}" if found.agent else ""
    assert prefix + found.target == target.path + target.query or target.path == prefix


# --- Location ---------------------------------------------------------------------------------------------

AGENT = "https://agent.example.org/base"
ASKED = "/v1/x?page=1"
OURS = "http://127.0.0.1:9800/~0123456789abcdef0123456789abcdef/agents/a"


@pytest.mark.parametrize(
    ("value", "told", "leads_to"),
    [
        ("https://agent.example.org/base/runs/7?x=1#y", "../runs/7?x=1#y", "/runs/7?x=1#y"),
        ("https://AGENT.example.org:443/base/runs", "../runs", "/runs"),
        ("https://agent.example.org/base", "../", "/"),
        ("https://agent.example.org/base/", "../", "/"),
        ("https://agent.example.org/base/a/../b", "../b", "/b"),
        ("/base/runs", "../runs", "/runs"),
        ("runs/8", "../v1/runs/8", "/v1/runs/8"),
        ("?page=2", "../v1/x?page=2", "/v1/x?page=2"),
        ("../y", "../y", "/y"),
        ("/base/a:b", "../a:b", "/a:b"),
    ],
)
def test_a_location_inside_the_agent_leads_a_caller_there_through_us(
    value: str, told: str, leads_to: str
) -> None:
    """U07"""
    assert location(value, AGENT, ASKED) == told
    assert urljoin(OURS + ASKED, told) == OURS + leads_to


def test_a_location_beside_what_was_asked_for_begins_with_a_dot() -> None:
    assert location("https://agent.example.org/a:b", "https://agent.example.org", "/x") == "./a:b"
    assert location("https://agent.example.org//evil.org", "https://agent.example.org", "/x") == ".//evil.org"


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.org/base/x",
        "https://agent.example.org.evil/base/x",
        "https://agent.example.org@evil.org/base/x",
        "https://me@agent.example.org/base/x",
        "https://agent.example.org/base/../x",
        "https://agent.example.org/base/%2e%2e/x",
        "https://agent.example.org/base/..%2fx",
        "https://agent.example.org/base/..;/x",
        "http://agent.example.org/base/x",
        "https://agent.example.org:8443/base/x",
        "https://agent.example.org:x/base",
        "//evil.org/base/x",
        "/\\evil.org",
        "\\\\evil.org",
        "/elsewhere",
        "/basement",
        "../../../x",
        "/base/../x",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://[::1/base",
        "/base/a b",
        "/base/\r\nx-evil: 1",
        "/base/é",
        "/base/x#y#z",
    ],
)
def test_a_location_that_leads_anywhere_else_is_not_told(value: str) -> None:
    """U07, U13, U14"""
    assert location(value, AGENT, ASKED) is None


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(
        [
            "",
            "https://agent.example.org/base/",
            "https://agent.example.org",
            "//agent.example.org/base/",
            "/base/",
            "//",
        ]
    ),
    st.lists(PIECES | st.sampled_from(["?", "#", "\t", "/base/"]), max_size=8).map("".join),
)
def test_no_location_leads_a_browser_off_the_agents_path(start: str, value: str) -> None:
    """U13: no open redirect."""
    told = location(start + value, AGENT, ASKED)
    if told is not None:
        there = urlsplit(urljoin(OURS + ASKED, told))
        assert there.netloc == "127.0.0.1:9800"
        assert f"{there.scheme}://{there.netloc}{there.path}".startswith(f"{OURS}/")
