"""A connection of Unity Catalog, read as an agent: who may use it, where it leads, and with whose credential."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import connections, discovery
from policies.connections import agent_name, may_use, owns, principals, registered
from policies.refusal import Refusal

HOST = "https://echo-77.aws.databricksapps.com"
HOME = discovery.Workspace("https://dbc-1.cloud.databricks.com", "77", True)
NOBODY: frozenset[str] = frozenset()


def connection(name: str = "echo-a2a", **options: str) -> dict[str, Any]:
    given = {"host": HOST, "base_path": "/.well-known/agent.json"} | options
    return {"name": name, "connection_type": "HTTP", "comment": "Echo", "options": given, "owner": "admin"}


def found(*, listed: bool = False, **options: str) -> connections.Registered:
    return registered(connection(**options), "echo", frozenset({HOST} if listed else ()), HOME)


def refused(**options: str) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        registered(connection(**options), "echo", NOBODY, HOME)
    return refusal.value


# --- whose it is -------------------------------------------------------------------------------------------

ADA = principals({"userName": "ada@example.org", "groups": [{"display": "data"}, {"display": "users"}]})


@pytest.mark.parametrize(
    ("assigned", "may"),
    [
        ([{"principal": "ada@example.org", "privileges": ["USE_CONNECTION"]}], True),
        ([{"principal": "ada@example.org", "privileges": ["USE CONNECTION"]}], True),
        ([{"principal": "ada@example.org", "privileges": ["ALL_PRIVILEGES"]}], True),
        ([{"principal": "data", "privileges": ["USE_CONNECTION"]}], True),
        ([{"principal": "account users", "privileges": ["USE_CONNECTION"]}], True),
        ([{"principal": "data", "privileges": [{"privilege": "USE_CONNECTION"}]}], True),
        ([{"principal": "eve@example.org", "privileges": ["USE_CONNECTION"]}], False),
        ([{"principal": "ada", "privileges": ["USE_CONNECTION"]}], False),
        ([{"principal": "ada@example.org", "privileges": ["MANAGE"]}], False),
        ([{"principal": "ada@example.org"}], False),
        ([], False),
        (None, False),
    ],
)
def test_the_use_is_granted_to_a_person_or_to_a_group_of_theirs(assigned: Any, may: bool) -> None:
    assert may_use(ADA, {"privilege_assignments": assigned}) is may
    assert not may_use(principals({}), {"privilege_assignments": assigned})


def test_an_owner_needs_no_grant_and_may_be_a_group() -> None:
    assert owns(ADA, {"owner": "ada@example.org"})
    assert owns(ADA, {"owner": "data"})
    assert not owns(ADA, {"owner": "eve@example.org"})
    assert not owns(principals({}), {"owner": None})


# --- what it is called --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffix", "agent"),
    [
        ("echo-a2a", "-a2a", "echo"),
        ("echo-a2a", "", "echo-a2a"),
        ("echo", "-a2a", None),
        ("-a2a", "-a2a", None),
        ("Echo-a2a", "-a2a", None),
        ("../x-a2a", "-a2a", None),
        ("echo_2-a2a", "-a2a", None),
        (None, "-a2a", None),
    ],
)
def test_an_agents_name_is_what_stands_before_the_suffix(name: Any, suffix: str, agent: str | None) -> None:
    assert agent_name({"name": name, "connection_type": "HTTP"}, suffix) == agent


def test_what_is_no_http_connection_is_no_agent() -> None:
    assert agent_name({"name": "warehouse-a2a", "connection_type": "SNOWFLAKE"}, "-a2a") is None


# --- where it leads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, (HOST, "/.well-known/agent.json")),
        ({"host": f"{HOST}/"}, (HOST, "/.well-known/agent.json")),
        ({"host": HOST.removeprefix("https://")}, (HOST, "/.well-known/agent.json")),
        (
            {"host": "https://x.example.org", "port": "8443"},
            ("https://x.example.org:8443", "/.well-known/agent.json"),
        ),
        (
            {"host": "https://x.example.org:8444", "port": "8443"},
            ("https://x.example.org:8444", "/.well-known/agent.json"),
        ),
        (
            {"base_path": "/api/sn_aia/a2a/id/ABC/well_known/agent_json"},
            (HOST, "/api/sn_aia/a2a/id/ABC/well_known/agent_json"),
        ),
        ({"host": f"{HOST}/base", "base_path": "card.json?x=1"}, (HOST, "/base/card.json?x=1")),
    ],
)
def test_host_and_base_path_say_where_the_card_is(options: dict[str, str], place: tuple[str, str]) -> None:
    agent = found(**options).agent
    assert (agent.url, agent.card) == place
    assert (agent.kind, agent.connection) == ("a2a", "echo-a2a")


@pytest.mark.parametrize("option", ["host", "base_path"])
def test_what_lacks_an_option_says_which(option: str) -> None:
    refusal = refused(**{option: " "})
    assert (refusal.status, refusal.code) == (502, "connection_incomplete")
    assert refusal.detail is not None
    assert f"`{option}`" in refusal.detail


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1:8000",
        "https://localhost",
        "https://10.0.0.7",
        "https://192.168.1.1",
        "https://172.16.0.1",
        "https://100.64.0.1",
        "https://[::1]",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.1]",
        "https://[64:ff9b::a00:1]",
        "https://[2002:a00:1::]",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://agents.internal",
        "https://agents.svc.cluster.local",
        "https://agents.localhost",
        "https://2852039166",
        "file:///etc/passwd",
        "https://a@b.example.org",
    ],
)
def test_a_private_or_crooked_address_is_not_called_U11(host: str) -> None:
    assert refused(host=host).code == "agent_address_refused"


def test_an_operator_may_vouch_for_a_private_origin() -> None:
    one = registered(
        connection(host="http://127.0.0.1:8000"), "echo", frozenset({"http://127.0.0.1:8000"}), HOME
    )
    assert not one.agent.public
    assert found().agent.public


# --- with whose credential ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "vouched", "mode"),
    [
        ("databricks", True, "user"),
        ("Databricks", True, "user"),
        ("databricks", False, "none"),
        ("", True, "app"),
        ("unused", True, "app"),
        ("none", True, "app"),
        ("placeholder", True, "app"),
        ("oauth-passthrough", True, "app"),
        ("", False, "none"),
        ("unused", False, "none"),
    ],
)
def test_a_credential_of_ours_goes_only_where_an_operator_vouches(
    word: str, vouched: bool, mode: str
) -> None:
    one = found(listed=vouched, bearer_token=word)
    assert one.agent.auth == mode
    assert one.token is None
    assert one.oauth is None


def test_a_credential_that_the_connection_carries_goes_to_its_own_address() -> None:
    one = found(bearer_token="c4nary")
    assert one.agent.auth == "static"
    assert one.token is not None
    assert one.token.reveal() == "c4nary"
    assert "c4nary" not in repr(one)
    client = {
        "client_id": "id",
        "client_secret": "s3cret",
        "token_endpoint": "https://idp.example.org/t",
        "oauth_scope": "a b",
    }
    one = found(**client)
    assert one.agent.auth == "oauth"
    assert one.oauth is not None
    assert (one.oauth.token_endpoint, one.oauth.scope) == ("https://idp.example.org/t", "a b")
    assert "s3cret" not in repr(one)
    assert "s3cret" not in repr(one.agent)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"client_id": "id", "token_endpoint": "https://idp.example.org/t"}, "client_secret"),
        ({"client_id": "id", "client_secret": "s3cret"}, "token_endpoint"),
        ({"client_secret": "s3cret", "token_endpoint": "https://idp.example.org/t"}, "client_id"),
    ],
)
def test_client_credentials_in_part_say_which_part_is_missing(given: dict[str, str], missing: str) -> None:
    refusal = refused(**given)
    assert refusal.code == "connection_incomplete"
    assert f"`{missing}`" in (refusal.detail or "")
    assert "s3cret" not in str(refusal.detail)


@pytest.mark.parametrize(
    "endpoint", ["http://idp.example.org/t", "https://10.0.0.1/t", "https://localhost/t", "t"]
)
def test_a_connections_secret_is_posted_to_public_https_only(endpoint: str) -> None:
    client = {"client_id": "id", "client_secret": "s3cret", "token_endpoint": endpoint}
    refusal = refused(**client)
    assert refusal.code == "agent_address_refused"
    assert "s3cret" not in str(refusal.detail)


def test_no_credential_goes_over_plain_http_to_another_machine_U09() -> None:
    assert refused(host="http://x.example.org", bearer_token="t").code == "agent_address_refused"


def test_what_was_found_is_never_trusted_and_what_is_vouched_for_is_judged_like_the_settings_agents() -> None:
    assert not found().agent.trusted
    assert found(listed=True).agent.trusted  # an app of this workspace
    other = registered(
        connection(host="https://x.example.org"), "echo", frozenset({"https://x.example.org"}), HOME
    )
    assert not other.agent.trusted


# --- whatever stands there ----------------------------------------------------------------------------------

texts = st.text(max_size=12) | st.sampled_from(
    [HOST, "/card", "databricks", "https://10.0.0.1", "x.example.org", "443"]
)
options = st.dictionaries(
    st.sampled_from(
        ["host", "base_path", "port", "bearer_token", "client_id", "client_secret", "token_endpoint"]
    ),
    texts | st.none() | st.integers(),
)
anything = st.none() | st.integers() | texts | st.lists(texts, max_size=2)


@settings(max_examples=1000, deadline=None)
@given(options | anything, anything, st.booleans())
def test_whatever_a_connection_says_it_is_an_agent_or_a_refusal(
    said: Any, comment: Any, vouched: bool
) -> None:
    one = {"name": "echo-a2a", "connection_type": "HTTP", "options": said, "comment": comment}
    try:
        agent = registered(one, "echo", frozenset({HOST} if vouched else ()), HOME).agent
    except Refusal:
        return
    assert agent.url == discovery.origin(agent.url)
    assert agent.card.startswith("/")
    assert agent.auth in ("none", "static", "oauth") or vouched
    assert not agent.trusted or vouched


@settings(max_examples=1000, deadline=None)
@given(anything, anything)
def test_whatever_the_workspace_answers_nobody_gets_a_right_by_it(me: Any, grants: Any) -> None:
    assert principals({"userName": me, "groups": grants}) >= NOBODY
    assert not may_use(principals(me), {"privilege_assignments": grants})
