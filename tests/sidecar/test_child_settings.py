"""The settings of `sidecar run`: its defaults, the names by which an app knows its agents, what cannot be."""

from typing import Any

import pytest

from sidecar.settings import SettingsError, load

AGENT = {"AGENT_APP_URL": "https://agent.example.org"}
KEY = "0123456789abcdef" * 2


def wrong(environ: dict[str, str], **how: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        load(environ, command="run", **how)
    return str(refused.value)


def test_under_run_the_front_is_the_apps_and_egress_wants_a_key_that_is_new_at_each_start() -> None:
    one, two = load(AGENT, command="run"), load(AGENT, command="run")
    assert one.front_routes == ()
    assert one.egress_key == "required"
    assert one.egress_secret is not None
    assert two.egress_secret is not None
    assert len(one.egress_secret.reveal()) == 32
    assert one.egress_secret != two.egress_secret
    assert one.source("egress_secret") == "another at each start"
    assert load(AGENT, command="serve").egress_secret is None


def test_what_was_given_stays() -> None:
    given = {
        "SIDECAR_EGRESS_SECRET": KEY,
        "SIDECAR_EGRESS_KEY": "accepted",
        "SIDECAR_FRONT_ROUTES": "/api/chat",
    }
    found = load(AGENT | given, command="run")
    assert found.egress_secret is not None
    assert found.egress_secret.reveal() == KEY
    assert (found.egress_key, found.front_routes) == ("accepted", ("/api/chat",))


def test_without_an_agent_run_starts_and_serve_does_not() -> None:
    assert load({}, command="run").agents == {}
    with pytest.raises(SettingsError):
        load({}, command="serve")


def test_the_apps_own_variable_says_where_its_agent_is() -> None:
    environ = {
        "SIDECAR_AGENTS__BILLING__ENV": "BILLING_APP_URL,BILLING",
        "BILLING_APP_URL": "",
        "BILLING": "https://billing.example.org/invocations",
    }
    found = load(AGENT | environ, command="run")
    assert found.agents["billing"].url == "https://billing.example.org"
    assert found.agents["billing"].env == ("BILLING_APP_URL", "BILLING")
    assert found.source("agents", "billing", "url") == "BILLING"
    assert any(notice.startswith("BILLING: ") for notice in found.notices)


def test_an_agents_own_url_wins_over_the_apps_variable() -> None:
    environ = {
        "SIDECAR_AGENTS__BILLING__ENV": "BILLING",
        "SIDECAR_AGENTS__BILLING__URL": "https://one.example.org",
        "BILLING": "https://two.example.org",
    }
    assert load(AGENT | environ, command="run").agents["billing"].url == "https://one.example.org"


def test_an_apps_variable_can_be_that_of_agent_default() -> None:
    environ = {"SIDECAR_AGENTS__DEFAULT__ENV": "CHAT_APP_URL", "CHAT_APP_URL": "https://b.example.org"}
    assert load(environ, command="serve").agents["default"].url == "https://b.example.org"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"SIDECAR_AGENTS__B__ENV": "B", "SIDECAR_AGENTS__C__ENV": "B", "B": "https://b.org"},
            "`B` is agent 'b'",
        ),
        ({"SIDECAR_AGENTS__B__ENV": "AGENT_APP_URL"}, "`AGENT_APP_URL` is agent 'default'"),
        ({"SIDECAR_AGENTS__B__ENV": "PORT"}, "`PORT` has a meaning already"),
        ({"SIDECAR_AGENTS__B__ENV": "SIDECAR_X"}, "`SIDECAR_X` has a meaning already"),
        ({"SIDECAR_AGENTS__B__ENV": "a b"}, "`a b` is no variable's name"),
        ({"SIDECAR_AGENTS__B__ENV": "B"}, "agent 'b' has no address"),
        ({"SIDECAR_CHILD_PORT": "9800"}, "9800 is the port of SIDECAR_EGRESS_PORT too"),
        ({"SIDECAR_FRONTEND_URL": "http://127.0.0.1:3000"}, "the frontend is the command that `run` starts"),
        ({"SIDECAR_PAGE": "on"}, "the frontend has `/`; take out SIDECAR_PAGE"),
        ({"SIDECAR_CHILD_ENV": "none"}, "accepted: `whole`, `no-secret`"),
        ({"SIDECAR_CHILD_ARGS": "none"}, "accepted: `fitted`, `as-is`"),
        ({"SIDECAR_APP_START_TIMEOUT": "0"}, "`0` is no time at all"),
        ({"SIDECAR_DISABLED": "perhaps"}, "`perhaps` is neither on nor off"),
    ],
)
def test_what_cannot_be_is_said(environ: dict[str, str], said: str) -> None:
    assert said in wrong(AGENT | environ)


def test_disabled_is_for_run_and_anybody_else_is_told_so() -> None:
    assert any(
        "SIDECAR_DISABLED has no effect here" in said
        for said in load(AGENT | {"SIDECAR_DISABLED": "1"}).notices
    )
