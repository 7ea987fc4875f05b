"""Whoever runs the process learns what happened, where, and what to do next."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import hints, outcome
from policies.agent import Agent
from policies.hints import explain, is_hosted
from policies.outcome import FINER, OUTCOMES, REFUSED_INPUT
from sidecar.settings.variables import AGENT_KEYS, VARIABLES

LOCAL = Agent("default", "http://127.0.0.1:8001")
ELSEWHERE = Agent("default", "https://agents.example.org/base")
FOUND = ELSEWHERE._replace(connection="weather-a2a")
APP = Agent("weather-2", "https://weather-1234567890.12.azure.databricksapps.com", auth="app")


class Case(NamedTuple):
    code: str
    detail: str  # these words stand in the sentence
    hint: str  # and these in what to do next
    agent: Agent | None = None
    status: int | None = None
    reason: str = ""
    text: str = ""


CASES = [
    Case("agent_unreachable", "stopped or deleted", "databricks apps start weather`", APP, reason="dns"),
    Case(
        "agent_unreachable",
        "agents.example.org of",
        "getent hosts agents.example.org",
        ELSEWHERE,
        reason="dns",
    ),
    Case(
        "agent_unreachable",
        "Nothing listens at 127.0.0.1:8001",
        "uv run start-server",
        LOCAL,
        reason="refused",
    ),
    Case(
        "agent_unreachable",
        "Nothing listens at 127.0.0.1:8001",
        "AGENT_APP_URL",
        LOCAL,
        reason="Connect call failed ('127.0.0.1', 8001)",
    ),
    Case(
        "agent_unreachable", "refused", "https://agents.example.org/", ELSEWHERE, reason="connection refused"
    ),
    Case(
        "agent_unreachable",
        "(network is unreachable)",
        "apps get weather`",
        APP,
        reason="network is unreachable",
    ),
    Case("agent_unreachable", "(no route to host)", "curl -i", ELSEWHERE, reason="no route to host"),
    Case("agent_unavailable", "did not come up", "databricks apps start weather`", APP),
    Case("agent_unavailable", "did not come up", "SIDECAR_COLD_START_BUDGET", LOCAL),
    Case("agent_connect_timeout", "SIDECAR_TIMEOUTS__CONNECT", "apps get weather`", APP),
    Case("agent_connect_timeout", "SIDECAR_TIMEOUTS__CONNECT", "firewall", ELSEWHERE),
    Case("agent_first_byte_timeout", "did not begin", "SIDECAR_TIMEOUTS__FIRST_BYTE", LOCAL),
    Case("agent_gap_timeout", "fell silent", "SIDECAR_TIMEOUTS__GAP", LOCAL),
    Case("agent_total_timeout", "whole answer", "SIDECAR_TIMEOUTS__TOTAL", LOCAL),
    Case(
        "agent_tls_error",
        "out of date",
        "openssl s_client -connect agents.example.org:443",
        ELSEWHERE,
        reason="certificate has expired",
    ),
    Case("agent_tls_error", "another name", "AGENT_APP_URL", ELSEWHERE, reason="Hostname mismatch"),
    Case(
        "agent_tls_error", "nobody but itself", "SIDECAR_CA_FILE", ELSEWHERE, reason="self-signed certificate"
    ),
    Case(
        "agent_tls_error",
        "an authority that is not known",
        "SIDECAR_CA_FILE",
        ELSEWHERE,
        reason="unable to get local issuer certificate",
    ),
    Case("agent_tls_error", "plain http is not tried", "s_client", ELSEWHERE, reason="wrong version number"),
    Case(
        "agent_protocol_error",
        "(content type text/plain)",
        "/invocations",
        LOCAL,
        reason="content type text/plain",
    ),
    Case("agent_protocol_error", "no valid HTTP", "curl -i --http1.1", LOCAL),
    Case("agent_too_large", "SIDECAR_MAX_ANSWER", "stream", LOCAL),
    Case("agent_login_page", "no credential", "SIDECAR_AGENTS__DEFAULT__AUTH=app", ELSEWHERE, 200),
    Case("agent_login_page", "token or permission", "update-permissions weather ", APP, 302),
    Case("agent_login_page", "this user's token", "user_api_scopes", APP._replace(auth="user"), 302),
    Case(
        "agent_login_page", "login page", "SIDECAR_AGENTS__WEATHER_2__AUTH", APP._replace(auth="oauth"), 200
    ),
    Case("agent_unauthorized", "gets none", "SIDECAR_UC_ORIGINS=https://agents.example.org", FOUND, 401),
    Case(
        "agent_login_page",
        "it gets no credential",
        "SIDECAR_UC_ORIGINS=https://agents.example.org",
        FOUND,
        302,
    ),
    Case("agent_unauthorized", "none is sent", "SIDECAR_AGENTS__DEFAULT__AUTH", LOCAL, 401),
    Case("agent_unauthorized", "a fresh one too", "new service principal", APP, 401),
    Case("agent_unauthorized", "user's own token", "user_api_scopes", APP._replace(auth="user"), 401),
    Case("agent_unauthorized", "SIDECAR_AGENTS__WEATHER_2__TOKEN", "dapi", APP._replace(auth="static"), 401),
    Case("agent_unauthorized", "(401)", "GET /agents", APP._replace(auth="oauth"), 401),
    Case(
        "agent_forbidden", "approval is pending", "Apps UI", APP, 403, text='{"message":"App not authorized"}'
    ),
    Case("agent_forbidden", "no permission", "dropped silently", APP, 403),
    Case("agent_forbidden", "This user", "CAN_USE", APP._replace(auth="user"), 403),
    Case("agent_forbidden", "(403)", "update-permissions", LOCAL, 403),
    Case("agent_refused", "by validation (422)", "SIDECAR_AGENTS__DEFAULT__SHAPE", LOCAL, 422),
    Case("agent_refused", "no such path (404), or hides it", "update-permissions weather ", APP, 404),
    Case("agent_refused", "no mlflow agent server", "without /invocations", LOCAL, 404),
    Case("agent_refused", "(413)", "less", LOCAL, 413),
    Case("agent_refused", "(429)", "Retry-After", LOCAL, 429),
    Case("agent_refused", "with 409", "own answer", LOCAL, 409),
    Case("agent_failed", "the platform answered 503", "apps start weather`", APP, 503),
    Case("agent_failed", "with 500", "databricks apps logs weather`", APP, 500),
    Case("agent_failed", "with 500", "x-request-id", LOCAL, 500),
    Case("agent_error", "inside its answer", "databricks apps logs weather`", APP),
    Case("agent_error", "inside its answer", "own log", LOCAL),
    Case("agent_run_lost", "no longer knows the run", "Ask again", LOCAL),
    Case("agent_broke_off", "platform's limit", "60, 120 and 300", APP),
    Case("agent_broke_off", "127.0.0.1:8001 broke off", "own log", LOCAL),
    Case("truncated", "without its closing mark", "its log", LOCAL),
    Case(
        "credential_unavailable",
        "plain http to agents.example.org",
        "__PLAINTEXT=true",
        ELSEWHERE,
        reason="plaintext",
    ),
    Case(
        "credential_unavailable",
        "client id and secret",
        "service principal",
        APP,
        reason="invalid_client: no",
    ),
    Case("credential_unavailable", "in time", "$DATABRICKS_HOST/oidc", APP, reason="timeout"),
    Case("credential_unavailable", "(unreachable)", "/readyz", APP, reason="unreachable"),
    Case("overloaded", "SIDECAR_WAITING", "Retry-After"),
    Case("overloaded", "as many files", "ulimit -n", reason="no files left"),
    Case("overloaded", "(all 9 connections are in use)", "replica", reason="all 9 connections are in use"),
    Case("relay_closed", "SIDECAR_MIDDLEWARE", "SIDECAR_RELAY=open"),
    Case("draining", "ending", "Try again"),
    Case("loop_detected", "SIDECAR_AGENTS__WEATHER_2__URL leads back", "own address", APP),
    Case(
        "not_configured",
        "`valueFrom` and the name of the app resource differ",
        "databricks.yml",
        reason="empty",
    ),
    Case("not_configured", "No agent", "Set AGENT_APP_URL"),
    Case("caller_stalled", "SIDECAR_WRITE_TIMEOUT", "raise"),
    Case("frontend_starting", "does not listen yet", "PORT"),
    Case("frontend_unreachable", "(refused)", "SIDECAR_FRONTEND_URL", reason="refused"),
    Case("frontend_broke_off", "broke off", "output"),
    Case("frontend_broke_off", "HTTP does not allow", "SIDECAR_FRONTEND_URL", reason="protocol: no HTTP/1.1"),
    Case("frontend_timeout", "was silent", "SIDECAR_FRONTEND_TIMEOUT"),
    Case("frontend_timeout", "SIDECAR_TIMEOUTS__CONNECT", "SIDECAR_FRONTEND_URL", reason="connect"),
    Case("internal_error", "our side", "traceback"),
    Case(
        "agent_card_invalid",
        "agents.example.org cannot be read (no JSON)",
        "curl",
        ELSEWHERE,
        reason="no JSON",
    ),
    Case("agent_auth_required", "waits for an authorization", "where its user gives it"),
    Case("agent_card_elsewhere", "another place than agents.example.org", "SIDECAR_UC_ORIGINS", ELSEWHERE),
    Case("agent_address_refused", "may not be called (private)", "SIDECAR_UC_ORIGINS", reason="private"),
    Case("connection_incomplete", "lacks an option (host)", "connections get", reason="host"),
    Case("app_unresolved", "where the app of", "databricks apps get", APP),
    Case("catalog_unavailable", "which agents there are (503)", "unity-catalog", reason="503"),
    *(Case(code, outcome.sentence(code), "") for code in REFUSED_INPUT),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.detail[:24]}")
def test_a_failure_is_told_with_its_cause_and_the_next_step(case: Case) -> None:
    detail, hint = explain(
        case.code, agent=case.agent, status=case.status, reason=case.reason, text=case.text
    )
    assert case.detail in detail
    assert hint
    assert case.hint in hint


def test_every_cause_has_its_case() -> None:
    told = {
        explain(case.code, agent=case.agent, status=case.status, reason=case.reason, text=case.text)
        for case in CASES
    }
    generic = re.compile(r"\\\{\w+\\\}|\\\{\\\{|\\\}\\\}")
    for code, causes in hints.CAUSES.items():
        for cause in causes:
            pattern = re.compile(generic.sub(".*", re.escape(cause.detail)))
            advice = re.compile(generic.sub(".*", re.escape(cause.hint or "")))
            assert any(pattern.fullmatch(detail) and advice.fullmatch(hint or "") for detail, hint in told), (
                code,
                cause.detail,
            )


def test_every_code_that_can_be_helped_has_a_hint() -> None:
    without = {code for code in (*OUTCOMES, *REFUSED_INPUT, *FINER) if explain(code)[1] is None}
    assert without == {"ok", "refused_input", "caller_left"}


def test_the_settings_that_are_named_exist() -> None:
    known = {f"SIDECAR_AGENTS__<NAME>__{key}" for key in AGENT_KEYS} | set(VARIABLES)
    named = set()
    for causes in hints.CAUSES.values():
        for cause in causes:
            said = (cause.detail + (cause.hint or "")).replace("{key}", "SIDECAR_AGENTS__<NAME>")
            named |= set(re.findall(r"SIDECAR_[A-Z_]+(?:<NAME>[A-Z_]+)?", said))
    assert len(named) > 12
    assert named <= known, named - known


def test_what_the_agent_wrote_is_never_repeated() -> None:
    detail, hint = explain(
        "agent_forbidden", agent=APP, status=403, text="App not authorized for bob@example.org"
    )
    assert "bob@" not in f"{detail}{hint}"


def test_a_password_in_an_address_is_not_repeated() -> None:
    detail, hint = explain("agent_unreachable", agent=Agent("a", "http://me:secret@host.example:8080/x"))
    assert "secret" not in f"{detail}{hint}"
    assert "host.example:8080" in detail


@pytest.mark.parametrize(
    ("host", "hosted"),
    [
        ("a-1.databricksapps.com", True),
        ("a-1.12.azure.databricksapps.com", True),
        ("a.apps.databricks.com", True),
        ("databricksapps.com.evil.example", False),
        ("evildatabricksapps.com", False),
    ],
)
def test_an_app_of_the_platform_is_told_by_its_name(host: str, hosted: bool) -> None:
    """U14: exact suffix with a dot in front."""
    assert is_hosted(host) is hosted


@pytest.mark.parametrize("agent", [LOCAL, ELSEWHERE])
def test_what_is_no_app_of_the_platform_is_given_no_name_there(agent: Agent) -> None:
    _, hint = explain("agent_forbidden", agent=agent, status=403, text="app not authorized")
    assert hint is not None
    assert "update-permissions <app> " in hint


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from([*OUTCOMES, *REFUSED_INPUT, *FINER, "unheard_of"]),
    st.builds(
        Agent,
        st.text(max_size=20),
        st.one_of(st.text(max_size=40), st.from_regex(r"https?://[^/]{1,20}/?", fullmatch=True)),
        auth=st.sampled_from(["app", "user", "static", "none", "oauth"]),
    )
    | st.none(),
    st.none() | st.integers(100, 599),
    st.text(max_size=60) | st.sampled_from(["dns", "refused", "{agent}", "{0}", "%s"]),
    st.text(max_size=60),
)
def test_explaining_never_fails(
    code: str, agent: Agent | None, status: int | None, reason: str, text: str
) -> None:
    detail, hint = explain(code, agent=agent, status=status, reason=reason, text=text)
    assert detail
    assert hint is None or hint
