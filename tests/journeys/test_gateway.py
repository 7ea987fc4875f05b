"""The gateway's API: who may be called, by whom, with whose credential, and cards that lead through us."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from journeys.conftest import HELLO, Running, Start, client
from journeys.process import Started
from yarl import URL

from sidecar import sim
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Visit
from sidecar.telemetry.counters import ROUTES

ADA, EVE = "ada@example.org", "eve@example.org"
KEY = "0123456789abcdef0123456789abcdef"
CARD = "/.well-known/agent-card.json"
FIELDS = [
    "name",
    "description",
    "agent_card_url",
    "url",
    "bearer_token",
    "oauth_m2m",
    "connection_name",
    "catalog",
    "schema_name",
]
RPC = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "message/send",
    "params": {"message": {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}},
}


class Echo:
    """An agent that tells what it was sent, and whose card is whatever it is told to be."""

    port: Port

    def __init__(self) -> None:
        self.card: dict[str, Any] | bytes = {}
        self.at = [CARD, "/.well-known/agent.json"]
        self.visits: list[Visit] = []

    @property
    def url(self) -> str:
        return self.port.url

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        visit.body = await request.content.read()
        self.visits.append(visit)
        if request.path in self.at:
            headers = {"ETag": 'W/"1"'}
            if "If-None-Match" in request.headers:
                return web.Response(status=304, headers=headers)
            if isinstance(self.card, bytes):
                return web.Response(body=self.card, content_type="application/json")
            return web.json_response(self.card, headers=headers)
        if request.path.startswith("/.well-known/"):
            return web.json_response({"detail": "Not Found"}, status=404)
        if b"ExtendedCard" in visit.body or b"ExtendedAgentCard" in visit.body:
            return web.json_response({"jsonrpc": "2.0", "id": 7, "result": self.card})
        if request.path == "/login":
            return web.Response(status=302, headers={"Location": "https://login.example.org/"})
        told = {
            "path": request.raw_path,
            "headers": {name.lower(): text for name, text in request.headers.items()},
        }
        return web.json_response(
            told | {"jsonrpc": "2.0", "id": 7, "result": {"kind": "message", "parts": []}}
        )


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    one = Echo()
    async with serving(one.answer) as one.port:
        one.card = {"protocolVersion": "0.3.0", "name": "Echo", "url": f"{one.url}/rpc"}
        yield one


@pytest.fixture
async def workspace() -> AsyncIterator[sim.Workspace]:
    async with sim.workspace() as one:
        yield one


Finding = Callable[..., Awaitable[Running]]


@pytest.fixture
def finding(start: Start, workspace: sim.Workspace, echo: Echo, agent: sim.Agent) -> Finding:
    """A sidecar that looks for agents in this workspace; its own agent is `default`, and the echo is vouched for."""

    async def found(environ: dict[str, str] | None = None, **given: str) -> Running:
        values = {"UC_DISCOVERY": "on", "UC_ORIGINS": echo.url} | given
        environ = {"DATABRICKS_HOST": workspace.url} | (environ or {})
        return await start(agent.url, environ, AGENTS__DEFAULT__AUTH="none", **values)

    return found


async def told(sidecar: Running, path: str, door: str = "egress", **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with sidecar.http.get(getattr(sidecar, door) + path, headers=named) as answer:
        return answer.status, await answer.json(), answer.headers


async def post(
    sidecar: Running, path: str, body: Any = RPC, door: str = "egress", **headers: str
) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with sidecar.http.post(getattr(sidecar, door) + path, json=body, headers=named) as answer:
        return answer.status, await answer.json(), answer.headers


def options(echo: Echo, **more: str) -> dict[str, str]:
    return {"host": echo.url, "base_path": CARD} | more


# --- who may be called --------------------------------------------------------------------------------------


async def test_the_settings_agents_are_listed_for_everybody_with_exactly_these_members(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, AGENTS__B__URL="http://127.0.0.1:1", AGENTS__B__TOKEN="c4nary-secret")
    for door in ("front", "egress"):
        status, body, _ = await told(sidecar, "/api/agents", door)
        assert (status, body["total"]) == (200, 2)
        at = getattr(sidecar, door)
        assert body["agents"][0] == {
            "name": "default",
            "description": "",
            "agent_card_url": f"{at}/api/agents/default{CARD}",
            "url": None,
            "bearer_token": None,
            "oauth_m2m": None,
            "connection_name": None,
            "catalog": "main",
            "schema_name": "default",
        }
        assert all(list(one) == FIELDS for one in body["agents"])
        assert (await told(sidecar, "/api/agents/b", door))[1] == body["agents"][1]
        assert "c4nary" not in str(body)
    status, body, _ = await told(sidecar, "/api/agents/nobody")
    assert (status, body["error"]) == (404, "unknown_agent")


async def test_what_is_found_is_listed_for_those_who_may_use_it_and_its_secrets_for_nobody(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    secrets = {"client_id": "id", "client_secret": "c4nary-1", "token_endpoint": "https://idp.example.org/t"}
    workspace.catalog.connect("echo-a2a", options(echo, bearer_token="c4nary-2"), comment="Says it again")
    workspace.catalog.connect(
        "work-a2a", {"host": "https://w.example.org", "base_path": "/card"} | secrets, owner=ADA
    )
    workspace.catalog.grant("echo-a2a", ADA)
    sidecar = await finding()
    ada, eve = workspace.user(ADA), workspace.user(EVE)
    _, body, _ = await told(sidecar, "/api/agents", Authorization=f"Bearer {ada}")
    assert [one["name"] for one in body["agents"]] == ["default", "echo", "work"]
    assert body["agents"][1] | {"agent_card_url": ""} == {
        "name": "echo",
        "description": "Says it again",
        "agent_card_url": "",
        "url": None,
        "bearer_token": None,
        "oauth_m2m": None,
        "connection_name": "echo-a2a",
        "catalog": "main",
        "schema_name": "default",
    }
    one = await told(sidecar, "/api/agents/echo", Authorization=f"Bearer {ada}")
    assert one[1] == body["agents"][1]
    assert "c4nary" not in str(body)
    assert echo.url not in str(body)
    _, body, _ = await told(sidecar, "/api/agents", Authorization=f"Bearer {eve}")
    assert [one["name"] for one in body["agents"]] == ["default"]


async def test_a_believed_token_goes_before_the_bearer(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo), owner=ADA)
    sidecar = await finding()
    shown = {
        "Authorization": f"Bearer {workspace.user(EVE)}",
        "x_forwarded_access_token": workspace.user(ADA),
    }
    assert (await told(sidecar, "/api/agents/echo", **shown))[0] == 200
    status, body, _ = await told(sidecar, "/api/agents/echo", "front", **shown)  # nobody is believed there
    assert (status, body["error"][:14]) == (403, "Access denied ")


async def test_without_a_token_the_settings_agents_are_listed_and_the_list_says_what_is_missing(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo), owner=workspace.client_id)
    sidecar = await finding()
    status, body, headers = await told(sidecar, "/api/agents")
    assert (status, [one["name"] for one in body["agents"]]) == (200, ["default"])
    assert headers["x-sidecar-discovery"] == "user_token_required"
    for path in ("/api/agents/echo", f"/api/agents/echo{CARD}", "/agents/echo/health"):
        status, body, _ = await told(sidecar, path)
        assert (status, body["error"]) == (401, "user_token_required")
    assert (await sidecar.call(HELLO)).status == 200  # the settings' agent needs none


async def test_an_outage_of_the_workspace_is_told_as_one(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    sidecar = await finding()
    ada = workspace.user(ADA)
    workspace.outage = 503
    for path in ("/api/agents", "/api/agents/echo", "/api/agents/echo/anything"):
        status, body, headers = await told(sidecar, path, Authorization=f"Bearer {ada}")
        assert (status, body["error"]) == (503, "catalog_unavailable")
        assert headers["Retry-After"]
    assert (await sidecar.call(HELLO)).status == 200


async def test_who_has_no_right_gets_403_in_the_gateways_words_at_every_path(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo))
    sidecar = await finding()
    eve = {"Authorization": f"Bearer {workspace.user(EVE)}"}
    text = "Access denied to agent 'echo'. Ensure you have USE_CONNECTION privilege on connection 'echo-a2a'."
    for door in ("front", "egress"):
        for asked in (
            told(sidecar, "/api/agents/echo", door, **eve),
            told(sidecar, f"/api/agents/echo{CARD}", door, **eve),
            told(sidecar, "/api/agents/echo/v1/tasks/1", door, **eve),
            post(sidecar, "/api/agents/echo", RPC, door, **eve),
            post(sidecar, "/api/agents/echo/message", RPC, door, **eve),
            post(sidecar, "/api/agents/echo/stream", RPC, door, **eve),
        ):
            status, body, _ = await asked
            assert (status, body["error"], body["detail"]) == (403, text, text)
    assert echo.visits == []


async def test_the_settings_win_over_a_connection_of_the_same_name(
    finding: Finding, workspace: sim.Workspace, echo: Echo, agent: sim.Agent
) -> None:
    workspace.catalog.connect("default-a2a", options(echo), owner=ADA)
    sidecar = await finding()
    _, body, _ = await told(sidecar, "/api/agents", Authorization=f"Bearer {workspace.user(ADA)}")
    assert [one["connection_name"] for one in body["agents"]] == [None]
    assert (await sidecar.call(HELLO)).status == 200
    assert echo.visits == []


# --- with whose credential ----------------------------------------------------------------------------------


async def sent(sidecar: Running, echo: Echo, **headers: str) -> dict[str, str]:
    """The headers with which a relay to the echo arrives there."""
    status, body, _ = await told(sidecar, "/api/agents/echo/anything", **headers)
    assert status == 200, body
    return dict(body["headers"])


async def test_the_callers_own_token_goes_where_the_connection_says_so_and_an_operator_vouches(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo, bearer_token="databricks"), owner=ADA)
    ada = workspace.user(ADA)
    sidecar = await finding()
    arrived = await sent(sidecar, echo, Authorization=f"Bearer {ada}")
    assert arrived["authorization"] == f"Bearer {ada}"
    assert "x-forwarded-access-token" not in arrived
    believed = await sent(sidecar, echo, x_forwarded_access_token=ada)
    assert believed["authorization"] == f"Bearer {ada}"


async def test_a_placeholder_means_the_apps_own_credential_and_never_the_callers(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo, bearer_token="unused"), owner=ADA)
    sidecar = await finding(workspace.environment)
    ada = workspace.user(ADA)
    arrived = await sent(sidecar, echo, Authorization=f"Bearer {ada}")
    assert arrived["authorization"] == f"Bearer {workspace.tokens[-1]}"
    assert ada not in str(arrived)


async def test_where_the_apps_credential_is_missing_the_callers_is_not_taken(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo), owner=ADA)
    sidecar = await finding()
    bearer = f"Bearer {workspace.user(ADA)}"
    status, body, _ = await told(sidecar, "/api/agents/echo/anything", Authorization=bearer)
    assert (status, body["error"]) == (503, "credential_unavailable")
    assert echo.visits == []


async def test_a_token_that_the_connection_carries_goes_to_its_agent_alone(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo, bearer_token="its-own"), owner=ADA)
    sidecar = await finding()
    ada = workspace.user(ADA)
    arrived = await sent(sidecar, echo, Authorization=f"Bearer {ada}")
    assert arrived["authorization"] == "Bearer its-own"
    assert ada not in str(arrived)


async def test_client_credentials_that_the_connection_carries_are_exchanged_once(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    granted: list[bytes] = []

    async def provider(request: web.BaseRequest) -> web.Response:
        granted.append(await request.content.read())
        return web.json_response({"access_token": f"granted-{len(granted)}", "expires_in": 3600})

    async with serving(provider) as port:
        client = {
            "client_id": "id",
            "client_secret": "s3",
            "token_endpoint": f"{port.url}/t",
            "oauth_scope": "a2a",
        }
        workspace.catalog.connect("echo-a2a", options(echo, **client), owner=ADA)
        sidecar = await finding()
        bearer = f"Bearer {workspace.user(ADA)}"
        for _ in range(3):
            arrived = await sent(sidecar, echo, Authorization=bearer)
            assert arrived["authorization"] == "Bearer granted-1"
    assert granted == [b"grant_type=client_credentials&scope=a2a&client_id=id&client_secret=s3"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_u11_nobody_reaches_this_machine_by_registering_it(
    finding: Finding, workspace: sim.Workspace, echo: Echo, host: str
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo, host=echo.url.replace("127.0.0.1", host)), owner=ADA)
    sidecar = await finding(UC_ORIGINS="https://another.example.org")
    bearer = f"Bearer {workspace.user(ADA)}"
    status, body, _ = await told(sidecar, "/api/agents/echo/anything", Authorization=bearer)
    assert (status, body["error"]) == (502, "agent_address_refused")
    assert echo.visits == []


async def test_u11_a_public_name_that_leads_to_this_machine_is_refused_where_it_is_connected_to(
    finding: Finding, workspace: sim.Workspace, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    port = int(echo.url.rpartition(":")[2])

    async def rebound(host: str, *_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    workspace.catalog.connect(
        "echo-a2a", options(echo, host=f"https://rebound.example.org:{port}"), owner=ADA
    )
    sidecar = await finding()
    bearer = f"Bearer {workspace.user(ADA)}"
    status, body, _ = await told(sidecar, "/api/agents/echo/anything", Authorization=bearer)
    assert (status, body["error"]) == (502, "agent_address_refused")
    assert echo.visits == []


async def test_a_connection_that_lacks_an_option_says_which(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", {"host": echo.url}, owner=ADA)
    sidecar = await finding()
    bearer = f"Bearer {workspace.user(ADA)}"
    status, body, _ = await told(sidecar, "/api/agents/echo/anything", Authorization=bearer)
    assert (status, body["error"]) == (502, "connection_incomplete")
    assert "`base_path`" in body["detail"]


async def test_o01_no_token_and_no_secret_of_a_connection_comes_out_anywhere(
    finding: Finding, workspace: sim.Workspace, echo: Echo, capfd: pytest.CaptureFixture[str]
) -> None:
    own = {"client_id": "id", "client_secret": "c4nary-secret", "token_endpoint": "http://127.0.0.1:1/t"}
    workspace.catalog.connect("static-a2a", options(echo, bearer_token="c4nary-static"), owner=ADA)
    workspace.catalog.connect("oauth-a2a", options(echo, **own), owner=ADA)
    workspace.catalog.connect(
        "plain-a2a", options(echo, host="http://x.example.org", bearer_token="c4nary-plain"), owner=ADA
    )
    workspace.catalog.connect("half-a2a", options(echo, **own | {"token_endpoint": ""}), owner=ADA)
    sidecar = await finding(LOG="debug", ERRORS="full")
    ada = workspace.user(ADA)
    heard: list[Any] = []
    for bearer in (ada, "c4nary-stranger"):
        for path in (
            "",
            "/static",
            "/oauth",
            "/plain",
            "/half",
            "/static/x",
            "/oauth/x",
            "/plain/x",
            f"/half{CARD}",
        ):
            for door in ("front", "egress"):
                headers = {"Authorization": f"Bearer {bearer}"}
                status, body, named = await told(sidecar, f"/api/agents{path}", door, **headers)
                echoed = status == 200 and path.endswith(
                    "/x"
                )  # what an agent tells of itself is its own affair
                heard += [status, named, None if echoed else body]
    for path in ("/metrics", "/calls", "/agents", "/readyz"):
        async with sidecar.http.get(sidecar.admin + path) as answer:
            heard.append(await answer.text())
    await sidecar.app.stop()
    heard.append(capfd.readouterr())
    everything = str(heard)
    assert "credential_unavailable" in everything
    assert "c4nary" not in everything
    assert ada not in everything


async def test_a_page_of_a_listed_origin_reads_the_list_and_every_answer_has_its_id(
    start: Start, echo: Echo
) -> None:
    sidecar = await start(echo.url, ORIGINS="https://app.example.org")
    asked = {"Origin": "https://app.example.org", "x_request_id": "mine"}
    _, _, headers = await told(sidecar, "/api/agents", "front", **asked)
    assert headers["access-control-allow-origin"] == "https://app.example.org"
    assert headers["x-request-id"] == "mine"


async def test_the_real_process_finds_agents_and_needs_none_of_its_own(
    process: Started, workspace: sim.Workspace, echo: Echo
) -> None:
    workspace.catalog.connect("echo-a2a", options(echo, bearer_token="databricks"))
    workspace.catalog.join(ADA, "data")
    workspace.catalog.grant("echo-a2a", "data")
    given = {"SIDECAR_UC_DISCOVERY": "on", "SIDECAR_UC_ORIGINS": echo.url, "DATABRICKS_HOST": workspace.url}
    one = await (await process("serve", **given)).ready()
    assert "discovery   connections whose name ends with -a2a" in one.said
    ada, eve = workspace.user(ADA), workspace.user(EVE)
    async with client() as http:
        for token, status in ((ada, 200), (eve, 403), (ada, 200)):
            headers = {"Authorization": f"Bearer {token}"}
            async with http.get(f"{one.doors['egress']}/api/agents/echo/x", headers=headers) as answer:
                assert answer.status == status
        async with http.get(f"{one.doors['admin']}/readyz") as answer:
            assert answer.status == 200
    assert {visit.headers["Authorization"] for visit in echo.visits} == {f"Bearer {ada}"}
    one.signal(signal.SIGTERM)
    assert await one.ended(12) == 0


# --- relays -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["v1/message:send", "tasks/1:subscribe?x=%2f&y", "a/b:c;d=e", "v1/tasks/a%3Ab:cancel"]
)
async def test_a_relay_keeps_its_path_colons_and_query_as_they_came(
    start: Start, echo: Echo, path: str
) -> None:
    sidecar = await start(echo.url)
    url = URL(f"{sidecar.egress}/api/agents/default/{path}", encoded=True)
    async with sidecar.http.get(url, headers={"A2A-Version": "1.0"}) as answer:
        body = await answer.json()
    assert body["path"] == f"/{path}"
    assert body["headers"]["a2a-version"] == "1.0"


async def test_a_bearer_that_judges_nobody_never_reaches_an_agent(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url)
    _, body, _ = await told(sidecar, "/api/agents/default/anything", Authorization="Bearer c4nary")
    assert "c4nary" not in str(body)


async def test_at_the_front_agents_are_called_by_named_callers_only(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url)
    for asked in (
        told(sidecar, "/api/agents/default/anything", "front", Authorization="Bearer anything"),
        post(sidecar, "/api/agents/default", RPC, "front"),
        post(sidecar, "/api/agents/default", RPC, "front", x_forwarded_email=ADA),
    ):
        status, body, _ = await asked
        assert (status, body["error"]) == (401, "caller_not_named")
    assert echo.visits == []
    trusting = await start(echo.url, TRUST="127.0.0.0/8")
    assert (await told(trusting, "/api/agents/default/anything", "front", x_forwarded_email=ADA))[0] == 200


# --- an agent that was found, end to end ---------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.2", "0.3", "1.0"])
async def test_an_agent_that_was_found_is_chatted_with_and_called_by_json_rpc(
    finding: Finding, workspace: sim.Workspace, version: str
) -> None:
    async with sim.a2a(version) as there:
        card = CARD if version != "0.2" else "/.well-known/agent.json"
        workspace.catalog.connect("found-a2a", {"host": there.url, "base_path": card}, owner=ADA)
        sidecar = await finding(workspace.environment, UC_ORIGINS=there.url)
        ada = workspace.user(ADA)
        user = {"x_forwarded_access_token": ada}
        status, body, _ = await post(
            sidecar, "/api/chat", HELLO | {"agent": "found", "stream": False}, **user
        )
        assert (status, "hello" in str(body)) == (200, True)
        status, body, _ = await post(sidecar, "/api/chat/found", HELLO | {"stream": False}, **user)
        assert status == 200
        if version != "1.0":
            for path in ("/api/agents/found", "/api/agents/found/message"):
                status, body, _ = await post(sidecar, path, RPC, Authorization=f"Bearer {ada}")
                assert (status, body["id"], "hello" in str(body["result"])) == (200, 7, True)
        status, body, _ = await post(sidecar, "/api/chat/found", HELLO)
        assert (status, body["error"]) == (401, "user_token_required")
        assert all(visit.headers.get("Authorization") != f"Bearer {ada}" for visit in there.visits)


# --- cards --------------------------------------------------------------------------------------------------


async def test_a_card_leads_through_the_path_and_door_where_it_was_asked_for_B08(
    start: Start, echo: Echo
) -> None:
    """The ETag is the agent's, of another text than ours: it goes neither way."""
    sidecar = await start(echo.url, EGRESS_SECRET=KEY)
    keyed = f"/~{KEY}"
    for door, prefix in (
        ("front", "/api/agents/default"),
        ("egress", "/api/agents/default"),
        ("egress", "/agents/default"),
        ("egress", f"{keyed}/agents/default"),
        ("egress", f"{keyed}/api/agents/default"),
    ):
        for path in (CARD, "/.well-known/agent.json"):
            status, card, headers = await told(sidecar, prefix + path, door, If_None_Match='W/"1"')
            assert status == 200
            assert card["url"] == f"{getattr(sidecar, door)}{prefix}/rpc"
            assert "ETag" not in headers
    status, body, _ = await told(sidecar, f"{keyed}/api/agents/default/rpc")  # and there it is
    assert body["path"] == "/rpc"


async def test_a_card_at_one_path_is_told_at_both(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url)
    echo.at = ["/.well-known/agent.json"]
    for path in (CARD, "/.well-known/agent.json"):
        assert (await told(sidecar, f"/api/agents/default{path}"))[1]["name"] == "Echo"
    away = await start("http://127.0.0.1:1", AGENTS__DEFAULT__REPLAY="never")
    assert (await told(away, f"/api/agents/default{CARD}"))[0] == 502


async def test_a_registered_cards_path_is_any_and_it_is_told_at_the_well_known_ones(
    finding: Finding, workspace: sim.Workspace, echo: Echo
) -> None:
    echo.at = ["/api/sn/a2a/ABC/well_known/agent_json"]
    workspace.catalog.connect("echo-a2a", {"host": echo.url, "base_path": echo.at[0]}, owner=ADA)
    sidecar = await finding(workspace.environment)
    bearer = f"Bearer {workspace.user(ADA)}"
    for path in (CARD, "/.well-known/agent.json"):
        _, card, _ = await told(sidecar, f"/api/agents/echo{path}", Authorization=bearer)
        assert card["url"] == f"{sidecar.egress}/api/agents/echo/rpc"


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"url": "https://evil.example.org/rpc"}, "agent_card_elsewhere"),
        (b"<h1>no</h1>", "agent_card_invalid"),
        (b"[1]", "agent_card_invalid"),
        (b"{" * 9999, "agent_card_invalid"),
        (b'"' + b"x" * (2 << 20) + b'"', "agent_card_invalid"),
    ],
)
async def test_u10_a_card_that_leads_elsewhere_or_is_none_is_refused(
    start: Start, echo: Echo, card: Any, code: str
) -> None:
    echo.card = card
    sidecar = await start(echo.url)
    status, body, _ = await told(sidecar, f"/api/agents/default{CARD}")
    assert (status, body["error"]) == (502, code)
    assert body["hint"]
    assert "evil" not in str(body)
    assert await sidecar.metric("sidecar_requests_total", outcome="internal_error") == 0


async def test_an_agent_whose_kind_has_a_card_and_has_none_is_said_to(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__KIND="apx")
    status, body, _ = await told(sidecar, f"/api/agents/default{CARD}")
    assert (status, body["error"]) == (404, "no_such_route")


async def test_an_extended_card_leads_through_us_too(start: Start, echo: Echo) -> None:
    echo.at += ["/rest/v1/card", "/extendedAgentCard"]
    sidecar = await start(echo.url, AGENTS__DEFAULT__KIND="a2a")
    for path in ("/rest/v1/card", "/extendedAgentCard"):
        _, card, _ = await told(sidecar, f"/api/agents/default{path}")
        assert card["url"] == f"{sidecar.egress}/api/agents/default/rpc"
    plain = await start(echo.url)
    assert (await told(plain, "/api/agents/default/extendedAgentCard"))[1]["url"] == f"{echo.url}/rpc"


async def test_an_extended_card_inside_an_answer_leads_through_us_too(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url, AGENTS__DEFAULT__KIND="a2a")
    for method in ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard"):
        asked = {"jsonrpc": "2.0", "id": 7, "method": method}
        for prefix in ("/api/agents/default", "/agents/default"):
            for path in ("", "/rpc"):  # the gateway's own endpoint, and the one that the card names
                status, body, _ = await post(sidecar, prefix + path, asked)
                assert (status, body["id"]) == (200, 7)
                assert body["result"]["url"] == f"{sidecar.egress}{prefix}/rpc"
    echo.card = {"url": "https://evil.example.org"}
    status, body, _ = await post(sidecar, "/api/agents/default/rpc", asked)
    assert (status, body["error"]) == (502, "agent_card_elsewhere")


# --- our address --------------------------------------------------------------------------------------------

PLATFORM = {
    "DATABRICKS_APP_NAME": "us",
    "DATABRICKS_HOST": "https://dbc.example.org",
    "DATABRICKS_CLIENT_ID": "id",
    "SIDECAR_HOST": "127.0.0.1",
}


async def address(sidecar: Running, **headers: str) -> str:
    _, body, _ = await told(sidecar, "/api/agents/default", "front", **headers)
    return str(body["agent_card_url"]).removesuffix(f"/api/agents/default{CARD}")


async def test_h13_our_address_is_what_was_set_else_what_the_platform_says_else_what_was_checked(
    start: Start, echo: Echo
) -> None:
    spoofed = {"X_Forwarded_Host": "evil.example.org", "X_Forwarded_Proto": "http", "Forwarded": "host=evil"}
    plain = await start(echo.url)
    assert await address(plain, **spoofed) == plain.front
    assert await address(
        plain, Host=plain.front.removeprefix("http://").replace("127.0.0.1", "localhost")
    ) == (plain.front.replace("127.0.0.1", "localhost"))
    platform = await start(echo.url, PLATFORM)
    assert await address(platform, X_Forwarded_Host="us-1.aws.databricksapps.com") == (
        "https://us-1.aws.databricksapps.com"
    )
    assert await address(platform, X_Forwarded_Host="a.example.org/x?@evil") == platform.front
    public = await start(echo.url, PLATFORM, PUBLIC_URL="https://agents.example.org/base")
    assert await address(public, **spoofed) == "https://agents.example.org/base"
    for path, at in (("/api/agents", "https://agents.example.org/base"), ("/agents", public.egress)):
        _, card, _ = await told(public, f"{path}/default{CARD}")
        assert card["url"] == f"{at}{path}/default/rpc"  # `/agents` is there at the egress door only


async def test_h13_a_bind_beyond_loopback_takes_no_address_from_a_request(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url, HOST="0.0.0.0")
    port = sidecar.front.rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/api/agents/default"
    async with sidecar.http.get(url, headers={"Host": "evil.example.org"}) as answer:
        assert (await answer.json())["agent_card_url"].startswith(f"http://0.0.0.0:{port}/")


# --- the page -----------------------------------------------------------------------------------------------


async def test_the_routes_are_described_at_the_egress_door_and_at_the_front_only_if_listed(
    start: Start, echo: Echo
) -> None:
    sidecar = await start(echo.url)
    async with sidecar.http.get(f"{sidecar.egress}/docs", headers={"Sec-Fetch-Site": "none"}) as page:
        assert (page.status, page.content_type) == (200, "text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        text = await page.text()
    assert "://" not in text
    for path in ("/docs/docs.js", "/docs/docs.css", "/docs/openapi.json", "/openapi.json"):
        async with sidecar.http.get(sidecar.egress + path) as part:
            assert part.status == 200
    assert (await sidecar.http.get(f"{sidecar.front}/docs")).status == 404
    listed = await start(echo.url, FRONT_ROUTES="/docs")
    assert (await listed.http.get(f"{listed.front}/docs")).status == 200


async def test_the_document_names_routes_that_exist_and_all_of_them(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url)
    document = (await told(sidecar, "/openapi.json"))[1]
    assert document["openapi"] == "3.1.0"
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        there = path.replace("{agent}", "default").replace("{rest}", "anything")
        for method in methods:
            async with sidecar.http.request(method, sidecar.egress + there) as answer:
                assert await answer.text() == "" or "no_such_route" not in await answer.text()
    described = set(document["paths"])
    assert {route for route in ROUTES if route.startswith("/")} <= described | {"/api/agents/{agent}/stream"}


async def test_no_answer_of_ours_sends_a_browser_elsewhere_U13(start: Start, echo: Echo) -> None:
    sidecar = await start(echo.url)
    document = (await told(sidecar, "/openapi.json"))[1]
    for path in document["paths"]:
        there = (
            path.replace("{agent}", "default").replace("{rest}", "login") + "?next=https://evil.example.org"
        )
        async with sidecar.http.get(sidecar.egress + there, allow_redirects=False) as answer:
            assert "Location" not in answer.headers
