"""Settings: what variables mean, what is said about wrong ones, and what is never shown."""

import re
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError

from middleware.dialects import spoken
from policies.secret import Secret
from sidecar.agents import snapshot
from sidecar.settings import Problem, Settings, SettingsError, lists, load, numbers, texts
from sidecar.settings.env_file import read
from sidecar.settings.given import sort
from sidecar.settings.model import NO_EFFECT_YET
from sidecar.settings.problems import CODES
from sidecar.settings.variables import AGENT_KEYS, AGENTS, VARIABLES
from sidecar.tokens.configured import credentials
from sidecar.tokens.credential import environment

AGENT = {"AGENT_APP_URL": "https://agent.example.org"}
PLATFORM = {
    "DATABRICKS_APP_NAME": "my-app",
    "DATABRICKS_HOST": "https://dbc-1.cloud.databricks.com",
    "DATABRICKS_CLIENT_ID": "sp-1",
    "DATABRICKS_APP_PORT": "8080",
}
KEY = "0123456789abcdef" * 2
URL = (
    "`http://` or `https://`, a host, perhaps a port and a path; no user name, query or fragment. "
    "Or `apps/<name>`: that app of the workspace"
)
CANARY = "dapi-canary-5ecret"


def wrong(environ: dict[str, str], **how: Any) -> list[str]:
    """The lines that a person reads about these variables."""
    with pytest.raises(SettingsError) as refused:
        load(environ, **how)
    assert all(problem.code in CODES for problem in refused.value.problems)
    return str(refused.value).splitlines()


def said(environ: dict[str, str], **how: Any) -> tuple[str, ...]:
    return load(AGENT | environ, **how).notices


# What they mean


def test_one_variable_is_enough() -> None:
    found = load(AGENT)
    assert found.agents["default"].url == "https://agent.example.org"
    assert (found.host, found.port) == ("127.0.0.1", 8000)
    assert (found.egress_host, found.egress_port) == ("127.0.0.1", 9800)
    assert (found.admin_host, found.admin_port) == ("127.0.0.1", 9801)
    assert found.front_routes == ("/api/chat", "/api/agents")
    assert found.trust == ()
    assert not found.on_platform
    assert found.notices == ()


def test_settings_never_change() -> None:
    found = load(AGENT)
    for change in ("port", "on_platform", "agents"):
        with pytest.raises((ValueError, AttributeError)):
            setattr(found, change, 1)
    with pytest.raises(ValueError):
        found.timeouts.connect = 1.0  # type: ignore[misc]


def test_settings_made_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_PORT", "1234")
    monkeypatch.setenv("DATABRICKS_HOST", "https://elsewhere.example.org")
    assert Settings().port == 8000
    assert Settings(port=0).workspace_host is None
    assert load(AGENT).port == 8000, "nor does reading from a mapping"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        ("10s", 10),
        ("500ms", 0.5),
        ("2m", 120),
        ("1h", 3600),
        ("0.25", 0.25),
        (" 3 S ", 3),
        ("1.5 m", 90),
    ],
)
def test_a_duration_may_be_written(text: str, seconds: float) -> None:
    assert load(AGENT | {"SIDECAR_TIMEOUTS__CONNECT": text}).timeouts.connect == seconds


@pytest.mark.parametrize(
    "text", ["ten", "-1", "1e9", "inf", "nan", "10 seconds", "1d", "0x10", "1_0", "٣", "1,5"]
)
def test_a_duration_may_not_be_written(text: str) -> None:
    accepted = "accepted: a duration above 0: `10`, `10s`, `500ms`, `2m`"
    lines = [f"SIDECAR_KEEPALIVE: `{text}` is no duration; {accepted}"]
    assert wrong(AGENT | {"SIDECAR_KEEPALIVE": text}) == lines


def test_no_time_at_all_is_for_the_settings_that_can_bear_it() -> None:
    assert load(AGENT | {"SIDECAR_COMMIT_AFTER": "0", "SIDECAR_COLD_START_BUDGET": "0s"}).commit_after == 0
    (line,) = wrong(AGENT | {"SIDECAR_TIMEOUTS__GAP": "0ms"})
    assert line.startswith("SIDECAR_TIMEOUTS__GAP: `0ms` is no time at all; accepted: a duration above 0")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1 << 20),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1GB", 10**9),
        ("1.5KiB", 1536),
        ("7b", 7),
    ],
)
def test_a_size_may_be_written(text: str, size: int) -> None:
    assert load(AGENT | {"SIDECAR_MAX_BODY": text}).max_body == size


@pytest.mark.parametrize("text", ["0", "0.5", "big", "-1", "64 MiBs", "1TB"])
def test_a_size_may_not_be_written(text: str) -> None:
    (line,) = wrong(AGENT | {"SIDECAR_MAX_BODY": text})
    assert line.endswith("accepted: a size: `1048576`, `64KiB`, `16MiB`, `1GB`")


KINDS = [
    *(numbers.Duration, numbers.Span, numbers.Size, numbers.Count, numbers.Port, numbers.Flag),
    *(lists.Networks, lists.Hosts, lists.Origins, lists.Routes, lists.HeaderNames, lists.Emails, lists.Names),
    *(texts.Bind, texts.Address, texts.WorkspaceHost, texts.PathKey, texts.Profile, texts.Email),
    *(texts.KindName, texts.Credential),
]
READERS = [TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)) for kind in KINDS]
WORDS = st.sampled_from(
    [
        *("1", "0", "9" * 12, "ms", "GiB", "-", ".", ",", "/", ":", "@"),
        *("[", "]", "://", "http", "a", "é", "٣", "\n", "\0"),
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=8).map("".join), st.text(max_size=12)))
def test_any_text_is_a_value_or_one_sentence_that_says_why_not(text: str) -> None:
    for reader in READERS:
        try:
            reader.validate_python(text)
        except ValidationError as error:
            (detail,) = error.errors()
            assert detail["type"] == "value_error"
            assert len(detail["msg"].splitlines()) == 1


BLOCKS = [f"{AGENTS}{name}__{key}" for name in ("A", "a_B", "_", "ä") for key in AGENT_KEYS]
NAMES = st.one_of(
    st.sampled_from([*VARIABLES, *BLOCKS]),
    st.text("SIDECARGENT_xé-\n", max_size=10).map("SIDECAR_{}".format),
)


@settings(max_examples=1000, deadline=None)
@given(st.dictionaries(NAMES, st.lists(WORDS, max_size=4).map("".join), max_size=4))
def test_any_variables_are_settings_or_lines_that_say_why_not(environ: dict[str, str]) -> None:
    problems: list[Problem] = []
    try:
        load(environ)
    except SettingsError as error:
        problems = error.problems
    assert all(problem.code in CODES and len(str(problem).splitlines()) == 1 for problem in problems)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("on", True),
        ("TRUE", True),
        ("1", True),
        ("yes", True),
        ("off", False),
        ("0", False),
        ("No", False),
        ("false", False),
    ],
)
def test_a_switch_may_be_written(text: str, on: bool) -> None:
    assert load(AGENT | {"SIDECAR_PAGE": text}).page is on


def test_lists_are_separated_by_commas() -> None:
    found = load(
        AGENT
        | {
            "SIDECAR_TRUST": "10.0.0.0/8, 192.168.7.4 ,fd00::/8",
            "SIDECAR_HOSTS": "Box:8000,,dev.example.org",
            "SIDECAR_ORIGINS": "https://App.example.org/,http://localhost:5173",
            "SIDECAR_FRONT_ROUTES": "/api/chat,/agents/",
            "SIDECAR_MIDDLEWARE": "redact,default,redact",
            "SIDECAR_ADMIN_USERS": "ann@example.org,bob@example.org",
            "SIDECAR_AGENTS__DEFAULT__HEADERS": "X-Tenant, x-region",
        }
    )
    assert found.trust == (ip_network("10.0.0.0/8"), ip_network("192.168.7.4"), ip_network("fd00::/8"))
    assert found.hosts == ("box:8000", "dev.example.org")
    assert found.origins == ("https://app.example.org", "http://localhost:5173")
    assert found.front_routes == ("/api/chat", "/agents/")
    assert found.middleware == ("redact", "default", "redact"), "the list's own judge sees what was written"
    assert found.admin_users == ("ann@example.org", "bob@example.org")
    assert found.agents["default"].headers == ("x-tenant", "x-region")


@pytest.mark.parametrize("text", ["ann", "ann@", "a b@example.org", "änn@example.org", "a\udcff@example.org"])
def test_a_played_user_is_an_address_that_a_header_could_bring(text: str) -> None:
    (line,) = wrong(AGENT | {"SIDECAR_DEV_USER": text})
    assert line.endswith(" is no e-mail address; accepted: one e-mail address")


def test_an_empty_text_is_no_value_and_an_empty_list() -> None:
    found = load(AGENT | {"SIDECAR_PORT": "", "SIDECAR_EGRESS_SECRET": " ", "SIDECAR_FRONT_ROUTES": ""})
    assert found.port == 8000
    assert found.egress_secret is None
    assert found.front_routes == ()


# Agents


def test_every_agent_has_a_block_and_a_name_that_is_told_from_it() -> None:
    found = load(
        {
            "SIDECAR_AGENTS__MY_AGENT__URL": "http://localhost:9001/",
            "SIDECAR_AGENTS__MY_AGENT__STREAMING": "Off",
            "SIDECAR_AGENTS__MY_AGENT__TRUSTED": "false",
            "SIDECAR_AGENTS__MY_AGENT__STREAM_DEFAULT": "sse",
            "SIDECAR_AGENTS__MY_AGENT__SHAPE": "as-is",
            "SIDECAR_AGENTS__MY_AGENT__REPLAY": "never",
            "SIDECAR_AGENTS__B2__URL": "https://b.example.org/base/invocations",
        }
        | AGENT
    )
    assert list(found.agents) == ["default", "b2", "my-agent"]
    block = found.agents["my-agent"]
    assert block.url == "http://localhost:9001"
    assert (block.streaming, block.stream_default, block.shape) == ("off", "sse", "as-is")
    assert (block.replay, block.trusted, block.kind, block.auth) == ("never", False, "responses", "auto")
    assert found.notices == (
        "SIDECAR_AGENTS__B2__URL: /invocations at the end was dropped: it is added to each call",
    )


def test_the_block_of_the_default_agent_wins_over_the_one_variable_and_that_is_said() -> None:
    found = load(AGENT | {"SIDECAR_AGENTS__DEFAULT__URL": "http://localhost:9001"})
    assert found.agents["default"].url == "http://localhost:9001"
    assert found.notices == ("SIDECAR_AGENTS__DEFAULT__URL is set and wins over AGENT_APP_URL",)


def test_the_rest_of_its_block_applies_to_the_one_variable() -> None:
    found = load(AGENT | {"SIDECAR_AGENTS__DEFAULT__STREAMING": "off"})
    assert found.agents["default"].url == "https://agent.example.org"
    assert found.agents["default"].streaming == "off"


def test_a_token_is_taken_as_it_is_even_where_it_looks_like_a_number() -> None:
    for token in ("1e5", "0123", "true", "null", '{"a":1}', "123456789012345678901234567890"):
        given_ = {"SIDECAR_AGENTS__DEFAULT__AUTH": "static", "SIDECAR_AGENTS__DEFAULT__TOKEN": token}
        assert load(AGENT | given_).agents["default"].token == Secret(token)


def test_no_agent_at_all_stops_serve_with_the_one_variable_to_set() -> None:
    lines = [
        "AGENT_APP_URL: no agent is configured; "
        "set it to your agent's address: AGENT_APP_URL=https://agent.example.org sidecar serve"
    ]
    assert wrong({}) == wrong({}, command="check") == lines
    assert wrong({"SIDECAR_AGENTS__DEFAULT__STREAM_DEFAULT": "sse"}) == lines
    assert load({}, command="demo").agents == {}


def test_an_empty_address_is_the_sign_of_a_resource_that_is_called_otherwise() -> None:
    empty = {"AGENT_APP_URL": ""}
    lines = [
        "AGENT_APP_URL: it is empty; set it to your agent's address, or, on the platform, "
        "give the app's resource the name that `valueFrom` in app.yaml says"
    ]
    assert wrong(empty) == wrong(empty, command="check") == lines
    assert wrong(empty | {"SIDECAR_AGENTS__DEFAULT__STREAM_DEFAULT": "sse"}) == lines
    (notice,) = load({"AGENT_APP_URL": ""}, command="config").notices
    assert (
        notice == "AGENT_APP_URL is empty: `valueFrom` in app.yaml and the name of the app's resource differ"
    )


def test_u08_a_wrong_address_is_one_exact_line() -> None:
    for url, why in (
        ("file:///etc/passwd", "it does not begin with http:// or https:// and a host"),
        ("http://169.254.169.254", "it is a link-local or metadata address, where no agent can be"),
        ("https://me:word@agent.example.org", "it holds a user name or password in front of the host"),
        ("https://agent.example.org:0", "its port is 0"),
        ("https://agent.example.org/x?token=1", "it holds a query"),
    ):
        assert wrong({"AGENT_APP_URL": url}) == [f"AGENT_APP_URL: {why}; accepted: {URL}"]
        assert wrong({"SIDECAR_AGENTS__B__URL": url}) == [f"SIDECAR_AGENTS__B__URL: {why}; accepted: {URL}"]


# Where values come from


def test_on_the_platform_the_front_listens_where_its_proxy_calls() -> None:
    found = load(AGENT | PLATFORM)
    assert found.on_platform
    assert (found.host, found.port) == ("0.0.0.0", 8080)
    assert found.source("host") == "default on the platform"
    assert found.source("port") == "DATABRICKS_APP_PORT"
    assert found.egress_host == "127.0.0.1"


def test_what_is_set_wins_on_the_platform_too() -> None:
    found = load(AGENT | PLATFORM | {"SIDECAR_HOST": "127.0.0.1", "SIDECAR_PORT": "9000"})
    assert (found.host, found.port) == ("127.0.0.1", 9000)
    assert found.source("port") == "SIDECAR_PORT"


@pytest.mark.parametrize("absent", ["DATABRICKS_APP_NAME", "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"])
def test_the_platform_is_where_all_three_of_its_variables_are(absent: str) -> None:
    given_ = {name: value for name, value in PLATFORM.items() if name != absent}
    assert not load(AGENT | given_).on_platform
    assert load(AGENT | given_ | {"SIDECAR_PLATFORM": "on"}).on_platform
    assert not load(AGENT | PLATFORM | {"SIDECAR_PLATFORM": "off"}).on_platform


def test_h12_a_platform_without_its_client_id_is_said_and_nobody_is_believed() -> None:
    given_ = {name: value for name, value in PLATFORM.items() if name != "DATABRICKS_CLIENT_ID"}
    found = load(AGENT | given_)
    assert not found.on_platform
    assert found.trust == ()
    assert found.notices == (
        "DATABRICKS_CLIENT_ID is not set: "
        "this is not taken for the platform, and nobody is believed at the front",
    )
    assert said(given_ | {"SIDECAR_PLATFORM": "on"}) == (
        "SIDECAR_PLATFORM=on although DATABRICKS_CLIENT_ID is not set: whoever reaches the front is believed",
    )
    assert said({"SIDECAR_PLATFORM": "on"}) == (
        "SIDECAR_PLATFORM=on although DATABRICKS_APP_NAME, DATABRICKS_HOST and DATABRICKS_CLIENT_ID are not set: "
        "whoever reaches the front is believed",
    )


def test_a_laptop_with_a_workspace_is_no_broken_platform() -> None:
    assert said({"DATABRICKS_HOST": "dbc-1.cloud.databricks.com", "DATABRICKS_TOKEN": "dapi1"}) == ()


@pytest.mark.parametrize(
    "written",
    [
        "dbc-1.example.org",
        "https://dbc-1.example.org",
        "https://DBC-1.example.org/",
        "https://dbc-1.example.org/?o=7711#job/1",
    ],
)
def test_the_workspace_is_read_with_or_without_what_stands_around_it(written: str) -> None:
    assert load(AGENT | {"DATABRICKS_HOST": written}).workspace_host == "https://dbc-1.example.org"


def test_the_workspace_is_never_asked_over_plain_http_but_on_this_machine() -> None:
    assert (
        load(AGENT | {"DATABRICKS_HOST": "http://127.0.0.1:9999"}).workspace_host == "http://127.0.0.1:9999"
    )
    (line,) = wrong(AGENT | {"DATABRICKS_HOST": "http://dbc-1.example.org"})
    assert line.startswith(
        "DATABRICKS_HOST: it is plain http to another machine, and the app's secret would go there"
    )


def test_the_demo_has_the_page_and_the_inspector_unless_told_otherwise() -> None:
    found = load({}, command="demo")
    assert (found.page, found.inspect) == (True, True)
    assert found.source("page") == "default of demo"
    assert not load({"SIDECAR_PAGE": "off"}, command="demo").page
    assert not load(AGENT).page


def test_a_value_knows_where_it_comes_from() -> None:
    found = load(
        AGENT | {"SIDECAR_TIMEOUTS__GAP": "5"},
        env_file={"SIDECAR_LOG": "debug", "SIDECAR_TIMEOUTS__GAP": "7"},
        flags={"SIDECAR_PORT": "0"},
    )
    assert (found.timeouts.gap, found.log, found.port) == (5, "debug", 0)
    assert found.source("timeouts", "gap") == "SIDECAR_TIMEOUTS__GAP", "the environment wins over the file"
    assert found.source("log") == "SIDECAR_LOG (env file)"
    assert found.source("port") == "command line"
    assert found.source("agents", "default", "url") == "AGENT_APP_URL"
    assert found.source("host") == "default"


# What is wrong


def test_everything_that_is_wrong_is_said_at_once() -> None:
    lines = wrong(
        {
            "AGENT_APP_URL": "agent.example.org",
            "DATABRICKS_APP_PORT": "eighty",
            "SIDECAR_PROT": "8000",
            "SIDECAR_PORT": "80a",
            "SIDECAR_TIMEOUTS__CONECT": "1",
            "SIDECAR_TIMEOUTS__GAP": "soon",
            "SIDECAR_LOG": "loud",
            "SIDECAR_TRUST": "10.0.0.1/8",
            "SIDECAR_EGRESS_HOST": "0.0.0.0",
            "SIDECAR_ADMIN_PORT": "9801",
            "SIDECAR_EGRESS_PORT": "9801",
            "SIDECAR_AGENTS__A__STREAMING": "on",
            "SIDECAR_AGENTS__B__URL": "https://b.example.org",
            "SIDECAR_AGENTS__B__TOKN": CANARY,
            "SIDECAR_AGENTS__B__AUTH": "static",
            "SIDECAR_AGENTS__B__HEADERS": "x-tenant,Cookie",
            "SIDECAR_AGENTS__C__URL": "http://c.example.org",
            "SIDECAR_AGENTS__C__AUTH": "app",
            "SIDECAR_AGENTS___D__URL": "https://d.example.org",
        }
    )
    nearest = "there is no such setting; the nearest known name is"
    port = "accepted: 0 to 65535, where 0 is any free port"
    assert lines == [
        f"AGENT_APP_URL: it does not begin with http:// or https:// and a host; accepted: {URL}",
        f"DATABRICKS_APP_PORT: `eighty` is no port; {port}",
        "SIDECAR_ADMIN_PORT: 9801 is the port of SIDECAR_EGRESS_PORT too; give each door its own",
        f"SIDECAR_AGENTS__A__URL: agent 'a' has no address; accepted: {URL}",
        "SIDECAR_AGENTS__B__HEADERS: `cookie` carries an identity, a credential or the framing, and stays "
        "closed; accepted: header names, separated by commas: `x-tenant,x-region`",
        f"SIDECAR_AGENTS__B__TOKN: {nearest} SIDECAR_AGENTS__B__TOKEN",
        "SIDECAR_AGENTS__C__URL: a credential would go to another machine over plain http; "
        "use https://, or set SIDECAR_AGENTS__C__PLAINTEXT=true",
        "SIDECAR_AGENTS___D__URL: it names no agent; "
        "accepted: letters, digits and `_`, up to 63, not `_` first",
        "SIDECAR_EGRESS_HOST: other machines could call agents with the app's credentials; "
        "set SIDECAR_EGRESS_SECRET, or bind 127.0.0.1",
        "SIDECAR_LOG: `loud` is not one of them; accepted: `debug`, `info`, `warning`",
        f"SIDECAR_PORT: `80a` is no port; {port}",
        f"SIDECAR_PROT: {nearest} SIDECAR_PORT",
        f"SIDECAR_TIMEOUTS__CONECT: {nearest} SIDECAR_TIMEOUTS__CONNECT",
        "SIDECAR_TIMEOUTS__GAP: `soon` is no duration; "
        "accepted: a duration above 0: `10`, `10s`, `500ms`, `2m`",
        "SIDECAR_TRUST: `10.0.0.1/8` is no network (did you mean 10.0.0.0/8?); "
        "accepted: networks, separated by commas: `10.0.0.0/8,192.168.7.4,fd00::/8`",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("SIDECAR_EGRES_PORT", "SIDECAR_EGRESS_PORT"),
        ("SIDECAR_TIMEOUT__CONNECT", "SIDECAR_TIMEOUTS__CONNECT"),
        ("SIDECAR_TIMEOUTS_CONNECT", "SIDECAR_TIMEOUTS__CONNECT"),
        ("SIDECAR_AGENTS__MY_AGENT__UR", "SIDECAR_AGENTS__MY_AGENT__URL"),
        ("SIDECAR_AGENT__X__URL", "SIDECAR_AGENTS__<NAME>__URL"),
        ("SIDECAR_AGENTS__URL", "SIDECAR_AGENTS__<NAME>__URL"),
        ("SIDECAR_SECRET_FILE", "SIDECAR_EGRESS_SECRET_FILE"),
        ("sidecar_port", "SIDECAR_PORT"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(written: str, meant: str) -> None:
    assert wrong(AGENT | {written: "x"}) == [
        f"{written}: there is no such setting; the nearest known name is {meant}"
    ]


def test_two_spellings_of_one_agents_setting_are_a_conflict() -> None:
    given_ = {
        "SIDECAR_AGENTS__MY-A__URL": "https://a.example.org",
        "SIDECAR_AGENTS__MY_A__URL": "https://b.example.org",
    }
    assert wrong(given_) == [
        "SIDECAR_AGENTS__MY_A__URL: it means the same as SIDECAR_AGENTS__MY-A__URL; set one of them"
    ]


def test_variables_of_others_are_none_of_our_business() -> None:
    assert said({"PORT": "x", "DATABRICKS_WAREHOUSE_ID": "x", "SIDE": "x", "SIDECARS": "x"}) == ()


def test_a_service_link_of_kubernetes_is_told_as_such() -> None:
    (line,) = wrong(AGENT | {"SIDECAR_PORT": "tcp://10.0.0.1:80"})
    assert (
        "is no port but a Kubernetes service link (enableServiceLinks: false); accepted: 0 to 65535" in line
    )


def test_a_plug_ins_variables_are_never_unknown() -> None:
    found = load(AGENT | {"SIDECAR_PLUGIN_REDACT__PATTERN": "a+", "SIDECAR_PLUGIN_X": "1"})
    assert found.plugin_env == {"SIDECAR_PLUGIN_REDACT__PATTERN": "a+", "SIDECAR_PLUGIN_X": "1"}


# What they mean together


BAD_PAIRS: list[tuple[dict[str, str], str]] = [
    (
        {"SIDECAR_EGRESS_KEY": "required"},
        "SIDECAR_EGRESS_SECRET: SIDECAR_EGRESS_KEY=required, and there is no key; "
        "set it: `openssl rand -hex 16` makes one",
    ),
    (
        {"SIDECAR_EGRESS_HOST": "10.0.0.7"},
        "SIDECAR_EGRESS_HOST: other machines could call agents with the app's credentials; "
        "set SIDECAR_EGRESS_SECRET, or bind 127.0.0.1",
    ),
    (
        {"SIDECAR_DEV_USER": "ann@example.org", "SIDECAR_HOST": "0.0.0.0"},
        "SIDECAR_DEV_USER: every machine that reaches 0.0.0.0 would be this user; "
        "take it out, or set SIDECAR_HOST=127.0.0.1",
    ),
    (
        PLATFORM | {"SIDECAR_DEV_USER": "ann@example.org"},
        "SIDECAR_DEV_USER: everybody would be this user on the platform; it is for a laptop: take it out",
    ),
    (
        {"SIDECAR_DEV_TOKEN": "profile:dev"},
        "SIDECAR_DEV_USER: SIDECAR_DEV_TOKEN is whose token?; set both, or neither",
    ),
    (
        {"SIDECAR_PORT": "9800"},
        "SIDECAR_EGRESS_PORT: 9800 is the port of SIDECAR_PORT too; give each door its own",
    ),
    (
        {"SIDECAR_PAGE": "on", "SIDECAR_FRONTEND_URL": "http://localhost:3000"},
        "SIDECAR_PAGE: the frontend has `/`; take out SIDECAR_PAGE or SIDECAR_FRONTEND_URL",
    ),
    (
        {"SIDECAR_AGENTS__DEFAULT__AUTH": "static"},
        "SIDECAR_AGENTS__DEFAULT__TOKEN: AUTH=static, and there is no token; set it, or …__TOKEN_FILE",
    ),
    (
        {"SIDECAR_AGENTS__DEFAULT__AUTH": "user"},
        "SIDECAR_AGENTS__DEFAULT__AUTH: the user's token goes to trusted agents only, and this one is not: "
        "its host is not this machine, the workspace, or under a known apps domain; "
        "set …__TRUSTED=true if it may have it",
    ),
    (
        {"SIDECAR_AGENTS__DEFAULT__KIND": "semaphore"},
        "SIDECAR_AGENTS__DEFAULT__KIND: `semaphore` is not spoken here; accepted: "
        + ", ".join(f"`{kind}`" for kind in sorted({"auto", *spoken.KINDS})),
    ),
    (
        {"SIDECAR_AGENTS__B__URL": "http://b.example.org", "SIDECAR_AGENTS__B__TRUSTED": "true"},
        "SIDECAR_AGENTS__B__URL: the user's identity would go to another machine over plain http; "
        "use https://, or set SIDECAR_AGENTS__B__PLAINTEXT=true",
    ),
    (
        {"AGENT_APP_URL": "http://agent.example.org", "SIDECAR_AGENTS__DEFAULT__TRUSTED": "true"},
        "AGENT_APP_URL: the user's identity would go to another machine over plain http; "
        "use https://, or set SIDECAR_AGENTS__DEFAULT__PLAINTEXT=true",
    ),
]


@pytest.mark.parametrize(
    ("together", "line"), BAD_PAIRS, ids=[line.partition(";")[0] for _, line in BAD_PAIRS]
)
def test_these_do_not_go_together(together: dict[str, str], line: str) -> None:
    assert wrong(AGENT | together) == [line]


@pytest.mark.parametrize(
    "together",
    [
        {"SIDECAR_EGRESS_KEY": "required", "SIDECAR_EGRESS_SECRET": KEY},
        {"SIDECAR_EGRESS_HOST": "0.0.0.0", "SIDECAR_EGRESS_SECRET": KEY},
        {"SIDECAR_EGRESS_HOST": "::1"},
        {"SIDECAR_ADMIN_HOST": "0.0.0.0"},
        {"SIDECAR_HOST": "0.0.0.0"},
        {"SIDECAR_DEV_USER": "ann@example.org", "SIDECAR_DEV_TOKEN": "profile:dev"},
        {"SIDECAR_PORT": "0", "SIDECAR_EGRESS_PORT": "0", "SIDECAR_ADMIN_PORT": "0"},
        {"SIDECAR_AGENTS__DEFAULT__AUTH": "user", "SIDECAR_AGENTS__DEFAULT__TRUSTED": "true"},
        {"SIDECAR_AGENTS__B__URL": "http://b.example.org"},
        {"SIDECAR_AGENTS__B__URL": "http://localhost:9000", "SIDECAR_AGENTS__B__AUTH": "app"},
        {
            "SIDECAR_AGENTS__B__URL": "http://b.example.org",
            "SIDECAR_AGENTS__B__AUTH": "app",
            "SIDECAR_AGENTS__B__PLAINTEXT": "true",
        },
    ],
)
def test_these_go_together(together: dict[str, str]) -> None:
    assert load(AGENT | together)


def test_settings_that_do_nothing_yet_are_said_to_and_known() -> None:
    assert said({"SIDECAR_ADMIN_USERS": "ann@example.org"}) == ("SIDECAR_ADMIN_USERS has no effect yet",)
    known = {*VARIABLES, *(f"{AGENTS}<NAME>__{key}" for key in AGENT_KEYS)}
    assert {name.partition("=")[0] for name in NO_EFFECT_YET} <= known


def test_a_setting_does_something_or_is_said_not_to() -> None:
    """Whoever makes one work takes it out of NO_EFFECT_YET, and whoever drops the last reader puts it in."""
    root = Path(__file__).parents[2]
    places = [*(root / "sidecar").rglob("*.py"), *(root / "sidecar/settings").glob("model.py")]
    code = "\n".join(path.read_text() for path in places if path.parent.name != "settings")
    code += (root / "sidecar/settings/defaults.py").read_text()
    code += (root / "sidecar/settings/model.py").read_text().replace("self.", "settings.")
    for name, variable in VARIABLES.items():
        field = variable.path[0].removesuffix("_file")
        assert bool(re.search(rf"settings\.{field}\b", code)) or name in NO_EFFECT_YET, f"nobody reads {name}"


def test_what_is_unusual_is_said() -> None:
    (line,) = said({"SIDECAR_DEV_USER": "ann@example.org"})
    assert line == "SIDECAR_DEV_USER: everybody who comes to the front is ann@example.org"
    (line,) = said({"SIDECAR_FRONTEND_URL": "http://frontend:3000"})
    assert line == "SIDECAR_FRONTEND_URL: who its visitors are passes over plain http to another machine"
    assert said({"SIDECAR_FRONTEND_URL": "http://localhost:3000"}) == ()
    (line,) = said({"SIDECAR_TRUST": "0.0.0.0/0"})
    assert line == "SIDECAR_TRUST has 0.0.0.0/0: everybody who reaches the front may say who they are"
    (line,) = said(PLATFORM | {"SIDECAR_TRUST": "10.0.0.0/8"})
    assert line == "SIDECAR_TRUST has no effect on the platform: its proxy says who the user is"
    (line,) = said({"SIDECAR_AGENTS__DEFAULT__TOKEN": "tok"})
    assert line == "SIDECAR_AGENTS__DEFAULT__TOKEN is not used: AUTH is `auto`, not `static`"
    line, _ = said({"SIDECAR_AGENTS__DEFAULT__TOKEN": "dapi1"})
    assert line == (
        "SIDECAR_AGENTS__DEFAULT__TOKEN is a personal access token (`dapi…`): apps on the platform take OAuth "
        "tokens only"
    )


# Secrets


def file_with(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


def test_any_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    for name, variable in VARIABLES.items():
        if variable.is_secret:
            text = KEY if name == "SIDECAR_EGRESS_SECRET" else CANARY
            found = load(AGENT | {f"{name}_FILE": file_with(tmp_path, f"{text}\n")})
            assert getattr(found, variable.path[0]) == Secret(text)
            assert found.source(*variable.path) == f"{name}_FILE"
    given_ = {
        "SIDECAR_AGENTS__DEFAULT__AUTH": "static",
        "SIDECAR_AGENTS__DEFAULT__TOKEN_FILE": file_with(tmp_path, CANARY),
    }
    block = load(AGENT | given_).agents["default"]
    assert (block.token, block.token_file) == (Secret(CANARY), tmp_path / "secret")


def test_a_secrets_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    accepted = "accepted: a file with the secret in it"
    name = "DATABRICKS_CLIENT_SECRET_FILE"
    missing = str(tmp_path / "missing")
    assert wrong(AGENT | {name: missing}) == [
        f"{name}: its file cannot be read (No such file or directory); {accepted}"
    ]
    assert wrong(AGENT | {name: str(tmp_path)}) == [
        f"{name}: its file cannot be read (Is a directory); {accepted}"
    ]
    assert wrong(AGENT | {name: file_with(tmp_path, " \n")}) == [f"{name}: its file is empty; {accepted}"]
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    assert wrong(AGENT | {name: str(tmp_path / "secret")}) == [
        f"{name}: its file cannot be read (it is not text); {accepted}"
    ]


def test_a_secret_and_a_file_with_it_are_a_conflict(tmp_path: Path) -> None:
    given_ = {"DATABRICKS_TOKEN": CANARY, "DATABRICKS_TOKEN_FILE": file_with(tmp_path, CANARY)}
    assert wrong(AGENT | given_) == [
        "DATABRICKS_TOKEN_FILE: DATABRICKS_TOKEN is set as well; set one of them"
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"SIDECAR_EGRESS_SECRET": CANARY},
        {"SIDECAR_DEV_TOKEN": CANARY},
        {"DATABRICKS_TOKEN": f"{CANARY}\r\nx: y"},
        {"DATABRICKS_CLIENT_SECRET": f"{CANARY}é"},
        {"SIDECAR_AGENTS__DEFAULT__TOKEN": f"{CANARY}\0"},
        {"SIDECAR_AGENTS__B__URL": f"https://me:{CANARY}@b.example.org"},
        {"SIDECAR_AGENTS__B__URL": f"https://b.example.org/?key={CANARY}"},
        {"SIDECAR_AGENTS__B__TOKENS": CANARY},
        {"SIDECAR_SECRET": CANARY},
        {"SIDECAR_FRONTEND_URL": f"http://{CANARY}@localhost"},
        {"SIDECAR_ORIGINS": f"https://x:{CANARY}@app.example.org"},
        {"DATABRICKS_HOST": f"https://x:{CANARY}@dbc-1.example.org"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_wrong_secret_is_never_shown(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load(AGENT | environ)
    error: BaseException | None = refused.value
    while error is not None:  # nor by anything that a traceback would print behind it
        assert CANARY not in f"{error} {error!r}"
        error = None if error.__suppress_context__ else error.__context__


def test_settings_are_printed_without_secrets() -> None:
    secrets = {name: CANARY for name, variable in VARIABLES.items() if variable.is_secret}
    found = load(
        AGENT
        | secrets
        | {
            "SIDECAR_EGRESS_SECRET": KEY,
            "SIDECAR_AGENTS__DEFAULT__AUTH": "static",
            "SIDECAR_AGENTS__DEFAULT__TOKEN": CANARY,
            "SIDECAR_PLUGIN_X__KEY": CANARY,
        }
    )
    for printed in (repr(found), str(found), f"{found}", repr(found.agents), str(found.notices)):
        assert CANARY not in printed
        assert KEY not in printed


# Env files


def file_of(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text)
    return path


def test_an_env_file_is_lines_of_names_and_literal_values(tmp_path: Path) -> None:
    lines = [
        *("# a comment", "", "SIDECAR_LOG=debug", "export AGENT_APP_URL='https://a.example.org'  # why"),
        *('X="$HOME ${Y}"', "EMPTY="),
    ]
    assert read(file_of(tmp_path, "\n".join(lines))) == {
        "SIDECAR_LOG": "debug",
        "AGENT_APP_URL": "https://a.example.org",
        "X": "$HOME ${Y}",
        "EMPTY": "",
    }


def test_lines_of_an_env_file_that_are_none_are_named_and_not_shown(tmp_path: Path) -> None:
    path = file_of(tmp_path, f"SIDECAR_LOG=debug\nDATABRICKS_TOKEN {CANARY}\nNAME_ALONE\n")
    with pytest.raises(SettingsError) as refused:
        read(path)
    assert str(refused.value).splitlines() == [
        f"{path}: line 2 is not `NAME=value`",
        f"{path}: line 3 is not `NAME=value`",
    ]


def test_further_judges_are_heard_with_the_others() -> None:
    def says(settings: Settings) -> list[Any]:
        return [f"the log is at {settings.log}"]

    assert said({}, also=says) == ("the log is at info",)


# Agents that somebody else's variables name

BUILDER = {"BUILDER_APP_URL": "https://builder-2.aws.databricksapps.com/"}
PLAIN = {"SIDECAR_AGENTS__BUILDER__KIND": "responses"}
ELSEWHERE = {"BUILDER_DATABRICKS_HOST": "dbc-2.cloud.databricks.com"}


def test_a_builder_app_is_an_agent_by_the_variables_that_its_callers_have() -> None:
    client = {"BUILDER_DATABRICKS_CLIENT_ID": "id-2", "BUILDER_DATABRICKS_CLIENT_SECRET": CANARY}
    assert sort(BUILDER).agents == {
        "builder": {"url": BUILDER["BUILDER_APP_URL"], "kind": "builder", "env": "BUILDER_APP_URL"}
    }
    found = load(BUILDER | PLAIN | ELSEWHERE | client)
    block = found.agents["builder"]
    assert block.url == "https://builder-2.aws.databricksapps.com"
    assert (block.workspace, block.client_id) == ("https://dbc-2.cloud.databricks.com", "id-2")
    assert block.client_secret == Secret(CANARY)
    assert found.source("agents", "builder", "client_secret") == "BUILDER_DATABRICKS_CLIENT_SECRET"
    token = load(BUILDER | PLAIN | ELSEWHERE | {"BUILDER_DATABRICKS_TOKEN": "tok"}).agents["builder"]
    assert token.token == Secret("tok")


def test_settings_of_ours_win_over_such_variables() -> None:
    block = load(BUILDER | {"SIDECAR_AGENTS__BUILDER__URL": "https://b.example.org"}).agents["builder"]
    assert (block.url, block.kind) == ("https://b.example.org", "responses")
    assert load(BUILDER | PLAIN).agents["builder"].kind == "responses"


def test_such_variables_say_nothing_without_the_address() -> None:
    assert set(load(AGENT | ELSEWHERE | {"BUILDER_DATABRICKS_TOKEN": "tok"}).agents) == {"default"}


def test_another_workspaces_credential_has_nothing_of_this_ones() -> None:
    home = {
        "DATABRICKS_HOST": "https://dbc-1.example.org",
        "DATABRICKS_CLIENT_ID": "id-1",
        "DATABRICKS_CLIENT_SECRET": "s1",
    }
    given_ = {"WORKSPACE": "https://dbc-2.example.org", "CLIENT_ID": "id-2", "CLIENT_SECRET": CANARY}
    blocks = {f"SIDECAR_AGENTS__DEFAULT__{key}": text for key, text in given_.items()}
    found = load(AGENT | home | blocks)
    (credential,) = credentials(found, snapshot(found)).values()
    environ = environment(
        replace(credential, inherited=home | {"DATABRICKS_DISCOVERY_URL": "https://evil", "PATH": "/bin"})
    )
    assert environ == {
        "PATH": "/bin",
        "DATABRICKS_HOST": "https://dbc-2.example.org",
        "DATABRICKS_AUTH_TYPE": "oauth-m2m",
        "DATABRICKS_CLIENT_ID": "id-2",
        "DATABRICKS_CLIENT_SECRET": CANARY,
    }
    token = {
        f"SIDECAR_AGENTS__DEFAULT__{key}": text
        for key, text in {"WORKSPACE": "dbc-2", "TOKEN": "tok"}.items()
    }
    found = load(AGENT | home | token)
    assert [one.token for one in credentials(found, snapshot(found)).values()] == [Secret("tok")]
    assert next(iter(snapshot(found))).auth == "app"


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        (
            {"SIDECAR_UC_DISCOVERY": "on"},
            "SIDECAR_UC_DISCOVERY: which workspace has the connections is not said; set DATABRICKS_HOST",
        ),
        (
            {"SIDECAR_AGENTS__DEFAULT__WORKSPACE": "dbc-2.example.org"},
            "SIDECAR_AGENTS__DEFAULT__CLIENT_ID: WORKSPACE is set, and there is no credential for it; "
            "set …__CLIENT_ID and …__CLIENT_SECRET, or …__TOKEN",
        ),
        (
            {"SIDECAR_AGENTS__B__URL": "apps/echo"},
            "SIDECAR_AGENTS__B__URL: where app 'echo' is, only the workspace knows, and there is no credential for it; "
            "set DATABRICKS_HOST and the app's credential, or write the app's address",
        ),
        (
            {
                "SIDECAR_AGENTS__DEFAULT__AUTH": "oauth",
                "SIDECAR_AGENTS__DEFAULT__CLIENT_ID": "id",
                "SIDECAR_AGENTS__DEFAULT__CLIENT_SECRET": CANARY,
            },
            "SIDECAR_AGENTS__DEFAULT__TOKEN_ENDPOINT: AUTH=oauth, and it is not set; set it, or another AUTH",
        ),
    ],
)
def test_what_finding_and_its_credentials_need_is_said(given_: dict[str, str], line: str) -> None:
    assert wrong(AGENT | given_) == [line]


def test_discovery_needs_no_agent_of_its_own_and_its_suffix_may_be_empty() -> None:
    home = {"DATABRICKS_HOST": "https://dbc-1.example.org", "SIDECAR_UC_DISCOVERY": "on"}
    assert load(home).uc_suffix == "-a2a"
    assert load(home | {"SIDECAR_UC_SUFFIX": ""}).uc_suffix == ""
