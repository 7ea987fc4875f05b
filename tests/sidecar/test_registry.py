"""Who is asked for an agent: the settings first and for nothing, everybody else only where they must be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from middleware.exchange import Body, Call, Reply, headers
from policies.agent import Agent, Caller
from policies.connections import Registered
from policies.discovery import Workspace
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar import sim
from sidecar.agents import Snapshot
from sidecar.control import Control
from sidecar.registry import Registry
from sidecar.settling import Settling
from sidecar.unity import Found

HERE = Agent("here", "http://127.0.0.1:1")
ASKED = Caller("egress", bearer=Secret("shown"))


class Shelf:
    """Unity Catalog, as far as the registry sees it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Secret | None]] = []

    async def find(self, name: str, token: Secret | None) -> Registered:
        self.asked.append((name, token))
        return Registered(Agent(name, "https://there.example.org", connection=f"{name}-a2a"), "")

    async def offered(self, token: Secret | None, taken: Callable[[str], bool]) -> list[Found]:
        listed = [Found(name, "", f"{name}-a2a") for name in ("here", "there")]
        return [one for one in listed if not taken(one.name)]


async def never(agent: Agent, caller: Caller) -> Agent:
    raise AssertionError("it is settled")


async def test_an_agent_of_the_settings_is_there_without_asking_anybody() -> None:
    shelf = Shelf()
    agents = Registry(Snapshot([HERE]), settle=never, shelf=shelf)
    assert agents.get("here") is HERE
    assert await agents.find("here", ASKED) is HERE
    assert shelf.asked == []


async def test_another_is_asked_for_with_what_the_caller_showed_and_a_believed_token_goes_first() -> None:
    shelf = Shelf()
    agents = Registry(Snapshot([HERE]), settle=never, shelf=shelf)
    found = await agents.find("there", ASKED)
    assert found is not None
    assert found.connection == "there-a2a"
    await agents.find("there", ASKED._replace(token=Secret("believed")))
    await agents.find("there", Caller())
    assert shelf.asked == [("there", Secret("shown")), ("there", Secret("believed")), ("there", None)]


@pytest.mark.parametrize("name", ["", "../x", "UPPER", "a/b", "x" * 64, "ü", "a?b"])
async def test_what_is_no_agents_name_is_asked_of_nobody(name: str) -> None:
    shelf = Shelf()
    assert await Registry(Snapshot([HERE]), settle=never, shelf=shelf).find(name, ASKED) is None
    assert shelf.asked == []


async def test_without_discovery_an_unknown_agent_is_unknown() -> None:
    assert await Registry(Snapshot([HERE]), settle=never).find("there", ASKED) is None
    assert await Registry(Snapshot([HERE]), settle=never).offered(Caller()) == []


async def test_the_settings_win_over_a_connection_of_the_same_name_and_it_is_said_once() -> None:
    said: list[str] = []
    agents = Registry(Snapshot([HERE]), settle=never, shelf=Shelf(), warn=said.append)
    for _ in range(3):
        assert [found.name for found in await agents.offered(ASKED)] == ["there"]
    assert said == ["agent here: a connection of Unity Catalog has its name; the settings win"]


async def test_the_only_agent_is_meant_where_none_is_named() -> None:
    assert Snapshot([HERE]).get("default") is HERE
    assert len(Snapshot([HERE])) == len(list(Snapshot([HERE]))) == 1
    assert Snapshot([HERE, HERE._replace(name="b")]).get("default") is None


# --- what has to be asked for once --------------------------------------------------------------------------

OPEN = Agent("echo", "http://agent", kind="auto", settled=False)
CARD = {"protocolVersion": "0.3.0", "url": "http://agent"}


class Answering:
    """An agent: what it answers at which path."""

    def __init__(self, **answers: object) -> None:
        self.answers = {f"/{path.replace('__', '/')}": value for path, value in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        self.asked.append(call.target)
        await asyncio.sleep(0)
        match self.answers.get(call.target):
            case None:
                return Reply(
                    404, headers(("Content-Type", "application/json")), Body(b'{"detail":"Not Found"}')
                )
            case int(status):
                return Reply(status, headers(("Content-Type", "text/html")), Body(b"<h1>Sign in</h1>"))
            case value:
                return Reply(
                    200, headers(("Content-Type", "application/json")), Body(json.dumps(value).encode())
                )


def settling(agent: Answering) -> Settling:
    async def bearer() -> str:
        return "Bearer app"

    return Settling(Workspace(), Control(), agent, bearer, lambda name, url: Agent(name, url))


@pytest.mark.parametrize(
    ("answers", "kind", "questions"),
    [
        ({"agent__info": {"use_case": "agent"}}, "responses", 1),
        ({".well-known__agent-card.json": CARD}, "a2a", 2),
        ({".well-known__agent.json": CARD}, "a2a", 3),
        ({".well-known__agent.json": CARD | {"schemaVersion": "1.0"}}, "apx", 3),
        ({"api__config__health": {"status": "healthy"}}, "builder", 4),
        ({"agent__info": 404}, "responses", 4),
        ({}, "responses", 4),
    ],
)
async def test_auto_asks_the_cheap_questions_once(
    answers: dict[str, object], kind: str, questions: int
) -> None:
    agent = Answering(**answers)
    agents = Registry(Snapshot([OPEN]), settle=settling(agent))
    found = await asyncio.gather(*(agents.find("echo", ASKED) for _ in range(20)))
    assert {one.kind for one in found if one} == {kind}
    assert len(agent.asked) == questions
    assert await agents.find("echo", ASKED) is agents.get("echo")
    settled = agents.get("echo")
    assert settled is not None
    assert (settled.kind, settled.settled, len(agent.asked)) == (kind, True, questions)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "agent_login_page"),
        (302, "agent_login_page"),
        (401, "agent_unauthorized"),
        (403, "agent_forbidden"),
        (503, "agent_failed"),
    ],
)
async def test_a_login_page_is_reported_not_guessed_around_and_asked_about_again(
    status: int, code: str
) -> None:
    agent = Answering(agent__info=status)
    agents = Registry(Snapshot([OPEN]), settle=settling(agent))
    with pytest.raises(Refusal) as refusal:
        await agents.find("echo", ASKED)
    assert refusal.value.code == code
    known = agents.get("echo")
    assert known is not None
    assert not known.settled
    agent.answers = {"/agent/info": {"use_case": "agent"}}
    assert (await agents.find("echo", ASKED)) is agents.get("echo")


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


Looking = Callable[[], Awaitable[Agent | None]]


@pytest.fixture
async def looking(workspace: sim.Workspace) -> AsyncIterator[Looking]:
    """Looks for agent `echo`, whose address is `apps/echo-agent`."""
    control = Control()
    token = workspace.user("app")

    async def bearer() -> str:
        return f"Bearer {token}"

    home = Workspace(workspace.url, "77", True)
    settle = Settling(
        home, control, Answering(), bearer, lambda name, url: Agent(name, url, kind="responses")
    )
    app = Agent("echo", "apps/echo-agent", settled=False)
    agents = Registry(Snapshot([app]), settle=settle)
    yield lambda: agents.find("echo", Caller())
    await agents.aclose()
    await control.aclose()


async def test_an_apps_address_is_asked_of_the_workspace_once(
    workspace: sim.Workspace, looking: Looking
) -> None:
    workspace.catalog.app("echo-agent", "https://echo-agent-77.aws.databricksapps.com/")
    for _ in range(3):
        found = await looking()
        assert found is not None
        assert (found.url, found.settled) == ("https://echo-agent-77.aws.databricksapps.com", True)
    assert workspace.calls("/api/2.0/apps/echo-agent") == 1


@pytest.mark.parametrize(
    ("url", "outage", "why"),
    [
        (None, 0, "there is no app 'echo-agent'"),
        ("", 0, "no address"),
        ("https://u:p@x.example.org", 0, "cannot be used"),
        ("https://x.example.org", 503, "answered 503"),
    ],
)
async def test_an_app_whose_address_cannot_be_had_says_why(
    workspace: sim.Workspace, looking: Looking, url: str | None, outage: int, why: str
) -> None:
    if url is not None:
        workspace.catalog.app("echo-agent", url)
    workspace.outage = outage
    with pytest.raises(Refusal) as refusal:
        await looking()
    assert (refusal.value.status, refusal.value.code) == (502, "app_unresolved")
    assert why in (refusal.value.detail or "")
