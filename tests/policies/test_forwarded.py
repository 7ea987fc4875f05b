"""What the frontend is told of where a request came from and whose it is, by door and trust. H13, H15"""

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from policies.forwarded import MARK, back, navigates, onward, opens, played
from policies.header_table import FRONTEND, HOP, IDENTITY
from policies.headers import Headers, Pairs, plain
from policies.refusal import Refusal

PEER = "192.0.2.7"


def came(*pairs: tuple[str, str]) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


def told(*pairs: tuple[str, str], believed: bool = False, **more: Any) -> CIMultiDict[str]:
    given = {"peer": PEER, "request_id": "ours"} | more
    return CIMultiDict(onward(came(("Host", "app.example"), *pairs), believed=believed, **given))


# --- from where ---------------------------------------------------------------------------------------------

# What came → what the frontend sees, where the sender is believed (the platform, SIDECAR_TRUST) and elsewhere.
WHERE: list[tuple[str, str, str | None, str | None]] = [
    ("X-Forwarded-For", "198.51.100.1", f"198.51.100.1, {PEER}", PEER),
    ("X-Forwarded-For", "198.51.100.1, 10.0.0.1", f"198.51.100.1, 10.0.0.1, {PEER}", PEER),
    ("X-Forwarded-Host", "shop.example", "shop.example", "app.example"),
    ("X-Forwarded-Proto", "https", "https", "http"),
    ("X-Real-Ip", "198.51.100.1", "198.51.100.1", PEER),
    ("X-Forwarded-Prefix", "/evil", "/evil", None),
    ("X-Forwarded-Uri", "/admin", "/admin", None),
    ("X-Forwarded-Port", "443", "443", None),
    ("X-Forwarded-Client-Cert", "Hash=1", "Hash=1", None),
    ("Forwarded", "for=198.51.100.1", "for=198.51.100.1", None),
    ("X-Original-Url", "/admin", "/admin", None),
    ("X-Rewrite-Url", "/admin", "/admin", None),
    ("True-Client-Ip", "198.51.100.1", "198.51.100.1", None),
    ("CF-Connecting-IP", "198.51.100.1", "198.51.100.1", None),
    ("X_Forwarded_For", "198.51.100.1", None, None),
    ("X_Forwarded_Proto", "https", None, None),
    ("X-Forwarded_Host", "evil.example", None, None),
]


@pytest.mark.parametrize(("name", "value", "believed", "otherwise"), WHERE)
def test_h13_where_a_request_comes_from_is_taken_from_who_is_believed_and_else_from_the_connection(
    name: str, value: str, believed: str | None, otherwise: str | None
) -> None:
    assert told((name, value), believed=True).get(name) == believed
    assert told((name, value)).get(name) == otherwise


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"])
def test_h13_what_several_lines_claim_is_one_truth_in_the_end(name: str) -> None:
    assert len(told((name, "a"), (name.lower(), "b")).getall(name)) == 1
    assert told(("X-Forwarded-For", "a"), ("x-forwarded-for", "b"), believed=True).getall(
        "X-Forwarded-For"
    ) == [f"a, b, {PEER}"]


def test_who_came_without_a_word_is_told_of_by_its_connection() -> None:
    said = told()
    assert (said["X-Forwarded-For"], said["X-Forwarded-Host"], said["X-Forwarded-Proto"]) == (
        PEER,
        "app.example",
        "http",
    )
    assert told(believed=True).getall("X-Forwarded-For") == [PEER]
    assert "X-Forwarded-Proto" not in told(believed=True)


# --- whose --------------------------------------------------------------------------------------------------

PLATFORMS = [name for name in IDENTITY if name != "x-app-user-email"]


@pytest.mark.parametrize("name", PLATFORMS)
def test_identity_passes_as_the_platform_sent_it_and_is_nobodys_elsewhere(name: str) -> None:
    odd = " two words, and a comma "  # not ours to judge: the frontend sees what it would see without us
    assert told((name, odd), believed=True).getall(name) == [odd]
    assert name not in told((name, "eve@example.org"))


def test_the_name_that_only_agents_read_reaches_no_frontend() -> None:
    for believed in (True, False):
        assert "x-app-user-email" not in told(("X-App-User-Email", "eve@example.org"), believed=believed)


@pytest.mark.parametrize("name", IDENTITY)
def test_h02_no_other_spelling_reaches_a_frontend_that_would_take_it_for_the_same(name: str) -> None:
    for believed in (True, False):
        spelled = name.replace("-", "_").upper()
        assert spelled not in told((spelled, "eve"), believed=believed)


def test_h15_cookies_and_authorization_are_the_apps() -> None:
    mine = (("Cookie", "a=1"), ("Cookie", "b=2"), ("Authorization", "Basic eDp5"), ("Origin", "null"))
    for believed in (True, False):
        said = told(*mine, believed=believed)
        assert said.getall("Cookie") == ["a=1", "b=2"]
        assert (said["Authorization"], said["Origin"], said["Host"]) == ("Basic eDp5", "null", "app.example")


def test_a_user_who_is_played_looks_like_one_of_the_platforms() -> None:
    said = told(
        ("X-Forwarded-Email", "eve@example.org"),
        ("X-Forwarded-For", "198.51.100.1"),
        played=played("ada@example.org", "4711", "a-token"),
    )
    assert said.getall("X-Forwarded-Email") == ["ada@example.org"]
    assert said["X-Forwarded-Preferred-Username"] == "ada@example.org"
    assert said["X-Forwarded-Access-Token"] == "a-token"
    number, _, workspace = said["X-Forwarded-User"].partition("@")
    assert (number.isdecimal(), workspace) == (True, "4711")  # never an e-mail: it is none on the platform
    assert said["X-Forwarded-For"] == PEER
    assert "X-Forwarded-Access-Token" not in CIMultiDict(played("ada@example.org", None, None))


# --- all the rest -------------------------------------------------------------------------------------------


def test_everything_else_goes_on_as_it_came_in_its_order_and_spelling() -> None:
    pairs = [("accept", "*/*"), ("X-A", "1"), ("x-b", "ü\udcff"), ("x-a", "2"), ("Range", "bytes=0-1")]
    said = onward(came(("Host", "a"), *pairs), believed=True, peer=PEER, request_id="ours")
    assert said[: len(pairs) + 1] == [("Host", "a"), *pairs]


def test_the_frontend_always_has_an_id_and_its_own_where_there_is_one() -> None:
    assert told()["x-request-id"] == "ours"
    assert told(("x-request-id", "not even/one")).getall("x-request-id") == ["not even/one"]


@pytest.mark.parametrize("name", [name for name in HOP if name != "connection" and not name.endswith("*")])
def test_h07_what_is_hop_by_hop_goes_no_further(name: str) -> None:
    assert name not in told((name, "x"))
    assert name not in CIMultiDict(back(came((name, "x")), "id"))


def test_h06_what_connection_names_goes_no_further_in_either_direction() -> None:
    assert "x-foo" not in told(("Connection", "close, X-Foo"), ("x-foo", "1"))
    assert "x-foo" not in CIMultiDict(back(came(("Connection", "X-Foo"), ("x-foo", "1")), "id"))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded-email",
            "authorization",
            "cookie",
            "host",
            "via",
        ),
        "content-type",
    ],
)
def test_h05_nothing_that_matters_can_be_nominated_away_from_a_frontend(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        told(("Connection", f"keep-alive, {name}"), believed=True)
    assert refused.value.code == "bad_request"


def test_a_websocket_is_asked_for_anew() -> None:
    asked = (("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"), ("Sec-WebSocket-Key", "k"))
    said = told(*asked)
    assert (said.getall("Connection"), said.getall("Upgrade")) == (["Upgrade"], ["websocket"])
    assert said["Sec-WebSocket-Key"] == "k"
    assert "Upgrade" not in told(("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"))


def test_u12_a_front_that_is_its_own_frontend_notices() -> None:
    assert told()["Via"] == MARK
    assert told(("Via", "1.1 varnish"))["Via"] == f"1.1 varnish, {MARK}"
    with pytest.raises(Refusal) as refused:
        told(("Via", ", ".join([MARK] * 3)))
    assert (refused.value.status, refused.value.code) == (508, "loop_detected")


def test_an_answer_keeps_what_speaks_for_its_origin() -> None:
    kept = [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Server", "uvicorn"),
        ("Location", "https://elsewhere.example/"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Access-Control-Allow-Origin", "*"),
        ("Content-Encoding", "none"),
        ("Date", "Fri, 20 Nov 2026 14:05:40 GMT"),
        ("X-Odd", "\udcff"),
        ("x-request-id", "theirs"),
    ]
    dropped = [("Content-Length", "3"), ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic")]
    assert back(came(*kept, *dropped), "ours") == kept
    assert ("x-request-id", "ours") in back(came(), "ours")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("mode", [None, "navigate", "cors"])
@pytest.mark.parametrize("accept", [None, "*/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_a_person_waits_where_a_page_is_asked_for(method: str, mode: str | None, accept: str | None) -> None:
    given = [("Accept", accept)] * bool(accept) + [("Sec-Fetch-Mode", mode)] * bool(mode)
    pairs = [(name, value) for name, value in given if value]
    wanted = method == "GET" and mode != "cors" and accept is not None and "html" in accept
    assert navigates(method, came(*pairs)) is wanted


# --- whatever comes -----------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [name.removesuffix("*") + "x" * name.endswith("*") for row in FRONTEND for name in row.names]
).flatmap(lambda name: st.sampled_from([name, name.upper(), name.replace("-", "_"), name.title()]))
TOKENS = st.text("abcdefgxyz-_ABC0", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=30
)
PAIRS = st.lists(st.tuples(st.one_of(NAMES, TOKENS), VALUES), max_size=12)


@settings(max_examples=1000, deadline=None)
@given(PAIRS, st.booleans())
def test_whatever_comes_nobody_is_believed_who_is_not_and_nothing_else_is_lost(
    pairs: Pairs, believed: bool
) -> None:
    try:
        said = onward(came(*pairs), believed=believed, peer=PEER, request_id="ours")
    except Refusal as refusal:
        event(refusal.code)
        return
    read = [(plain(name), value) for name, value in said]
    by_name = CIMultiDict(read)
    if not believed:
        assert not set(by_name) & {*IDENTITY, "forwarded", "x-forwarded-port"}
        assert by_name.getall("x-forwarded-for") == [PEER]
    assert by_name.getall("x-forwarded-for")[-1].endswith(PEER)
    named = {
        word.strip().lower()
        for name, value in pairs
        if name.lower() == "connection"
        for word in value.split(",")
    }
    ruled = {name for row in FRONTEND for name in row.names if not name.endswith("*")}
    begin = tuple(name[:-1] for row in FRONTEND for name in row.names if name.endswith("*"))
    free = [
        (name, value)
        for name, value in pairs
        if plain(name) not in ruled and not plain(name).startswith(begin) and name.lower() not in named
    ]
    assert [pair for pair in said if pair in free] == free


@settings(max_examples=1000, deadline=None)
@given(PAIRS)
def test_no_value_breaks_a_line_whatever_a_frontend_answers(pairs: Pairs) -> None:
    with_control = [*pairs, ("x-last", "a\r\nSet-Cookie: b")]
    with pytest.raises(Refusal) as refused:
        back(came(*with_control), "id")
    assert refused.value.code == "frontend_broke_off"
    kept = back(came(*pairs), "id")
    assert not {name.lower() for name, _ in kept} & {"content-length", "transfer-encoding", "upgrade"}


@pytest.mark.parametrize(
    ("method", "mode", "dest", "is_one"),
    [
        ("GET", "navigate", "document", True),
        ("POST", "navigate", "document", False),
        ("GET", "navigate", "iframe", False),
        ("GET", "no-cors", "document", False),
    ],
)
def test_a_link_opens_a_page_and_neither_a_form_nor_a_frame_does(
    method: str, mode: str, dest: str, is_one: bool
) -> None:
    assert opens(method, came(("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest))) is is_one
    assert not opens(method, came())
