"""Agents in Unity Catalog: found and judged with the caller's own token, and nothing of it is ever anybody else's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from policies.discovery import Workspace
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar import sim
from sidecar.control import Control
from sidecar.unity import Catalog, Found
from sidecar.unity.answers import Answers
from sidecar.unity.questions import CONNECTIONS, GRANTS, ME, Questions

ECHO = {"host": "https://echo.example.org", "base_path": "/.well-known/agent.json"}
ADA, EVE = "ada@example.org", "eve@example.org"


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


@pytest.fixture
async def catalog(workspace: sim.Workspace, time: Time) -> AsyncIterator[Catalog]:
    control, answers = Control(), Answers(time)
    questions = Questions(workspace.url, control, answers)
    yield Catalog(questions, "-a2a", frozenset(), Workspace(workspace.url, "77", True))
    await answers.aclose()
    await control.aclose()


async def refusal(asking: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await asking  # type: ignore[misc]
    return caught.value


def nothing(name: str) -> bool:
    return False


async def names(catalog: Catalog, token: Secret) -> list[str]:
    return [found.name for found in await catalog.offered(token, nothing)]


class TestRights:
    async def test_the_owner_a_grantee_and_a_member_of_a_granted_group_find_it(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO, owner="owner@example.org")
        workspace.catalog.grant("echo-a2a", ADA)
        workspace.catalog.grant("echo-a2a", "data")
        workspace.catalog.join("member@example.org", "data")
        for user in ("owner@example.org", ADA, "member@example.org"):
            found = await catalog.find("echo", Secret(workspace.user(user)))
            assert (found.agent.url, found.agent.connection) == ("https://echo.example.org", "echo-a2a")

    async def test_who_has_no_right_is_told_which_one_in_the_gateways_words(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO)
        refused = await refusal(catalog.find("echo", Secret(workspace.user(EVE))))
        text = (
            "Access denied to agent 'echo'. "
            "Ensure you have USE_CONNECTION privilege on connection 'echo-a2a'."
        )
        assert (refused.status, refused.code) == (403, "agent_access_denied")
        assert refused.extra == {"error": text, "detail": text}

    async def test_a_right_that_is_revoked_ends_within_half_a_minute(self, workspace, catalog, time):
        workspace.catalog.connect("echo-a2a", ECHO)
        workspace.catalog.grant("echo-a2a", ADA)
        token = Secret(workspace.user(ADA))
        await catalog.find("echo", token)
        workspace.catalog.revoke("echo-a2a", ADA)
        time.now += 29.9
        await catalog.find("echo", token)  # as was found out 30 s ago
        time.now += 0.1
        assert (await refusal(catalog.find("echo", token))).status == 403
        assert await names(catalog, token) == []

    async def test_a_right_that_is_granted_begins_within_half_a_minute(self, workspace, catalog, time):
        workspace.catalog.connect("echo-a2a", ECHO)
        token = Secret(workspace.user(ADA))
        assert (await refusal(catalog.find("echo", token))).status == 403
        workspace.catalog.grant("echo-a2a", ADA)
        time.now += 30
        await catalog.find("echo", token)

    async def test_what_is_hidden_from_a_caller_is_unknown_to_it(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO)
        workspace.catalog.everybody_sees = False
        for name in ("echo", "nobody"):
            refused = await refusal(catalog.find(name, Secret(workspace.user(EVE))))
            assert (refused.status, refused.code) == (404, "unknown_agent")

    async def test_no_token_is_asked_for_and_the_apps_own_rights_are_never_used(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO, owner=workspace.client_id)
        for asking in (catalog.find("echo", None), catalog.offered(None, nothing)):
            refused = await refusal(asking)
            assert (refused.status, refused.code) == (401, "user_token_required")
        assert len(workspace.visits) == 0

    async def test_every_question_carries_the_callers_own_token(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO)
        workspace.catalog.grant("echo-a2a", ADA)
        token = workspace.user(ADA)
        await catalog.find("echo", Secret(token))
        assert await names(catalog, Secret(token)) == ["echo"]
        shown = {workspace.visits[at].headers["Authorization"] for at in range(len(workspace.visits))}
        assert shown == {f"Bearer {token}"}


class TestListing:
    async def test_it_has_what_the_caller_may_use_from_every_page(self, workspace, catalog):
        for name in ("a", "b", "c", "d", "e"):
            workspace.catalog.connect(f"{name}-a2a", ECHO, comment=f"Agent {name}")
        workspace.catalog.connect("warehouse", ECHO, owner=ADA)
        workspace.catalog.connect("UPPER-a2a", ECHO, owner=ADA)
        for name in ("a", "c", "e"):
            workspace.catalog.grant(f"{name}-a2a", ADA)
        assert await catalog.offered(Secret(workspace.user(ADA)), nothing) == [
            Found("a", "Agent a", "a-a2a"),
            Found("c", "Agent c", "c-a2a"),
            Found("e", "Agent e", "e-a2a"),
        ]
        assert await names(catalog, Secret(workspace.user(EVE))) == []

    async def test_names_that_the_settings_have_are_left_to_them(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO, owner=ADA)
        assert await catalog.offered(Secret(workspace.user(ADA)), lambda name: name == "echo") == []

    async def test_an_outage_is_never_shown_as_no_agents(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO, owner=ADA)
        token = Secret(workspace.user(ADA))
        for status in (500, 503, 429, 302):
            workspace.outage = status
            for asking in (catalog.offered(token, nothing), catalog.find("echo", token)):
                refused = await refusal(asking)
                assert (refused.status, refused.code) == (503, "catalog_unavailable")
                assert refused.retry_after
        workspace.outage = 0
        assert await names(catalog, token) == ["echo"]  # a failure is not remembered

    async def test_a_token_that_lacks_a_scope_is_told_which(self, workspace, catalog):
        workspace.outage = 403
        refused = await refusal(catalog.offered(Secret(workspace.user(ADA)), nothing))
        assert (refused.status, refused.code) == (401, "user_token_refused")
        assert "catalog.connections" in (refused.hint or "")

    async def test_a_strangers_token_is_refused_as_such(self, workspace, catalog):
        refused = await refusal(catalog.offered(Secret("somebody-elses"), nothing))
        assert (refused.status, refused.code) == (401, "user_token_refused")
        assert "somebody-elses" not in f"{refused.detail}{refused.hint}"

    async def test_a_workspace_that_is_not_there_is_an_outage(self, workspace, catalog):
        await workspace.port.close()
        refused = await refusal(catalog.offered(Secret("t"), nothing))
        assert (refused.code, "cannot be reached" in (refused.detail or "")) == ("catalog_unavailable", True)


class TestAsking:
    async def test_a_hundred_callers_with_one_token_ask_each_question_once(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO)
        workspace.catalog.grant("echo-a2a", ADA)
        token = Secret(workspace.user(ADA))
        await asyncio.gather(*(catalog.find("echo", token) for _ in range(100)))
        assert [workspace.calls(path) for path in (ME, f"{CONNECTIONS}/echo-a2a", GRANTS)] == [1, 1, 1]

    async def test_two_tokens_never_share_an_answer(self, workspace, catalog):
        workspace.catalog.connect("echo-a2a", ECHO)
        workspace.catalog.grant("echo-a2a", ADA)
        await catalog.find("echo", Secret(workspace.user(ADA)))
        assert (await refusal(catalog.find("echo", Secret(workspace.user(EVE))))).status == 403

    async def test_a_name_reaches_one_path_and_no_other(self, workspace, catalog):
        """The SDK does not escape it: `../../../2.0/apps/x` would ask for another thing with the caller's token."""
        workspace.catalog.connect("../../../2.0/apps/x-a2a", ECHO, owner=ADA)
        await refusal(catalog.find("../../../2.0/apps/x", Secret(workspace.user(ADA))))
        targets = [workspace.visits[at].target for at in range(len(workspace.visits))]
        assert sorted(targets) == [ME, f"{CONNECTIONS}/..%2F..%2F..%2F2.0%2Fapps%2Fx-a2a"]

    async def test_who_leaves_does_not_end_the_question_for_the_others(self, time):
        answers = Answers(time)
        asked, go = 0, asyncio.Event()

        async def ask() -> str:
            nonlocal asked
            asked += 1
            await go.wait()
            return "yes"

        first = asyncio.create_task(answers.get("w", "t", "q", ask))
        second = asyncio.create_task(answers.get("w", "t", "q", ask))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        assert (await second, asked) == ("yes", 1)
        await answers.aclose()

    async def test_what_is_kept_is_bounded_and_holds_no_token(self, time):
        answers = Answers(time, most=10)

        async def ask() -> str:
            return "yes"

        for number in range(50):
            await answers.get("w", f"secret-{number}", "q", ask)
        assert len(answers) == 10
        assert "secret" not in repr(vars(answers))

    async def test_an_answer_is_as_old_as_its_question(self, time):
        answers = Answers(time)

        async def slow() -> str:
            time.now += 20
            return "old"

        async def fresh() -> str:
            return "new"

        assert await answers.get("w", "t", "q", slow) == "old"
        time.now += 9
        assert await answers.get("w", "t", "q", fresh) == "old"
        time.now += 1
        assert await answers.get("w", "t", "q", fresh) == "new"
