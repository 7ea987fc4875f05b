"""The agents that are known: made from the settings once, with `auto` resolved and trust decided."""

import pytest

from middleware.kit import Agents
from policies.agent import Agent
from sidecar.agents import Snapshot, notices, snapshot
from sidecar.settings import load

HOME = "https://dbc-1.cloud.databricks.com"
PRINCIPAL = {"DATABRICKS_HOST": HOME, "DATABRICKS_CLIENT_ID": "sp-1", "DATABRICKS_CLIENT_SECRET": "s3cret"}
TOKEN = {"DATABRICKS_HOST": HOME, "DATABRICKS_TOKEN": "dapi1"}
APP = "https://my-agent-7711.aws.databricksapps.com"
ELSEWHERE = "https://agent.example.org"


def known(url: str, **variables: str) -> Agent:
    """The agent `default` at this address, among these variables."""
    agent = snapshot(load({"AGENT_APP_URL": url} | variables)).get("default")
    assert agent
    return agent


def test_plug_ins_may_ask_which_agents_there_are() -> None:
    agents: Agents = snapshot(load({"AGENT_APP_URL": ELSEWHERE, "SIDECAR_AGENTS__B__URL": APP}))
    assert [agent.name for agent in agents] == ["default", "b"]
    assert len(agents) == 2
    assert agents.get("c") is None


def test_what_is_known_never_changes() -> None:
    agents = snapshot(load({"AGENT_APP_URL": ELSEWHERE}))
    with pytest.raises(AttributeError):
        agents.more = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        agents._by_name["b"] = Agent("b", ELSEWHERE)  # type: ignore[index]
    assert len(Snapshot([])) == 0


def test_all_of_a_block_reaches_the_agent() -> None:
    block = {
        "KIND": "responses",
        "STREAMING": "off",
        "STREAM_DEFAULT": "sse",
        "SHAPE": "messages",
        "REPLAY": "never",
        "HEADERS": "x-tenant",
        "TRUSTED": "true",
        "AUTH": "none",
    }
    given = {f"SIDECAR_AGENTS__DEFAULT__{key}": value for key, value in block.items()}
    assert known(f"{ELSEWHERE}/base/invocations", **given) == Agent(
        name="default",
        url=f"{ELSEWHERE}/base",
        kind="responses",
        auth="none",
        trusted=True,
        streaming="off",
        stream_default="sse",
        shape="messages",
        replay="never",
        headers=("x-tenant",),
        why_trusted="TRUSTED=true says so",
    )


@pytest.mark.parametrize("credentials", [PRINCIPAL, TOKEN, {"DATABRICKS_CONFIG_PROFILE": "dev"}])
def test_auto_is_the_apps_own_credential_for_a_trusted_agent(credentials: dict[str, str]) -> None:
    assert known(APP, **credentials).auth == "app"
    assert known("http://localhost:9000", **credentials).auth == "app"
    assert known(ELSEWHERE, **credentials).auth == "none"


@pytest.mark.parametrize(
    "half", [{}, {"DATABRICKS_HOST": HOME, "DATABRICKS_CLIENT_ID": "sp-1"}, {"DATABRICKS_TOKEN": "dapi1"}]
)
def test_auto_is_none_where_the_credentials_are_not_whole(half: dict[str, str]) -> None:
    assert known(APP, **half).auth == "none"


def test_a_workspaces_id_says_whose_apps_are_trusted() -> None:
    assert known(APP, DATABRICKS_WORKSPACE_ID="7711").trusted
    other = known(APP, DATABRICKS_WORKSPACE_ID="8822", **PRINCIPAL)
    assert (other.trusted, other.auth) == (False, "none")
    assert other.why_trusted == "it is under databricksapps.com, but not an app of workspace 8822"


def test_the_workspaces_own_origin_is_trusted() -> None:
    agent = known(f"{HOME}/serving-endpoints/x", DATABRICKS_HOST=f"{HOME}/")
    assert (agent.trusted, agent.why_trusted) == (True, "it has the origin of DATABRICKS_HOST")


def test_whose_identity_is_withheld_is_said_with_the_reason() -> None:
    agents = [known(ELSEWHERE), known(APP), known(ELSEWHERE, SIDECAR_AGENTS__DEFAULT__AUTH="app")]
    why = "its host is not this machine, the workspace, or under a known apps domain"
    assert list(notices(agents)) == [
        f"agent default: the user's identity is withheld from it, because {why}",
        f"agent default: the user's identity is withheld from it, because {why}",
        "agent default: it gets the app's credential all the same: AUTH=app",
    ]


def test_an_agent_holds_no_secret() -> None:
    given = {"SIDECAR_AGENTS__DEFAULT__AUTH": "static", "SIDECAR_AGENTS__DEFAULT__TOKEN": "c4nary"}
    assert "c4nary" not in repr(known(ELSEWHERE, **given))
    assert "s3cret" not in repr(known(APP, **PRINCIPAL))
