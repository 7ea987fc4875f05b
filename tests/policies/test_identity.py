"""Whose word is taken for who the user is, and what of it is well-formed."""

import re
from ipaddress import ip_network
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from policies.agent import Caller, Door
from policies.header_table import IDENTITY
from policies.headers import Headers
from policies.identity import (
    Belief,
    agent_request_id,
    bearing,
    believed,
    caller,
    egress_key,
    is_email,
    is_token,
    is_uuid,
    named,
    request_id,
    same_key,
)
from policies.refusal import Refusal
from policies.secret import Secret

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOi.J9-_~+/=.sig"
FROM_THE_PLATFORM = (
    ("X-Forwarded-Email", "ada@example.org"),
    ("X-Forwarded-User", "4711@1234567890"),
    ("X-Forwarded-Preferred-Username", "ada"),
    ("X-Forwarded-Access-Token", TOKEN),
)


def came(*pairs: tuple[str, str]) -> Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


# --- who is believed at which door ------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", None])
def test_on_the_platform_the_front_believes_its_proxy(peer: str | None) -> None:
    assert believed(Belief("front", platform=True), peer)


@pytest.mark.parametrize(
    ("peer", "is_believed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::7", True),
        ("11.1.2.3", False),
        ("127.0.0.1", False),
        ("fe80::1", False),
        ("not an address", False),
        (None, False),
    ],
)
def test_off_the_platform_the_front_believes_the_networks_it_is_told_to(
    peer: str | None, is_believed: bool
) -> None:
    """H13: a stranger's headers are nobody's."""
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert believed(Belief("front", networks=networks), peer) is is_believed


def test_otherwise_the_front_believes_nobody_not_even_this_machine() -> None:
    """H01 (at the front), H12"""
    assert not believed(Belief("front"), "127.0.0.1")


def test_the_admin_door_believes_nobody() -> None:
    assert not believed(Belief("admin", platform=True), "127.0.0.1", keyed=True)


@pytest.mark.parametrize("key_required", [True, False])
def test_whoever_holds_the_egress_key_is_believed_from_anywhere(key_required: bool) -> None:
    assert believed(Belief("egress", key_required=key_required), "203.0.113.9", keyed=True)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_where_the_key_is_not_required_this_machine_is_believed(peer: str) -> None:
    assert believed(Belief("egress", key_required=False), peer)


@pytest.mark.parametrize(
    ("key_required", "peer"),
    [(True, "127.0.0.1"), (True, "::1"), (True, None), (False, "10.0.0.1"), (False, "::"), (False, None)],
)
def test_anybody_else_is_refused_at_egress(key_required: bool, peer: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        believed(Belief("egress", key_required=key_required), peer)
    assert (refused.value.status, refused.value.code) == (403, "egress_key_required")


@pytest.mark.parametrize(
    ("belief", "says"),
    [
        (Belief("front", platform=True), "only the platform's proxy reaches this port"),
        (Belief("front", networks=(ip_network("10.0.0.0/8"),)), "callers from 10.0.0.0/8"),
        (Belief("front"), "nobody"),
        (Belief("front", played="ada@example.org"), "whoever comes is ada@example.org"),
        (Belief("egress"), "hold the egress key; others are refused"),
        (Belief("egress", key_required=False), "hold the egress key, and callers on this machine"),
        (Belief("egress", key_required=False, keyed=False), "callers on this machine"),
        (Belief("admin"), "nobody"),
    ],
)
def test_each_door_says_in_one_sentence_whom_it_believes(belief: Belief, says: str) -> None:
    assert says in str(belief)


# --- who calls --------------------------------------------------------------------------------------------

# What else may come with a request so that its names are looked at one by one.
UNUSUAL = [(), (("X_Odd", "1"),), (("Cookie", "a=1"), ("Cookie", "b=2"))]


@given(
    st.dictionaries(
        st.sampled_from(IDENTITY),
        st.sampled_from(
            ["ada@example.org", "eve@example.org, ada@example.org", TOKEN, " ada\t", "", "ädä", "a b"]
        ),
    ),
    st.sampled_from(UNUSUAL),
    st.sampled_from(["front", "egress"]),
    st.booleans(),
)
def test_names_that_have_to_be_looked_at_one_by_one_change_nothing_of_who_calls(
    sent: dict[str, str], beside: tuple[tuple[str, str], ...], door: Door, believes: bool
) -> None:
    usual = caller(came(*sent.items()), door, believes)
    assert caller(came(*sent.items(), *beside), door, believes) == usual


def test_the_platforms_headers_become_the_caller() -> None:
    who, removed = caller(came(*FROM_THE_PLATFORM), "front", True)
    assert who == Caller("front", True, "ada", "ada@example.org", Secret(TOKEN))
    assert removed == {}


def test_the_token_is_kept_byte_for_byte() -> None:
    """H09, T15: it is not looked into."""
    who, _ = caller(came(("x-forwarded-access-token", TOKEN)), "egress", True)
    assert who.token is not None
    assert who.token.reveal() == TOKEN


def test_nothing_is_taken_from_headers_that_are_not_believed_and_each_is_counted() -> None:
    """H01"""
    who, removed = caller(came(*FROM_THE_PLATFORM, ("x-app-user-email", "eve@example.org")), "front", False)
    assert who == Caller("front")
    assert removed == dict.fromkeys(IDENTITY, 1)


def test_spellings_and_repetitions_that_are_not_believed_are_counted_under_one_name() -> None:
    """H02, H03"""
    sent = came(
        ("X_Forwarded_Email", "a@b.c"), ("x-forwarded_email", "a@b.c"), ("X-FORWARDED-EMAIL", "a@b.c")
    )
    assert caller(sent, "front", False) == (Caller("front"), {"x-forwarded-email": 3})


@pytest.mark.parametrize("door", ["front", "egress"])
@pytest.mark.parametrize("name", [name for name in IDENTITY if name != "x-app-user-email"])
@pytest.mark.parametrize("evil", ["first", "last"])
def test_an_identity_header_that_comes_twice_is_refused(door: Door, name: str, evil: str) -> None:
    """H03"""
    values = ["eve@example.org", "ada@example.org"]
    sent = came(*((name, value) for value in (values if evil == "first" else values[::-1])))
    with pytest.raises(Refusal) as refused:
        caller(sent, door, True)
    assert (refused.value.status, refused.value.code) == (400, "duplicate_identity_header")
    assert "example.org" not in str(refused.value.detail)


@pytest.mark.parametrize(
    "name", ["X_Forwarded_Email", "x-Forwarded_email", "x-forwarded-email ", "X_App_User-Email"]
)
def test_an_identity_header_in_another_spelling_is_refused(name: str) -> None:
    """H02"""
    with pytest.raises(Refusal) as refused:
        caller(came((name, "eve@example.org")), "egress", True)
    assert refused.value.code == "duplicate_identity_header"


@pytest.mark.parametrize("other", ["X_Forwarded_Email", "x-Forwarded_email", "X-Forwarded-Email"])
def test_an_identity_header_in_two_spellings_is_refused_whichever_came_first(other: str) -> None:
    """H02, H03"""
    for names in (("x-forwarded-email", other), (other, "x-forwarded-email")):
        with pytest.raises(Refusal) as refused:
            caller(came(*((name, "ada@example.org") for name in names), ("X_Odd", "1")), "egress", True)
        assert refused.value.code == "duplicate_identity_header"


def test_at_egress_the_email_may_come_under_the_name_that_agents_read() -> None:
    assert caller(came(("x-app-user-email", "ada@example.org")), "egress", True)[0].email == "ada@example.org"


def test_at_egress_the_platforms_email_comes_first() -> None:
    sent = came(("x-app-user-email", "eve@example.org"), ("x-forwarded-email", "ada@example.org"))
    assert caller(sent, "egress", True)[0].email == "ada@example.org"


@pytest.mark.parametrize("beside", UNUSUAL)
@pytest.mark.parametrize("name", ["x-app-user-email", "X_App_User_Email"])
def test_at_the_front_the_name_that_agents_read_is_never_believed(
    name: str, beside: tuple[tuple[str, str], ...]
) -> None:
    """No proxy sets it there, so whoever did is the browser."""
    who, removed = caller(came((name, "eve@example.org"), *beside), "front", True)
    assert who.email is None
    assert removed == {"x-app-user-email": 1}


def test_a_users_name_may_come_as_an_id() -> None:
    assert caller(came(("x-forwarded-user", "4711@1234567890")), "front", True)[0].name == "4711@1234567890"


@pytest.mark.parametrize("name", IDENTITY)
def test_an_empty_value_is_an_absent_one(name: str) -> None:
    """H11: the platform sends an empty e-mail for service principals."""
    who, removed = caller(came((name, "")), "egress", True)
    assert who == Caller("egress", True)
    assert removed == {}


def test_white_space_around_a_value_makes_nobody_another_user() -> None:
    assert caller(came(("x-forwarded-user", " ada\t")), "front", True)[0].name == "ada"


@pytest.mark.parametrize(
    "value",
    [
        "ada@example.org, eve@example.org",
        "ada@example.org,eve@example.org",
        "ada@example.org\r\nx-evil: 1",
        "a" * 4096 + "@example.org",
        "a" * 243 + "@example.org",
        "ädä@example.org",
        "ada@eve@example.org",
        "Ada <ada@example.org>",
        "ada",
        "@example.org",
        "ada@",
        "ada@example..org",
        "ad a@example.org",
    ],
)
def test_what_is_not_one_address_is_dropped_and_counted(value: str) -> None:
    """H04"""
    assert not is_email(value)
    who, removed = caller(came(("x-forwarded-email", value)), "front", True)
    assert (who.email, removed) == (None, {"x-forwarded-email": 1})


@pytest.mark.parametrize(
    "value", ["ada@example.org", "a.d-a+tag@sub.example.org", "ada@localhost", "a" * 242 + "@example.org"]
)
def test_one_address_is_an_address(value: str) -> None:
    assert is_email(value)


@pytest.mark.parametrize("value", ["", "a b", "a,b", "a\r\nb", "tökén", "a\0", "x" * 16_385])
def test_what_cannot_be_sent_as_one_token_is_none(value: str) -> None:
    """H04, T14"""
    assert not is_token(value)


@pytest.mark.parametrize("value", [TOKEN, "opaque!", "x" * 16_384])
def test_an_opaque_token_is_a_token(value: str) -> None:
    """T15"""
    assert is_token(value)


@settings(max_examples=1000, deadline=None)
@given(
    st.text(st.characters(max_codepoint=0x2FF))
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F))
)
def test_a_token_is_visible_ascii_and_no_list(value: str) -> None:
    assert is_token(value) == bool(re.fullmatch(r"[\x21-\x2b\x2d-\x7e]+", value))


@pytest.mark.parametrize("believes", [True, False])
def test_two_authorization_headers_are_refused_at_the_front(believes: bool) -> None:
    """H08"""
    with pytest.raises(Refusal) as refused:
        caller(came(("Authorization", "Bearer a"), ("authorization", "Bearer b")), "front", believes)
    assert (refused.value.status, refused.value.code) == (400, "bad_request")


@pytest.mark.parametrize("beside", UNUSUAL)
def test_one_authorization_header_is_nothing_unusual(beside: tuple[tuple[str, str], ...]) -> None:
    who, removed = caller(came(("Authorization", "Bearer a"), *beside), "front", True)
    assert (who, removed) == (Caller("front", True), {})


def test_at_egress_authorization_is_replaced_however_often_it_came() -> None:
    """H08"""
    sent = came(("Authorization", "Bearer a"), ("authorization", "Bearer b"))
    assert caller(sent, "egress", True)[0] == Caller("egress", True)


def test_a_health_checks_user_agent_is_no_bypass() -> None:
    """H14"""
    sent = came(("User-Agent", "kube-probe/1.30"), ("X-Health-Check", "1"), *FROM_THE_PLATFORM)
    assert not caller(sent, "front", False)[0].believed


SPELLINGS = sorted(
    {
        way(name)
        for name in IDENTITY
        for way in (
            str,
            str.upper,
            str.title,
            lambda name: name.replace("-", "_"),
            lambda name: name.replace("-", "_", 1),
            lambda name: f"{name.title()} ",
        )
    }
)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*SPELLINGS, "accept"]), st.sampled_from(["", "a@b.c", "x", "a,b", "é"])),
        max_size=6,
    )
)
def test_where_nobody_is_believed_no_spelling_makes_anybody_a_user(pairs: list[tuple[str, str]]) -> None:
    for door in ("front", "egress", "admin"):
        who, removed = caller(came(*pairs), door, False)
        assert who == Caller(door)
        assert sum(removed.values()) == sum(name != "accept" for name, _ in pairs)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SPELLINGS), st.text(max_size=12)), max_size=3))
def test_where_somebody_is_believed_what_remains_can_stand_in_a_header(pairs: list[tuple[str, str]]) -> None:
    try:
        who, _ = caller(came(*pairs), "egress", True)
    except Refusal as refusal:
        assert refusal.code == "duplicate_identity_header"  # noqa: PT017
        return
    for value in (who.name, who.email, who.token.reveal() if who.token else None):
        assert value is None or (value and value.isascii() and value.isprintable())


# --- the egress key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key", "rest"),
    [
        (f"/~{KEY}/agents/default/invocations", KEY, "/agents/default/invocations"),
        (f"/~{KEY}/", KEY, "/"),
        (f"/~{KEY}", KEY, "/"),
        (f"/~{KEY}/~{KEY}/x", KEY, f"/~{KEY}/x"),
        ("/agents/default", None, "/agents/default"),
        (f"/~{KEY}0/x", None, f"/~{KEY}0/x"),
        (f"/~{KEY[:-1]}/x", None, f"/~{KEY[:-1]}/x"),
        (f"/~{KEY.upper()}/x", None, f"/~{KEY.upper()}/x"),
        (f"/x/~{KEY}/y", None, f"/x/~{KEY}/y"),
        (f"//~{KEY}/y", None, f"//~{KEY}/y"),
        ("/~ada/notes", None, "/~ada/notes"),
    ],
)
def test_the_key_is_cut_off_in_front_of_the_path(path: str, key: str | None, rest: str) -> None:
    assert egress_key(path) == (key, rest)


def test_only_the_right_key_is_the_key() -> None:
    assert same_key(KEY, Secret(KEY))
    assert not same_key(KEY[::-1], Secret(KEY))
    assert not same_key(None, Secret(KEY))
    assert not same_key(KEY, None)


# --- ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_id", ["a", "req-1.2_3", "x" * 128])
def test_a_callers_own_id_is_taken(given_id: str) -> None:
    assert request_id(given_id) == given_id


@pytest.mark.parametrize("given_id", [None, "", "x" * 129, "a b", "a/b", "a\n", "é", "<script>"])
def test_what_could_not_be_logged_is_no_id(given_id: str | None) -> None:
    assert request_id(given_id) is None


FRESH = "7b0c3a52-6f0e-4f0e-9f3b-2d2c1b0a9f8e"


@pytest.mark.parametrize("given_id", [None, "req-1", "7b0c3a526f0e4f0e9f3b2d2c1b0a9f8e", "not-a-uuid-at-all"])
def test_an_agent_always_gets_a_uuid(given_id: str | None) -> None:
    assert agent_request_id(given_id, FRESH) == FRESH


def test_an_agent_gets_the_callers_id_where_that_is_a_uuid() -> None:
    given_id = "0F8FAD5B-D9CB-469F-A165-70867728950E"
    assert agent_request_id(given_id, FRESH) == given_id
    assert UUID(given_id)


@settings(max_examples=1000, deadline=None)
@given(st.uuids().map(str) | st.text(st.sampled_from("0aA-g\u0660"), min_size=35, max_size=37))
def test_a_uuid_is_known_without_a_pattern_and_nothing_else(value: str) -> None:
    pattern = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    assert is_uuid(value) == bool(re.fullmatch(pattern, value))


# --- a bearer, where that says who calls --------------------------------------------------------------------


@pytest.mark.parametrize("value", ["Bearer abc.def", "bearer abc.def", "BEARER   abc.def "])
def test_a_bearer_is_shown_to_be_judged_and_is_no_users_token(value: str) -> None:
    caller = bearing(Caller("egress", True), came(("Authorization", value)))
    assert caller.bearer == Secret("abc.def")
    assert caller.token is None
    assert "abc" not in repr(caller)


def test_a_believed_token_goes_before_what_anybody_shows() -> None:
    known = Caller("front", True, token=Secret("believed"))
    assert bearing(known, came(("Authorization", "Bearer shown"))) == known


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("Authorization", "Basic abc"),),
        (("Authorization", "Bearer"),),
        (("Authorization", "Bearer a b"),),
        (("Authorization", "Bearer a,b"),),
        (("Authorization", f"Bearer {'x' * 16_385}"),),
        (("Authorization", "Bearer a"), ("Authorization", "Bearer b")),
    ],
)
def test_what_is_no_single_bearer_is_none(pairs: tuple[tuple[str, str], ...]) -> None:
    assert bearing(Caller(), came(*pairs)).bearer is None


def test_who_is_named_is_named_by_somebody_who_is_believed() -> None:
    assert named(Caller("front", True, email="ada@example.org"))
    assert named(Caller("front", True, token=Secret("t")))
    assert not named(Caller("front", True))
    assert not named(Caller("front", False, email="ada@example.org"))
    assert not named(Caller("front", False, bearer=Secret("t")))
