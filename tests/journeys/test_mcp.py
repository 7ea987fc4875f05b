"""MCP servers under `/agents/<name>/`: what passes untouched, whose a session is, and how a stream leads back.
B11, B12. The real server and client are in test_peers_mcp."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest
from journeys.conftest import HELLO, Running, Start

from sidecar.sim import mcp

ANN, BOB = ({"x-forwarded-email": f"{name}@example.org"} for name in ("ann", "bob"))
SESSION = "Mcp-Session-Id"
BOTH = {"Accept": "application/json, text/event-stream"}


def rpc(method: str, ident: int | None = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params} | ({} if ident is None else {"id": ident})


@pytest.fixture
async def server() -> AsyncIterator[mcp.Server]:
    async with mcp.server() as one:
        yield one


class Client:
    """A caller at egress, as far as MCP is concerned."""

    def __init__(self, sidecar: Running, user: dict[str, str], path: str = "/agents/tools/mcp") -> None:
        self.sidecar, self.user, self.url = sidecar, user, sidecar.egress + path

    async def asks(self, method: str = "POST", body: Any = None, **headers: str) -> aiohttp.ClientResponse:
        named = self.user | BOTH | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.sidecar.http.request(method, self.url, json=body, headers=named)

    async def opens(self) -> str:
        answer = await self.asks(body=rpc("initialize"))
        assert answer.status == 200
        return answer.headers[SESSION]


async def before(start: Start, server: mcp.Server, **given: str) -> Running:
    block = {"AGENTS__TOOLS__URL": server.url, "AGENTS__TOOLS__KIND": "mcp"}
    return await start("http://127.0.0.1:1", **block, **given)


async def error(answer: aiohttp.ClientResponse) -> Any:
    return (await answer.json())["error"]


# --- B11: everything of the protocol passes -----------------------------------------------------------------


async def test_b11_a_session_lives_from_initialize_to_delete(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    client = Client(sidecar, ANN)
    session = await client.opens()
    notified = await client.asks(body=rpc("notifications/initialized", None), mcp_session_id=session)
    assert (notified.status, await notified.read()) == (202, b"")
    listed = await client.asks(body=rpc("tools/list", 2), mcp_session_id=session)
    assert (await listed.json())["result"]["tools"][0]["name"] == "add"
    assert (await client.asks("DELETE", mcp_session_id=session)).status == 200
    assert (await client.asks(body=rpc("ping"), mcp_session_id=session)).status == 404


async def test_b11_its_headers_pass_whole_and_the_modern_protocol_has_no_session(
    start: Start, server: mcp.Server
) -> None:
    sidecar = await before(start, server)
    client = Client(sidecar, ANN)
    said = {
        "MCP_Protocol_Version": "2026-07-28",
        "Mcp_Method": "tools/call",
        "Mcp_Name": "add",
        "Mcp_Param_Tenant": "a",
        "Last_Event_ID": "7",
    }
    answer = await client.asks(body=rpc("tools/call", name="add"), **said)
    assert answer.status == 200
    assert SESSION not in answer.headers
    came = server.visits[-1].headers
    assert {name: came[name.replace("_", "-")] for name in said} == said
    assert came["Accept"] == BOTH["Accept"]
    refused = await client.asks("GET", **said)
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")


async def test_b11_a_header_that_came_twice_goes_twice(start: Start, server: mcp.Server) -> None:
    """The server judges that, and answers 400."""
    sidecar = await before(start, server)
    pairs = [("Mcp-Method", "ping"), ("Mcp-Method", "ping"), ("MCP-Protocol-Version", "2026-07-28")]
    await sidecar.http.post(f"{sidecar.egress}/agents/tools/mcp", json=rpc("ping"), headers=pairs)
    assert server.visits[-1].headers.getall("Mcp-Method") == ["ping", "ping"]


async def test_b11_the_sessions_own_stream_may_be_silent_and_is_told_of_at_once(
    start: Start, server: mcp.Server
) -> None:
    """No clock of ours ends it; a caller who leaves it leaves the server."""
    sidecar = await before(
        start, server, TIMEOUTS__GAP="0.1", TIMEOUTS__TOTAL="0.1", TIMEOUTS__FIRST_BYTE="5"
    )
    client = Client(sidecar, ANN)
    session = await client.opens()
    stream = await client.asks("GET", mcp_session_id=session)
    assert (stream.status, stream.content_type) == (200, "text/event-stream")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.content.readany(), 0.6)
    server.visits[-1].release()
    assert b"notifications/x" in await stream.content.readany()
    other = await client.asks("GET", mcp_session_id=session)
    other.close()
    await server.leavings.nth(1)


async def test_b11_a_stream_without_a_session_is_the_servers_to_refuse(
    start: Start, server: mcp.Server
) -> None:
    """And the session that its refusal names is nobody's."""
    sidecar = await before(start, server)
    refused = await Client(sidecar, ANN).asks("GET")
    assert (refused.status, (await error(refused))["message"]) == (400, "Missing session ID")
    named = refused.headers[SESSION]
    assert await error(await Client(sidecar, ANN).asks("GET", mcp_session_id=named)) == "no_such_session"


async def test_b11_the_server_sees_its_own_host_and_no_origin(start: Start, server: mcp.Server) -> None:
    """The door has judged the Origin: with the egress key every one passes, without it only our own."""
    key = "0123456789abcdef0123456789abcdef"
    sidecar = await before(start, server, EGRESS_SECRET=key)
    origin = "https://app.example.org"
    keyed = Client(sidecar, ANN, f"/~{key}/agents/tools/mcp")
    answer = await keyed.asks(body=rpc("initialize"), Origin=origin)
    assert answer.status == 200
    assert "Origin" not in server.visits[-1].headers
    stranger = await Client(sidecar, ANN).asks(body=rpc("initialize"), Origin=origin)
    assert (stranger.status, await error(stranger)) == (403, "cross_site")


# --- B12: what is an error of HTTP, and what one of JSON-RPC ------------------------------------------------


async def test_b12_an_error_of_json_rpc_stays_one(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    client = Client(sidecar, ANN)
    answer = await client.asks(body=rpc("no/such"), mcp_session_id=await client.opens())
    assert (answer.status, (await error(answer))["code"]) == (200, -32601)
    assert answer.headers["Content-Type"] == "application/json"


async def test_b12_an_error_of_http_stays_one(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    client = Client(sidecar, ANN, "/agents/tools/nowhere")
    answer = await client.asks(body=rpc("ping"))
    assert (answer.status, await answer.text()) == (404, "Not Found")
    absent = {"AGENTS__GONE__URL": "http://127.0.0.1:1", "AGENTS__GONE__KIND": "mcp"}
    away = await before(start, server, COLD_START_BUDGET="0", **absent)
    gone = await Client(away, ANN, "/agents/gone/mcp").asks(body=rpc("ping"))
    assert (gone.status, await error(gone)) == (502, "agent_unreachable")


async def test_a_chat_with_an_mcp_server_is_told_what_it_is(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    answer = await sidecar.chat(HELLO, "/api/chat/tools")
    assert (answer.status, await error(answer)) == (400, "no_chat")
    called = await (await sidecar.call(HELLO, "/agents/tools/invocations")).json()
    assert "/agents/tools/mcp" in called["hint"]
    assert len(server.visits) == 0


# --- whose a session is -------------------------------------------------------------------------------------


async def test_4_6_3_a_session_is_its_openers_and_nobody_elses(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    session = await Client(sidecar, ANN).opens()
    reached = len(server.visits)
    for other in (BOB, {}):
        for method, body in (("POST", rpc("ping")), ("GET", None), ("DELETE", None)):
            refused = await Client(sidecar, other).asks(method, body, mcp_session_id=session)
            assert (refused.status, await error(refused)) == (404, "no_such_session")
    assert len(server.visits) == reached, "the server heard of none of it"
    renewed = ANN | {"x-forwarded-access-token": "another"}
    assert (await Client(sidecar, renewed).asks(body=rpc("ping"), mcp_session_id=session)).status == 200


async def test_a_session_that_another_process_opened_is_opened_anew(start: Start, server: mcp.Server) -> None:
    """What is not in the table answers 404, and a client then begins again; as MCP says."""
    session = await Client(await before(start, server), ANN).opens()
    restarted = Client(await before(start, server), ANN)
    answer = await restarted.asks(body=rpc("ping"), mcp_session_id=session)
    assert (answer.status, await error(answer)) == (404, "no_such_session")
    assert (await restarted.asks(body=rpc("ping"), mcp_session_id=await restarted.opens())).status == 200


async def test_a_session_that_the_server_forgot_is_forgotten_here(start: Start, server: mcp.Server) -> None:
    sidecar = await before(start, server)
    client = Client(sidecar, ANN)
    session = await client.opens()
    server.sessions.clear()
    first = await client.asks(body=rpc("ping"), mcp_session_id=session)
    assert (first.status, (await error(first))["message"]) == (404, "Session not found")
    reached = len(server.visits)
    second = await client.asks(body=rpc("ping"), mcp_session_id=session)
    assert (second.status, await error(second), len(server.visits)) == (404, "no_such_session", reached)


# --- the older transport ------------------------------------------------------------------------------------


async def told(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """(event, data) as they come."""
    name = ""
    while line := (await stream.content.readline()).decode():
        key, _, value = line.strip("\r\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, value


@pytest.mark.parametrize("base", ["", "/p"])
@pytest.mark.parametrize("mounted", [False, True], ids=["base in the path", "base in the URL"])
async def test_the_endpoint_event_leads_back_through_the_prefix(
    start: Start, base: str, mounted: bool
) -> None:
    async with mcp.server(base) as server:
        place = server.url if mounted else server.port.url
        sidecar = await start("http://127.0.0.1:1", AGENTS__TOOLS__URL=place, AGENTS__TOOLS__KIND="mcp")
        path = "/agents/tools/sse" if mounted else f"/agents/tools{base}/sse"
        stream = await Client(sidecar, ANN, path).asks("GET")
        async with aclosing(told(stream)) as events:
            event, address = await anext(events)
            assert event == "endpoint"
            there = urljoin(str(stream.url), address)
            assert there.startswith(f"{sidecar.egress}/agents/tools/")
            posted = await sidecar.http.post(there, json=rpc("tools/list"), headers=ANN)
            assert posted.status == 202
            event, data = await anext(events)
            assert (event, json.loads(data)["result"]["tools"][0]["name"]) == ("message", "add")
            stolen = await sidecar.http.post(there, json=rpc("ping"), headers=BOB)
            assert (stolen.status, await error(stolen)) == (404, "no_such_session")
            twice = f"{there}&session_id=x"
            assert (await sidecar.http.post(twice, json=rpc("ping"), headers=ANN)).status == 404
        stream.close()
        await server.leavings.nth(1)
        over = await sidecar.http.post(there, json=rpc("ping"), headers=ANN)
        assert (over.status, await error(over)) == (404, "no_such_session")


@pytest.mark.parametrize(
    "away", ["http://evil.example.org/messages?session_id=1", "//evil.example.org/", "/q/../m"]
)
async def test_an_endpoint_outside_of_the_agent_is_not_told(
    start: Start, server: mcp.Server, away: str
) -> None:
    """Its clients would post there what is meant for this server, with all that they know."""
    server.endpoint = away
    sidecar = await before(start, server)
    stream = await Client(sidecar, ANN, "/agents/tools/sse").asks("GET")
    with pytest.raises(aiohttp.ClientPayloadError):
        await stream.content.read()
    (call,) = await sidecar.calls()
    assert call["outcome"] == "agent_protocol_error"


async def test_a_gateways_path_is_a_prefix_like_any_other(start: Start, server: mcp.Server) -> None:
    """`/api/agents/<name>/…`, at egress and, for callers who are named, at the front."""
    sidecar = await before(start, server, TRUST="127.0.0.0/8", FRONT_ROUTES="/api/agents")
    for door in (sidecar.egress, sidecar.front):
        address = f"{door}/api/agents/tools"
        named = ANN | BOTH
        opened = await sidecar.http.post(f"{address}/mcp", json=rpc("initialize"), headers=named)
        assert opened.status == 200
        session = {SESSION: opened.headers[SESSION]}
        pinged = await sidecar.http.post(f"{address}/mcp", json=rpc("ping"), headers=named | session)
        assert pinged.status == 200
        stream = await sidecar.http.get(f"{address}/sse", headers=named)
        async with aclosing(told(stream)) as events:
            _, endpoint = await anext(events)
        assert urljoin(f"{address}/sse", endpoint).startswith(f"{address}/messages/?session_id=")
    nobody = await sidecar.http.post(f"{sidecar.front}/api/agents/tools/mcp", json=rpc("initialize"))
    assert (nobody.status, await error(nobody)) == (401, "caller_not_named")
