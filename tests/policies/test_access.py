"""Which requests a browser may make, at which door, and which names of this machine are its own."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from policies.access import Gate, To, browser, cors, preflight
from policies.agent import Door
from policies.header_table import IDENTITY
from policies.headers import Headers

DOORS: tuple[Door, ...] = ("front", "egress", "admin")
HERE = "127.0.0.1:8000"
JSON = (("content-type", "application/json"), ("content-length", "2"))
ALLOWED = "http://localhost:5173"


def came(host: str | None = HERE, **named: str) -> Headers:
    pairs = [(name.replace("_", "-"), value) for name, value in named.items()]
    return CIMultiDictProxy(CIMultiDict([*([("Host", host)] if host is not None else []), *pairs]))


def verdict(
    door: Door,
    method: str,
    headers: Headers,
    to: To = "ours",
    *,
    gate: Gate | None = None,
    keyed: bool = False,
) -> str:
    refusal = browser(gate or Gate(door), headers, method, to, keyed=keyed)
    return f"{refusal.status} {refusal.code}" if refusal else "passes"


# --- Host -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("to", ["ours", "relay", "frontend"])
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "localhost.:8000",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.9.9.9:8000",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:8000",
        "localhost:",
    ],
)
def test_a_loopback_door_answers_to_this_machines_names(door: Door, to: To, host: str) -> None:
    assert verdict(door, "GET", came(host), to) == "passes"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("to", ["ours", "relay", "frontend"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "evil.example.org:8000",
        "localhost.evil.example.org",
        "localhost.evil",
        "evil.localhost",
        "127.0.0.1.nip.io",
        "127.0.0.1.nip.io:8000",
        "0.0.0.0:8000",
        "10.0.0.1",
        "[::]",
        "[fe80::1]:8000",
        "2130706433",
        "0x7f.1",
        "notlocalhost",
        "localhost-",
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(door: Door, to: To, host: str) -> None:
    """H20: a page of that name could otherwise talk to us as its own origin."""
    assert verdict(door, "GET", came(host), to) == "421 misdirected_host"


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a b",
        "me@localhost",
        "localhost@evil.example.org",
        "localhost/x",
        "http://localhost",
        "localhost:80:80",
        "localhost:port",
        "localhost:123456",
        "localhost..",
        ".localhost",
        "::1",
        "[::1",
        "localhost,evil.example.org",
        "löcalhost",
    ],
)
def test_a_host_that_is_none_is_bad_http(loopback: bool, host: str | None) -> None:
    """F17"""
    assert verdict("front", "GET", came(host), gate=Gate("front", loopback)) == "400 bad_request"


def test_settings_name_further_hosts_with_or_without_a_port() -> None:
    gate = Gate("front", hosts=frozenset({"dev.example.org", "box:9000"}))
    for host in ("dev.example.org", "DEV.example.org:8000", "dev.example.org.", "box:9000"):
        assert verdict("front", "GET", came(host), gate=gate) == "passes"
    for host in ("box", "box:9001", "x.dev.example.org", "dev.example.org.evil"):
        assert verdict("front", "GET", came(host), gate=gate) == "421 misdirected_host"


def test_a_door_that_is_open_to_the_network_answers_to_any_name() -> None:
    assert verdict("front", "GET", came("app.example.org"), gate=Gate("front", loopback=False)) == "passes"


# --- pages of other sites ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["ours", "relay"])
@pytest.mark.parametrize(
    ("site", "method", "passes_at"),
    [
        ("same-origin", "GET", DOORS),
        ("same-origin", "POST", DOORS),
        ("none", "GET", ("front", "admin")),
        ("none", "HEAD", ("front", "admin")),
        ("none", "POST", ()),
        ("same-site", "GET", ()),
        ("same-site", "POST", ()),
        ("cross-site", "GET", ()),
        ("cross-site", "POST", ()),
        ("Same-Origin", "GET", ()),
        ("", "GET", ()),
    ],
)
def test_where_a_browser_says_whose_page_asks_that_decides(
    to: To, site: str, method: str, passes_at: tuple[Door, ...]
) -> None:
    """H20"""
    for door in DOORS:
        expected = "passes" if door in passes_at else "403 cross_site"
        assert verdict(door, method, came(sec_fetch_site=site), to) == expected


@pytest.mark.parametrize("door", DOORS)
def test_it_decides_even_where_the_origin_looks_right_or_wrong(door: Door) -> None:
    assert (
        verdict(door, "GET", came(sec_fetch_site="cross-site", origin=f"http://{HERE}")) == "403 cross_site"
    )
    assert verdict(door, "GET", came(sec_fetch_site="same-origin", origin="null")) == "passes"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_node_says_a_mode_and_no_site_and_passes(door: Door, method: str) -> None:
    """Seed 002's handler: fetch in Node sends `sec-fetch-mode: cors`, and nothing else of the kind."""
    assert verdict(door, method, came(sec_fetch_mode="cors")) == "passes"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("host", "origin", "same"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("127.0.0.1:8000", "HTTP://127.0.0.1:8000", True),
        ("LOCALHOST:8000", "http://localhost:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("localhost", "http://localhost", True),
        ("localhost:80", "http://localhost", True),
        ("localhost", "https://localhost", True),
        ("localhost:443", "https://localhost", True),
        ("localhost:443", "http://localhost", False),
        ("localhost:8000", "http://localhost", False),
        ("localhost:8000", "http://localhost:3000", False),
        ("localhost:8000", "http://127.0.0.1:8000", False),
        ("localhost:8000", "http://localhost.:8000", False),
        ("localhost:8000", "http://localhost:8000.evil.example.org", False),
        ("localhost:8000", "http://localhost:8000@evil.example.org", False),
        ("localhost:8000", "http://localhost:8000/", False),
        ("localhost:8000", "http://localhost:8000 http://evil.example.org", False),
        ("localhost:8000", "null", False),
        ("localhost:8000", "", False),
        ("localhost:8000", "file://", False),
        ("localhost:8000", "chrome-extension://localhost:8000", False),
        ("localhost:8000", "localhost:8000", False),
    ],
)
def test_an_older_browsers_origin_has_to_be_that_of_the_host(
    door: Door, host: str, origin: str, same: bool
) -> None:
    """H20: what does not send Sec-Fetch-Site."""
    assert verdict(door, "GET", came(host, origin=origin)) == ("passes" if same else "403 cross_site")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("site", [None, "same-site", "cross-site"])
def test_an_origin_in_the_settings_passes_at_every_door(door: Door, site: str | None) -> None:
    headers = came(origin=ALLOWED, **({"sec_fetch_site": site} if site else {}))
    gate = Gate(door, origins=frozenset({ALLOWED}))
    assert verdict(door, "POST", headers, gate=gate) == "passes"
    assert verdict(door, "POST", headers) == "403 cross_site"


def test_an_origin_in_the_settings_does_not_excuse_a_rebound_host() -> None:
    gate = Gate("front", origins=frozenset({ALLOWED}))
    assert (
        verdict("front", "GET", came("evil.example.org", origin=ALLOWED), gate=gate) == "421 misdirected_host"
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("origin", "expected"),
    [(f"http://{HERE}", "passes"), ("http://evil.example.org", "403 cross_site"), (None, "passes")],
)
def test_a_websocket_handshake_is_judged_like_any_request(
    door: Door, origin: str | None, expected: str
) -> None:
    headers = came(connection="Upgrade", upgrade="websocket", **({"origin": origin} if origin else {}))
    assert verdict(door, "GET", headers, "relay") == expected


@pytest.mark.parametrize("site", ["cross-site", "none", "same-site"])
def test_traffic_to_the_frontend_is_the_frontends_to_judge(site: str) -> None:
    headers = came(
        sec_fetch_site=site, origin="http://evil.example.org", content_type="text/plain", content_length="3"
    )
    assert verdict("front", "POST", headers, "frontend") == "passes"


def test_with_the_egress_key_the_rule_does_not_apply() -> None:
    """A proxy inside the app hands on the browser's Host and Origin; a page cannot know the key."""
    headers = came(
        "app.example.org", origin="https://app.example.org", sec_fetch_site="cross-site", content_length="3"
    )
    assert verdict("egress", "POST", headers, keyed=True) == "passes"
    assert verdict("egress", "POST", headers) == "421 misdirected_host"


@pytest.mark.parametrize("door", DOORS)
def test_curl_passes(door: Door) -> None:
    assert verdict(door, "GET", came(user_agent="curl/8", accept="*/*")) == "passes"


# --- bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/merge-patch+json",
        "application/a+json ; x=1",
    ],
)
def test_json_says_so(door: Door, content_type: str) -> None:
    assert verdict(door, "POST", came(content_type=content_type, content_length="2")) == "passes"
    assert verdict(door, "POST", came(content_type=content_type, transfer_encoding="chunked")) == "passes"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/json, text/plain",
        "application/jsonx",
    ],
)
@pytest.mark.parametrize("framing", [{"content_length": "2"}, {"transfer_encoding": "chunked"}])
def test_a_body_that_does_not_is_refused(
    door: Door, content_type: str | None, framing: dict[str, str]
) -> None:
    """What a form of any site can post without asking."""
    named = framing if content_type is None else {**framing, "content_type": content_type}
    assert verdict(door, "POST", came(**named)) == "415 unsupported_media_type"


@pytest.mark.parametrize("door", DOORS)
def test_a_relay_may_carry_any_body(door: Door) -> None:
    assert verdict(door, "POST", came(content_type="image/png", content_length="9"), "relay") == "passes"


@pytest.mark.parametrize("length", [None, "0", "00"])
def test_no_body_needs_no_type(length: str | None) -> None:
    assert verdict("front", "POST", came(**({"content_length": length} if length else {}))) == "passes"


# --- other origins that may ------------------------------------------------------------------------------

GATE = Gate("front", origins=frozenset({ALLOWED}))


def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    asked = came(
        origin=ALLOWED,
        access_control_request_method="POST",
        access_control_request_headers="Content-Type, x-request-id",
    )
    answer = dict(preflight(GATE, asked, "OPTIONS") or [])
    assert answer["access-control-allow-origin"] == ALLOWED
    assert "POST" in answer["access-control-allow-methods"]
    assert answer["access-control-allow-headers"] == "content-type, x-request-id"
    assert answer["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer


def test_a_preflight_that_asks_for_no_headers_gets_none() -> None:
    answer = dict(preflight(GATE, came(origin=ALLOWED, access_control_request_method="GET"), "OPTIONS") or [])
    assert "access-control-allow-headers" not in answer


@pytest.mark.parametrize("name", [*IDENTITY, "Authorization", "cookie", "X_Forwarded_Email"])
def test_no_page_is_permitted_to_say_who_its_user_is(name: str) -> None:
    asked = came(
        origin=ALLOWED, access_control_request_method="POST", access_control_request_headers=f"{name},accept"
    )
    assert dict(preflight(GATE, asked, "OPTIONS") or [])["access-control-allow-headers"] == "accept"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", came(origin="http://evil.example.org", access_control_request_method="POST")),
        ("OPTIONS", came(access_control_request_method="POST")),
        ("OPTIONS", came(origin=ALLOWED)),
        ("POST", came(origin=ALLOWED, access_control_request_method="POST")),
    ],
)
def test_nothing_else_is_a_preflight_to_answer(method: str, headers: Headers) -> None:
    assert preflight(GATE, headers, method) is None
    assert preflight(Gate("front"), headers, method) is None


def test_an_answer_lets_only_an_allowed_origin_read_it() -> None:
    assert ("access-control-allow-origin", ALLOWED) in cors(GATE, came(origin=ALLOWED))
    assert cors(GATE, came(origin="http://evil.example.org")) == []
    assert cors(GATE, came()) == []
    assert cors(Gate("front"), came(origin="")) == []


# --- all of it at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_page_of_another_site_gets_through_any_door(door: Door, site: str) -> None:
    """H20"""
    hosts = ("localhost:8000", "evil.example.org", "127.0.0.1.nip.io", "localhost@evil")
    origins = (None, "http://evil.example.org", "http://localhost:8000", "null")
    asked: tuple[To, ...] = ("ours", "relay")
    for host, origin, method, to in product(hosts, origins, ("GET", "HEAD", "POST", "PUT", "OPTIONS"), asked):
        headers = came(host, sec_fetch_site=site, **({"origin": origin} if origin else {}))
        assert verdict(door, method, headers, to)[:3] in {"400", "403", "421"}


@settings(max_examples=1000, deadline=None)
@given(st.text("localhst.127:0[]@/evi-_", max_size=20))
def test_a_host_that_passes_is_one_of_this_machines(host: str) -> None:
    if verdict("front", "GET", came(host)) == "passes":
        name = re.sub(r":[0-9]*$", "", host) if not host.endswith("]") else host
        assert name in {"localhost", "localhost.", "[::1]"} or re.fullmatch(
            r"127(\.[0-9]{1,3}){3}\.?", name.strip("[:]")
        )
