"""The real MCP server and the real MCP client, through the sidecar's prefix, on both transports. B10, B11."""

from collections.abc import Iterator

import pytest
from journeys.conftest import Running, Start
from journeys.process import Started
from needs import need
from peers import mcp_peer

pytestmark = pytest.mark.peer

KEY = "0123456789abcdef0123456789abcdef"
TOOLS = {"AGENTS__TOOLS__KIND": "mcp", "EGRESS_SECRET": KEY}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mcp_peer.server(need("peers-mcp"), tmp_path_factory.mktemp("mcp-server")) as url:
        yield url


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mcp_peer.Client]:
    with mcp_peer.client(need("peers-mcp"), tmp_path_factory.mktemp("mcp-client")) as one:
        yield one


async def before(start: Start, url: str, **given: str) -> Running:
    return await start("http://127.0.0.1:1", AGENTS__TOOLS__URL=url, **TOOLS, **given)


WAYS = [
    ("/mcp", "http", "auto", "2026-07-28"),
    ("/mcp", "http", "legacy", "2025-11-25"),
    ("/mcp", "http", "2026-07-28", "2026-07-28"),
    ("/sse", "sse", "legacy", "2025-11-25"),
    ("/sse", "sse", "auto", "2026-07-28"),
    ("/p/sse", "sse", "legacy", "2025-11-25"),
]


@pytest.mark.parametrize("key", ["", f"/~{KEY}"], ids=["no key", "egress key"])
@pytest.mark.parametrize(("path", "transport", "mode", "version"), WAYS)
async def test_b10_the_real_client_uses_the_real_server_through_the_prefix(
    start: Start,
    server: str,
    client: mcp_peer.Client,
    path: str,
    transport: str,
    mode: str,
    version: str,
    key: str,
) -> None:
    """In each of its modes, progress notifications and the end of the session included; with a page's Origin."""
    sidecar = await before(start, server)
    address = f"{sidecar.egress}{key}/agents/tools{path}"
    origin = {"Origin": "http://app.example.org"} if key else {}  # a proxy's callers hand it on
    told = await client.uses(address, transport, mode, **origin)
    assert told["error"] is None, told
    assert (told["version"], told["tools"], told["sum"]) == (version, ["add", "whoami", "steps"], "21")
    assert (told["steps"], told["progress"]) == ("done", [[1.0, 3.0], [2.0, 3.0], [3.0, 3.0]])
    assert told["headers"]["host"] == server.removeprefix("http://")
    assert "origin" not in told["headers"]
    outcomes = {call["outcome"] for call in await sidecar.calls() if call["agent"] == "tools"}
    assert outcomes <= {"ok", "agent_refused", "caller_left"}, "its own streams are left by the client"


async def test_b10_a_base_path_is_taken_off_the_endpoint_again(
    start: Start, server: str, client: mcp_peer.Client
) -> None:
    """An app mounted at /p says /p/messages/: that is what the agent's URL puts in front anyway."""
    sidecar = await before(start, f"{server}/p")
    told = await client.uses(f"{sidecar.egress}/agents/tools/sse", "sse", "legacy")
    assert (told["error"], told["sum"]) == (None, "21")


async def test_b10_the_user_and_the_agents_credential_reach_the_server(
    start: Start, server: str, client: mcp_peer.Client
) -> None:
    sidecar = await before(start, server, AGENTS__TOOLS__AUTH="static", AGENTS__TOOLS__TOKEN="the-apps-own")
    ann = {"x_forwarded_email": "ann@example.org", "Authorization": "Bearer the-clients-own"}
    told = await client.uses(f"{sidecar.egress}/agents/tools/mcp", "http", "legacy", **ann)
    assert told["headers"]["x-app-user-email"] == "ann@example.org"
    assert told["headers"]["authorization"] == "Bearer the-apps-own"
    assert told["headers"]["mcp-protocol-version"] == "2025-11-25"


async def test_b10_the_real_process_serves_an_mcp_client(
    process: Started, server: str, client: mcp_peer.Client
) -> None:
    one = await (
        await process("serve", SIDECAR_AGENTS__TOOLS__URL=server, SIDECAR_AGENTS__TOOLS__KIND="mcp")
    ).ready()
    for path, transport, mode, _ in WAYS:
        told = await client.uses(f"{one.doors['egress']}/agents/tools{path}", transport, mode)
        assert (told["error"], told["sum"]) == (None, "21"), (path, mode)
