"""What a call takes along, and what comes back of an answer."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from policies.header_table import ANSWER, IDENTITY, REQUEST, page
from policies.headers import PSEUDONYM, Headers, Pairs, answer, openable, outbound, plain, relayed
from policies.refusal import Refusal

FORWARDING = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "x-real-ip",
)
NEVER = (*IDENTITY, "authorization", "cookie", *FORWARDING)
HOPS = (
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
    "proxy-foo",
)


Policy = Callable[[Headers], Pairs]


def came(*pairs: tuple[str, str]) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


def names(pairs: list[tuple[str, str]]) -> set[str]:
    return {name.lower() for name, _ in pairs}


# --- a chat starts from an allow-list ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "content-type",
        "Accept",
        "Idempotency-Key",
        "last-event-id",
        "X-MLflow-Return-Trace-Id",
        "A2A-Version",
        "Mcp-Session-Id",
    ],
)
def test_a_chat_takes_along_what_the_table_allows_in_any_case(name: str) -> None:
    assert (name, "kept") in outbound(came((name, "kept")))


@pytest.mark.parametrize(
    "name", [*NEVER, *HOPS, "x-anything", "user-agent", "baggage", "host", "content-length"]
)
def test_a_chat_takes_along_nothing_else(name: str) -> None:
    """H01, H07, H15: identity, authorization, cookies and everything unknown stay here."""
    assert name not in names(outbound(came((name, "1"))))


@pytest.mark.parametrize("name", ["x-request-id", "traceparent", "tracestate"])
@pytest.mark.parametrize("policy", [outbound, relayed])
def test_ids_and_traces_are_told_anew_by_the_edge_and_never_copied(policy: Policy, name: str) -> None:
    assert name not in names(policy(came((name, "1"))))


def test_a_chat_asks_for_an_uncompressed_answer_whatever_the_caller_accepts() -> None:
    pairs = outbound(came(("Accept-Encoding", "gzip, br")))
    assert [value for name, value in pairs if name.lower() == "accept-encoding"] == ["identity"]


def test_configuration_may_add_names_to_what_a_chat_takes_along() -> None:
    pairs = outbound(came(("X-Tenant", "blue"), ("X-Region", "north")), ("x-tenant",))
    assert ("X-Tenant", "blue") in pairs
    assert "x-region" not in names(pairs)


@pytest.mark.parametrize(
    "name",
    [
        *NEVER,
        *HOPS,
        "connection",
        "host",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "via",
        "x-request-id",
        "traceparent",
    ],
)
def test_configuration_can_never_open_what_the_table_keeps_back(name: str) -> None:
    assert not openable(name)
    assert "secret" not in [value for _, value in outbound(came((name, "secret")), (name,))]


def test_an_ordinary_name_is_openable() -> None:
    assert openable("x-tenant")


# --- a relay carries everything from end to end ------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["user-agent", "Accept-Encoding", "x-anything", "content-encoding", "range", "if-none-match", "origin"],
)
def test_a_relay_takes_along_what_goes_from_end_to_end(name: str) -> None:
    assert (name, "kept") in relayed(came((name, "kept")))


@pytest.mark.parametrize("name", [*NEVER, *HOPS, "connection", "host", "content-length", "expect", "cookie2"])
def test_a_relay_keeps_back_who_calls_and_what_belongs_to_one_hop(name: str) -> None:
    """H01, H05 without nomination, H07, H13, H15."""
    value = "close" if name == "connection" else "1"
    assert name not in names(relayed(came((name, value))))


@pytest.mark.parametrize(
    "spelling", ["X_Forwarded_Email", "x-Forwarded_email", "X-FORWARDED-EMAIL", "x-forwarded-email "]
)
def test_every_spelling_that_a_wsgi_server_folds_together_is_kept_back(spelling: str) -> None:
    """H02: an origin that reads `_` as `-` sees none of them."""
    assert plain(spelling) == "x-forwarded-email"
    assert relayed(came((spelling, "evil@example.org"))) == [("via", PSEUDONYM)]
    assert "x-forwarded-email" not in {
        plain(name) for name, _ in outbound(came((spelling, "evil@example.org")))
    }


def test_repeated_headers_keep_their_order() -> None:
    pairs = relayed(came(("X-A", "1"), ("x-b", "2"), ("x-a", "3")))
    assert pairs[:3] == [("X-A", "1"), ("x-b", "2"), ("x-a", "3")]


# --- Connection --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [outbound, relayed])
@pytest.mark.parametrize(
    "named",
    [
        *IDENTITY,
        "authorization",
        "Cookie",
        "content-type",
        "Host",
        "x-forwarded-for",
        "x_app_user_email",
        "accept",
        "mcp-session-id",
    ],
)
def test_a_header_that_goes_from_end_to_end_cannot_be_nominated_away(policy: Policy, named: str) -> None:
    """H05"""
    with pytest.raises(Refusal) as refused:
        policy(came(("Connection", f"close, {named}")))
    assert (refused.value.status, refused.value.code) == (400, "bad_request")


def test_what_else_connection_names_goes_no_further() -> None:
    """H06"""
    sent = came(("Connection", "close, X-Foo"), ("x-foo", "1"), ("x-bar", "2"))
    assert names(relayed(sent)) == {"x-bar", "via"}
    assert "x-foo" not in names(outbound(sent, ("x-foo", "x-bar")))
    assert "x-bar" in names(outbound(sent, ("x-foo", "x-bar")))


def test_a_second_connection_header_counts_as_well() -> None:
    assert names(relayed(came(("Connection", "close"), ("Connection", "x-foo"), ("x-foo", "1")))) == {"via"}


@pytest.mark.parametrize(
    "ordinary", ["keep-alive", "Close", "Upgrade", "keep-alive, Upgrade, HTTP2-Settings", "TE, close"]
)
def test_what_connections_usually_say_is_no_offence(ordinary: str) -> None:
    assert relayed(came(("Connection", ordinary))) == [("via", PSEUDONYM)]


# --- loops -------------------------------------------------------------------------------------------------


def test_a_request_that_has_gone_round_is_a_loop() -> None:
    """U12: every sidecar leaves its mark, and the fourth says no."""
    pairs = outbound(came())
    for _ in range(2):
        pairs = relayed(came(*pairs))
    with pytest.raises(Refusal) as refused:
        outbound(came(*pairs))
    assert (refused.value.status, refused.value.code, refused.value.sent) == (508, "loop_detected", "none")


def test_other_proxies_are_no_loop_and_their_names_do_not_go_on() -> None:
    pairs = relayed(came(("Via", "1.1 edge.internal, 1.1 other"), ("Via", "2 third")))
    assert dict(pairs)["via"] == PSEUDONYM


def test_marks_are_counted_over_all_via_headers() -> None:
    with pytest.raises(Refusal):
        relayed(came(("Via", f"{PSEUDONYM}, 1.1 a"), ("via", f"1.1 b, {PSEUDONYM}"), ("VIA", PSEUDONYM)))


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "a\x07b", "a\x7f"])
@pytest.mark.parametrize("policy", [outbound, relayed])
def test_a_value_that_would_split_a_message_is_refused(policy: Policy, value: str) -> None:
    """U06, P13"""
    with pytest.raises(Refusal) as refused:
        policy(came(("accept", value)))
    assert (refused.value.status, refused.value.code) == (400, "bad_request")


def test_a_value_that_is_no_utf8_is_refused_rather_than_told_differently() -> None:
    """H19: such bytes arrive as lone surrogates, which HTTP libraries drop in silence."""
    with pytest.raises(Refusal) as refused:
        relayed(came(("x-name", b"caf\xe9".decode("utf-8", "surrogateescape"))))
    assert refused.value.status == 400


@pytest.mark.parametrize("value", ["café", "東京", "a\tb", ""])
def test_tabs_and_utf8_go_on_as_they_came(value: str) -> None:
    """H19"""
    assert ("x-name", value) in relayed(came(("x-name", value)))


def spellings(*listed: str) -> list[str]:
    """Each name as a stranger might write it: other cases, `_` for `-` here or everywhere, a space behind."""
    ways = (str, str.upper, str.title, lambda name: name.replace("-", "_"), lambda name: f"{name.title()} ")
    return sorted({way(name) for name in listed for way in (*ways, lambda name: name.replace("-", "_", 1))})


VALUES = st.sampled_from(
    ["", "1", "a\tb", "a\r\nb: c", "\n", "a\0", "\x07", "é", "\udce9", "close", "x-a", "TE, x-a", PSEUDONYM]
)


def some(*listed: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.tuples(st.sampled_from(spellings(*listed)), VALUES), max_size=6)


def sent_by(policy: Policy, headers: Headers) -> Pairs | None:
    try:
        return policy(headers)
    except Refusal as refusal:
        return None if refusal.status in (400, 508) else [("no", "such refusal")]


@settings(max_examples=1000, deadline=None)
@given(some(*NEVER, *HOPS, "content-type", "x-a", "mcp-a", "connection", "via"))
def test_nothing_kept_back_and_no_line_break_ever_leaves(pairs: list[tuple[str, str]]) -> None:
    for policy in (outbound, relayed, lambda headers: outbound(headers, (*NEVER, *HOPS, "x-a"))):
        left = sent_by(policy, came(*pairs))
        assert left is None or not {plain(name) for name, _ in left} & {*NEVER, *HOPS, "connection"}
        assert left is None or not any(sign in value for _, value in left for sign in "\r\n\0")


@settings(max_examples=1000, deadline=None)
@given(some("x-a", "location", "set-cookie", "connection"))
def test_no_answer_is_ever_split(pairs: list[tuple[str, str]]) -> None:
    try:
        told = answer(came(*pairs), "http://agent", "/x")
    except Refusal:
        told = []
    assert not any(sign in value for _, value in told for sign in "\r\n\0")
    assert "set-cookie" not in names(told)


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *HOPS,
        "connection",
        "Content-Length",
        "Set-Cookie",
        "SERVER",
        "alt-svc",
        "Strict-Transport-Security",
        "access-control-allow-origin",
        "clear-site-data",
        "service-worker-allowed",
        "refresh",
        "via",
        "x-request-id",
    ],
)
def test_an_answer_loses_what_speaks_for_the_origin_or_the_connection(name: str) -> None:
    """H16"""
    assert answer(came((name, "1"))) == []


@pytest.mark.parametrize(
    "name",
    [
        "content-type",
        "www-authenticate",
        "etag",
        "retry-after",
        "x-anything",
        "mcp-session-id",
        "cache-control",
    ],
)
def test_an_answer_keeps_the_rest(name: str) -> None:
    assert answer(came((name, "kept"))) == [(name, "kept")]


def test_what_an_agent_nominates_goes_no_further_but_its_content_type_does() -> None:
    got = answer(came(("Connection", "x-foo, content-type"), ("x-foo", "1"), ("Content-Type", "text/plain")))
    assert got == [("Content-Type", "text/plain")]


def test_the_content_coding_none_is_dropped_and_a_real_one_kept() -> None:
    assert answer(came(("Content-Encoding", "None"), ("X-Mode", "none"))) == [("X-Mode", "none")]
    assert answer(came(("Content-Encoding", "gzip"))) == [("Content-Encoding", "gzip")]


def test_an_answer_with_a_control_character_is_the_agents_fault() -> None:
    """P01"""
    with pytest.raises(Refusal) as refused:
        answer(came(("x-a", "b\rc")))
    assert (refused.value.status, refused.value.code) == (502, "agent_protocol_error")


def test_an_answers_header_that_is_no_utf8_is_left_out() -> None:
    assert answer(came(("x-a", "caf\udce9"), ("x-b", "café"))) == [("x-b", "café")]


def test_a_location_goes_on_only_where_it_leads_to_the_agent_itself() -> None:
    """U07"""
    home = came(("Location", "https://agent.example.org/base/runs/7?x=1"))
    assert answer(home, "https://agent.example.org/base", "/runs") == [("Location", "./runs/7?x=1")]
    assert answer(home, "https://other.example.org", "/runs") == []


def test_a_chats_answer_has_no_location() -> None:
    home = came(("Location", "https://agent.example.org/base/runs/7?x=1"))
    assert answer(home, "https://agent.example.org/base") == []


# --- the page ----------------------------------------------------------------------------------------------


def test_the_page_names_every_header_of_the_table() -> None:
    text = page()
    for row in (*REQUEST, *ANSWER):
        assert all(f"`{name}`" in text for name in row.names)
