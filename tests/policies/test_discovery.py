"""Names, addresses and trust: what an operator writes, and what nobody can smuggle past it."""

from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from policies.discovery import (
    Address,
    AddressError,
    Trust,
    Workspace,
    agent_url,
    app_name,
    auth,
    endpoint,
    is_agent_name,
    is_exposed,
    is_loopback,
    is_public,
    origin,
    trust,
)

HOME = Workspace(origin="https://dbc-1.cloud.databricks.com", id="7711", credentials=True)
APP = "https://my-agent-7711.3.azure.databricksapps.com"

thorough = settings(max_examples=1000, deadline=None)


# Names


@pytest.mark.parametrize("name", ["default", "a", "7", "my-agent", "a" * 63])
def test_an_agent_may_be_called(name: str) -> None:
    assert is_agent_name(name)


@pytest.mark.parametrize("name", ["", "-a", "My", "a_b", "a" * 64, "a/b", "a\n", "ä", "a b", ".."])
def test_an_agent_may_not_be_called(name: str) -> None:
    assert not is_agent_name(name)


# Addresses


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://agent.example.org", "https://agent.example.org"),
        ("https://agent.example.org/", "https://agent.example.org"),
        ("HTTPS://Agent.Example.ORG:443/", "https://agent.example.org"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("https://agent.example.org./base//", "https://agent.example.org/base"),
        ("https://agent.example.org/Some/Base%2Fpath/", "https://agent.example.org/Some/Base%2Fpath"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("http://under_score.local", "http://under_score.local"),
    ],
)
def test_u08_an_address_has_one_spelling(written: str, url: str) -> None:
    assert agent_url(written) == Address(url)


@pytest.mark.parametrize(
    ("written", "url", "dropped"),
    [
        ("https://a.example.org/invocations", "https://a.example.org", ["/invocations"]),
        ("https://a.example.org/responses/", "https://a.example.org", ["/responses"]),
        ("https://a.example.org/base/invocations", "https://a.example.org/base", ["/invocations"]),
        (
            "https://a.example.org/responses/invocations",
            "https://a.example.org",
            ["/invocations", "/responses"],
        ),
    ],
)
def test_u08_a_chat_path_at_the_end_is_dropped_and_that_is_said(
    written: str, url: str, dropped: list[str]
) -> None:
    notices = tuple(f"{path} at the end was dropped: it is added to each call" for path in dropped)
    assert agent_url(written) == Address(url, notices)


def test_u08_a_path_that_only_ends_alike_is_kept() -> None:
    assert agent_url("https://a.example.org/my-invocations") == Address(
        "https://a.example.org/my-invocations"
    )


SCHEME = "it does not begin with http:// or https:// and a host"
USER = "it holds a user name or password in front of the host"
INWARD = "it is a link-local or metadata address, where no agent can be"
LISTENS = "it is an address to listen at, not one to call"
NUMBER = "its host is a number, but no address in dotted form"
UNREADABLE = "its host is not readable"
PORT = "its port is not a number from 1 to 65535"
CHARACTER = "it holds a character that an address cannot have"
DOTS = "its path holds a `.` or `..` segment"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "it is empty"),
        ("file:///etc/passwd", SCHEME),
        ("ftp://a.example.org", SCHEME),
        ("ws://a.example.org", SCHEME),
        ("a.example.org", SCHEME),
        ("a.example.org:8000", SCHEME),
        ("//a.example.org", SCHEME),
        ("https:/a.example.org", SCHEME),
        ("https://", SCHEME),
        ("https:///path", SCHEME),
        ("https://user:word@a.example.org", USER),
        ("https://@a.example.org", USER),
        ("https://a.example.org?token=1", "it holds a query"),
        ("https://a.example.org/base?", "it holds a query"),
        ("https://a.example.org#top", "it holds a fragment"),
        ("https://a.example.org/#", "it holds a fragment"),
        ("http://a.example.org:0", "its port is 0"),
        ("http://a.example.org:65536", PORT),
        ("http://a.example.org:00000099999", PORT),
        ("http://a.example.org:x", PORT),
        ("http://a.example.org:-1", PORT),
        ("http://169.254.169.254", INWARD),
        ("http://169.254.169.254:80/latest/", INWARD),
        ("http://169.254.0.1", INWARD),
        ("http://[fe80::1]", INWARD),
        ("http://[::ffff:169.254.169.254]", INWARD),
        ("http://[::ffff:a9fe:a9fe]", INWARD),
        ("http://[64:ff9b::a9fe:a9fe]", INWARD),
        ("http://[::169.254.169.254]", INWARD),
        ("http://[fd00:ec2::254]", INWARD),
        ("http://metadata.google.internal", INWARD),
        ("http://METADATA.google.internal.", INWARD),
        ("http://0.0.0.0:8000", LISTENS),
        ("http://[::]:8000", LISTENS),
        ("http://224.0.0.1", LISTENS),
        ("http://2852039166", NUMBER),
        ("http://0xa9fea9fe", NUMBER),
        ("http://0xA9.0xFE.0xA9.0xFE", NUMBER),
        ("http://169.254.43518", NUMBER),
        ("http://0251.0376.0251.0376", NUMBER),
        ("http://[fe80::1%25eth0]", UNREADABLE),
        ("http://[::1", UNREADABLE),
        ("http://evil[::1]", UNREADABLE),
        ("http://[::1]evil", UNREADABLE),
        ("http://[::1]:8000:1", PORT),
        ("http://[127.0.0.1]", UNREADABLE),
        ("http://a..example.org", UNREADABLE),
        ("http://-a.example.org", UNREADABLE),
        ("http://a.example.org%2f.evil", UNREADABLE),
        ("http://" + "a" * 64, UNREADABLE),
        ("http://exämple.org", CHARACTER),
        ("http://a.example.org/ b", CHARACTER),
        ("http://a.example.org\\@evil", CHARACTER),
        ("http://a.example.org\n.evil", CHARACTER),
        ("http://a.exam\tple.org", CHARACTER),
        ("http://a.example.org/..", DOTS),
        ("http://a.example.org/base/%2e%2E/admin", DOTS),
        ("http://a.example.org/./base", DOTS),
    ],
)
def test_u08_an_address_that_cannot_be_an_agents_is_refused(written: str, why: str) -> None:
    with pytest.raises(AddressError) as refused:
        agent_url(written)
    assert str(refused.value) == why


SOUP = st.lists(
    st.sampled_from(
        [
            *("databricksapps.com", "apps.databricks.com", "dbc-1.cloud.databricks.com", "-7711", "my-agent"),
            *("evil", "evil.org", "localhost", "127.0.0.1", "169.254.169.254", "[::1]", "0x7f", "2130706433"),
            *(
                ".",
                "..",
                "-",
                "@",
                ":",
                "/",
                "//",
                "\\",
                "#",
                "?",
                "%2e",
                "%40",
                "%00",
                ":443",
                ":0",
                "。",
                "ﬀ",
            ),
            *(
                "invocations",
                "responses",
                "https://",
                "http://",
                " ",
                "\t",
                "\n",
                "\u200b",
                "\u00ad",
                "xn--",
                "A",
            ),
        ]
    ),
    max_size=8,
).map("".join)


@thorough
@given(st.one_of(SOUP, SOUP.map("https://{}".format), st.text(), st.text().map("http://{}".format)))
def test_whatever_is_written_is_one_address_or_one_sentence(written: str) -> None:
    try:
        url, _ = agent_url(written)
    except AddressError:
        return
    assert agent_url(url) == Address(url), "an address is its own one spelling"
    told, read = URL(url, encoded=True), URL(written.strip(), encoded=True)
    assert (told.scheme, told.port) == (read.scheme, read.port)
    assert told.raw_host == (read.raw_host or "").lower().rstrip("."), "another reader sees the same host"
    assert (told.user, told.password, told.query_string, told.fragment) == (None, None, "", "")


# Trust


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost:9000", "it runs on this machine"),
        ("http://127.0.0.1", "it runs on this machine"),
        ("http://127.9.9.9:1/base", "it runs on this machine"),
        ("http://[::1]:9000", "it runs on this machine"),
        ("https://dbc-1.cloud.databricks.com/serving", "it has the origin of DATABRICKS_HOST"),
        (APP, "it is an app of this workspace, under databricksapps.com"),
        (
            "https://a-7711.aws.databricksapps.com/base",
            "it is an app of this workspace, under databricksapps.com",
        ),
        ("https://a-7711.apps.databricks.com", "it is an app of this workspace, under apps.databricks.com"),
    ],
)
def test_an_agent_is_trusted_because(url: str, why: str) -> None:
    assert trust(url, HOME) == Trust(True, why)


@pytest.mark.parametrize(
    ("url", "workspace", "told"),
    [
        ("http://127.0.0.1:9000", HOME, True),
        ("https://dbc-1.cloud.databricks.com/serving", HOME, True),
        (APP, HOME, True),
        (APP, HOME._replace(id=None), False),  # which workspace's app it is, nobody can say
        ("https://a-4.aws.databricksapps.com", HOME, False),
        ("https://agents.example.org", HOME, False),
    ],
)
@pytest.mark.parametrize("explicit", [None, True])
def test_a_developers_own_token_goes_to_this_machine_and_this_workspace_whatever_else_is_trusted(
    url: str, workspace: Workspace, told: bool, explicit: bool | None
) -> None:
    given, why = trust(url, workspace._replace(developed=True), explicit)
    assert given is told
    assert given or explicit is None or "SIDECAR_DEV_TOKEN" in why
    assert trust(url, workspace._replace(developed=True), False).given is False


FOREIGN = "its host is not this machine, the workspace, or under a known apps domain"
OTHER = "it is under databricksapps.com, but not an app of workspace 7711"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://agent.example.org", FOREIGN),
        ("http://10.0.0.7", FOREIGN),
        ("https://dbc-1.cloud.databricks.com:8443", FOREIGN),
        ("http://dbc-1.cloud.databricks.com", FOREIGN),
        ("https://databricksapps.com", FOREIGN),
        ("https://a-7711.databricksapps.com.evil.org", FOREIGN),
        ("https://evildatabricksapps.com", FOREIGN),
        ("https://a-7711.evildatabricksapps.com", FOREIGN),
        ("https://a-7711.databricks.com", FOREIGN),
        ("https://localhost.evil.org", FOREIGN),
        ("https://127.0.0.1.evil.org", FOREIGN),
        ("https://my-agent-8822.3.azure.databricksapps.com", OTHER),
        ("https://x-7711-8822.aws.databricksapps.com", OTHER),
        ("https://a-97711.aws.databricksapps.com", OTHER),
        ("https://7711.aws.databricksapps.com", OTHER),
        ("https://evil.a-7711.databricksapps.com", OTHER),
        ("http://a-7711.aws.databricksapps.com", "it is under databricksapps.com, but not https"),
    ],
)
def test_u14_an_agent_is_not_trusted_because(url: str, why: str) -> None:
    assert trust(url, HOME) == Trust(False, why)


def test_without_a_workspace_id_every_app_is_trusted_and_the_sentence_says_so() -> None:
    given_, why = trust("https://a-8822.aws.databricksapps.com", Workspace())
    assert given_
    assert why == "it is https under databricksapps.com, and no DATABRICKS_WORKSPACE_ID narrows that"


@pytest.mark.parametrize(
    "url", ["http://localhost:9000", APP, "https://agent.example.org", "http://10.0.0.7"]
)
def test_what_the_operator_says_alone_decides(url: str) -> None:
    assert trust(url, HOME, True) == Trust(True, "TRUSTED=true says so")
    assert trust(url, HOME, False) == Trust(False, "TRUSTED=false says so")


def _domain(host: str) -> bool:
    labels = host.split(".")
    return any(labels[-len(known) :] == known and len(labels) > len(known) for known in DOMAINS)


DOMAINS = [["databricksapps", "com"], ["apps", "databricks", "com"]]


@thorough
@example("https://a-7711.databricksapps.com.evil.org")
@example("https://evil.org/a-7711.databricksapps.com")
@given(SOUP.map("https://{}".format))
def test_u14_no_trick_makes_a_foreign_host_trusted(written: str) -> None:
    try:
        url = agent_url(written).url
    except AddressError:
        return
    if trust(url, HOME).given:
        host = URL(url, encoded=True).raw_host or ""  # another parser than the one that decided
        home = URL(url, encoded=True).origin() == URL(HOME.origin or "")
        assert _domain(host) or host in ("localhost", "127.0.0.1", "::1") or home


LABEL = st.one_of(
    st.sampled_from(
        ["a-7711", "7711", "a-97711", "x-7711-8822", "evil", "databricksapps", "apps", "databricks", "com"]
    ),
    st.text("a7-1", min_size=1, max_size=8).map(lambda text: f"a{text}7"),
)


@thorough
@given(
    st.lists(LABEL, min_size=1, max_size=4), st.sampled_from(["databricksapps.com", "apps.databricks.com"])
)
def test_u14_under_an_apps_domain_only_this_workspaces_apps_are_trusted(
    labels: list[str], domain: str
) -> None:
    url = agent_url(f"https://{'.'.join(labels)}.{domain}").url
    app, dash, workspace = labels[0].rpartition("-")
    assert trust(url, HOME).given == bool(app and dash and workspace == "7711")


@thorough
@given(st.lists(LABEL, min_size=1, max_size=6).map(".".join))
def test_u14_a_host_of_other_domains_is_foreign(host: str) -> None:
    assume(not _domain(host) and host != "localhost")
    try:
        url = agent_url(f"https://{host}").url
    except AddressError:
        return
    assert trust(url, HOME) == Trust(False, FOREIGN)


# Credentials


@pytest.mark.parametrize(
    ("wanted", "trusted", "credentials", "given_"),
    [
        ("auto", True, True, "app"),
        ("auto", True, False, "none"),
        ("auto", False, True, "none"),
        ("auto", False, False, "none"),
        ("app", False, False, "app"),
        ("user", False, True, "user"),
        ("static", True, True, "static"),
        ("none", True, True, "none"),
    ],
)
def test_auto_is_the_apps_credential_for_a_trusted_agent_where_there_is_one(
    wanted: str, trusted: bool, credentials: bool, given_: str
) -> None:
    assert auth(wanted, trusted, credentials) == given_


def test_what_goes_over_plain_http_to_another_machine_is_exposed() -> None:
    urls = ["http://10.0.0.7", "http://agent.example.org:8000", "http://localhost.evil.org"]
    assert [is_exposed(url) for url in urls] == [True, True, True]
    urls = ["https://agent.example.org", "http://localhost:9000", "http://127.0.0.1", "http://[::1]:9000"]
    assert [is_exposed(url) for url in urls] == [False, False, False, False]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_this_machine_is(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "local", "localhost.", "127.0.0.1.x", "fe80::1"]
)
def test_this_machine_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_an_origin_ends_before_the_path() -> None:
    urls = ["https://a.example.org", "https://a.example.org/base", "https://a.example.org/base/more"]
    assert all(origin(one) == origin(two) == urls[0] for one, two in pairwise(urls))


# --- what somebody else named -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.0.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
        ),
        *(
            "::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "4000::1",
        ),
    ],
)
def test_an_address_that_not_everybody_can_reach_is_not_public_U11(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_that_everybody_can_reach_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@settings(max_examples=1000, deadline=None)
@given(st.ip_addresses())
def test_every_address_is_one_or_the_other_and_a_public_one_is_global(address: object) -> None:
    assert is_public(address) <= (address.is_global or getattr(address, "sixtofour", None) is not None)  # type: ignore[attr-defined,arg-type]


@pytest.mark.parametrize(
    ("text", "app"),
    [
        ("apps/echo-agent", "echo-agent"),
        ("apps/a", "a"),
        ("apps/", None),
        ("apps/-a", None),
        ("apps/a-", None),
        ("apps/A", None),
        ("apps/a/b", None),
        ("apps/../x", None),
        ("https://x/apps/a", None),
        (f"apps/{'a' * 64}", None),
    ],
)
def test_an_app_may_be_named_instead_of_its_address(text: str, app: str | None) -> None:
    assert app_name(text) == app


def test_where_an_app_is_has_yet_to_be_said_before_it_is_trusted() -> None:
    assert not trust("apps/echo", HOME).given
    assert trust("apps/echo", HOME, True).given


def test_a_token_endpoint_keeps_its_path_whole() -> None:
    assert (
        endpoint("https://IDP.example.org:443/oauth2/invocations")
        == "https://idp.example.org/oauth2/invocations"
    )
    assert endpoint("https://idp.example.org") == "https://idp.example.org"
    for wrong in (
        "idp.example.org/t",
        "https://u@idp.example.org/t",
        "https://idp.example.org/t?x",
        "https://x/../t",
    ):
        with pytest.raises(AddressError):
            endpoint(wrong)
