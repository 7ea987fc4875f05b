"""The real A2A SDKs: servers behind the sidecar and clients in front of it, through its prefix. B10, B12, 8.2."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from journeys import hook
from journeys.conftest import Running, Start, said
from needs import need
from peers import a2a_peer
from peers.frames import events
from peers.running import OpenAI

from middleware.dialects.a2a import again
from sidecar import sim

pytestmark = pytest.mark.peer

ENVIRONMENTS = {
    "1.0": ("peers-a2a", "a2a_server.py", "a2a_client.py"),
    "0.3": ("peers-a2a-0.3", "a2a_old_server.py", "a2a_old_client.py"),
}
both = pytest.mark.parametrize("version", list(ENVIRONMENTS))
streamed = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """version → URL."""
    new, old = (
        a2a_peer.server(need(where), script, tmp_path_factory.mktemp("a2a"))
        for where, script, _ in ENVIRONMENTS.values()
    )
    with new as one, old as other:
        yield {"1.0": one, "0.3": other}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, a2a_peer.Client]]:
    """version → client."""
    new, old = (
        a2a_peer.client(need(where), script, tmp_path_factory.mktemp("a2a"))
        for where, _, script in ENVIRONMENTS.values()
    )
    with new as one, old as other:
        yield {"1.0": one, "0.3": other}


async def before(start: Start, url: str, **given: str) -> Running:
    return await start(url, {"SIDECAR_AGENTS__DEFAULT__KIND": "a2a"}, **given)


def text(answer: Any) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", []))


# --- a chat with a real server -----------------------------------------------------------------------------


@both
async def test_a_chat_is_streamed_from_a_real_server_and_whole_from_it(
    start: Start, servers: dict[str, str], version: str
) -> None:
    sidecar = await before(start, servers[version])
    assert await hook.shown(await sidecar.chat(said("hello"))) == ["Echo:", " hello"]
    whole = await sidecar.chat(said("hello", stream=False))
    assert text(await whole.json()) == "Echo: hello"
    assert "".join(await hook.shown(await sidecar.chat(said("message")))) == "Echo: message"


@both
async def test_a_real_servers_question_is_answered_in_its_task(
    start: Start, servers: dict[str, str], version: str
) -> None:
    sidecar = await before(start, servers[version])
    asked = {"messages": [{"role": "user", "content": "ask"}], "conversation_id": f"one-{version}"}
    shown = "".join(await hook.shown(await sidecar.chat(asked)))
    assert shown == "Which city?"
    turns = [*asked["messages"], {"role": "assistant", "content": shown}, {"role": "user", "content": "Bern"}]
    assert "".join(await hook.shown(await sidecar.chat({"messages": turns}))) == "Echo: Bern"


@both
async def test_what_a_real_server_raises_ends_the_chat_with_an_error(
    start: Start, servers: dict[str, str], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8.2: today's says so in the stream; 0.3's drops the connection, and on a new one nothing ever comes."""
    monkeypatch.setattr(again, "QUIET", 0.1)
    monkeypatch.setattr(again, "LONGEST", 0.1)
    sidecar = await before(start, servers[version])
    async with asyncio.timeout(30):
        told = events(await (await sidecar.chat(said("raise"))).read())
    assert (told[-1]["type"], told[-1]["code"]) == (
        "error", "agent_error" if version == "1.0" else "agent_broke_off"
    )  # fmt: skip


@both
async def test_who_leaves_has_the_real_servers_task_canceled(
    start: Start, servers: dict[str, str], version: str
) -> None:
    sidecar = await before(start, servers[version])
    answer = await sidecar.chat(said("hang"))
    await answer.content.readuntil(b"Echo:")
    answer.close()
    async with asyncio.timeout(5):
        await sidecar.app.edge.idle.wait()
    call = (await sidecar.calls())[0]
    assert (call["outcome"], call["attempts"]) == ("caller_left", 3)  # card, question, cancel


@both
async def test_the_openai_client_hears_a_real_agent_whole_and_in_pieces(
    start: Start, servers: dict[str, str], openai_client: OpenAI, version: str
) -> None:
    """It reads every event into types of its own: thoughts, messages, and how they end."""
    sidecar = await before(start, servers[version])
    told, error = await openai_client.asks(sidecar.egress, "hello", stream=True)
    assert error is None
    assert [event["delta"] for event in told if event["type"] == "response.output_text.delta"] == [
        "Echo:",
        " hello",
    ]
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["reasoning", "message"]
    whole, error = await openai_client.asks(sidecar.egress, "ask")
    assert (error, text(whole[0])) == (None, "Which city?")
    assert whole[0]["incomplete_details"] == {"reason": "input_required"}


# --- a real client through the prefix ----------------------------------------------------------------------


@both
@streamed
async def test_b10_a_real_client_finds_a_real_agent_and_talks_to_it_through_the_sidecar(
    start: Start, servers: dict[str, str], clients: dict[str, a2a_peer.Client], version: str, stream: bool
) -> None:
    sidecar = await before(start, servers[version])
    for prefix in ("/api/agents/default", "/agents/default"):
        used = await clients[version].uses(sidecar.egress + prefix, "hello", stream=stream)
        assert used["error"] is None
        assert "".join(used["texts"]) == "Echo: hello"
        assert (used["states"][-1] if stream else used["known"]).lower().endswith("completed")
        assert servers[version] not in str(used["card"])


async def test_b10_the_client_of_0_3_talks_to_todays_server_that_understands_it(
    start: Start, servers: dict[str, str], clients: dict[str, a2a_peer.Client]
) -> None:
    """Today's card has no `url`, so that client does not find it; where it is told the way, the bytes pass."""
    sidecar = await before(start, servers["1.0"])
    message = {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
    asked = {"jsonrpc": "2.0", "id": 7, "method": "message/send", "params": {"message": message}}
    answer = await (await sidecar.call(asked, "/api/agents/default")).json()
    assert (answer["id"], answer["result"]["status"]["state"]) == (7, "completed")


@both
@streamed
async def test_b10_a_real_client_talks_to_an_agent_that_does_not_speak_a2a(
    start: Start, clients: dict[str, a2a_peer.Client], version: str, stream: bool
) -> None:
    async with sim.agent() as agent:
        sidecar = await start(agent.url)
        used = await clients[version].uses(sidecar.egress + "/api/agents/default", "hello", stream=stream)
        assert used["error"] is None
        assert "".join(used["texts"]) == "You said: hello"


async def test_b10_todays_client_speaks_http_json_through_the_prefix(
    start: Start, servers: dict[str, str], clients: dict[str, a2a_peer.Client]
) -> None:
    sidecar = await before(start, servers["1.0"])
    used = await clients["1.0"].uses(sidecar.egress + "/api/agents/default", "hello", binding="HTTP+JSON")
    assert (used["error"], "".join(used["texts"])) == (None, "Echo: hello")


async def test_an_extended_card_leads_to_the_sidecar_as_well(
    start: Start, servers: dict[str, str], clients: dict[str, a2a_peer.Client]
) -> None:
    sidecar = await before(start, servers["1.0"])
    used = await clients["1.0"].uses(sidecar.egress + "/api/agents/default", "hello")
    assert used["extended"]["name"] == "Echo"
    assert servers["1.0"] not in str(used["extended"])


# --- the stand-in ------------------------------------------------------------------------------------------


# What an agent may add, and what the SDKs' own store adds: what was asked, when it was, which message it was.
LEFT_OUT = ("history", "timestamp", "metadata", "messageId", "taskId", "lastChunk", "data")
TELLING = ("kind", "state", "role", "final", "code", "jsonrpc", "append", "id", "text")


def shape(value: Any, of: str = "") -> Any:
    """What is there: every name, and of those that say what something is, the value. What is empty is not there."""
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if name not in LEFT_OUT}
        if "error" in value:
            kept["error"] = {"code": value["error"]["code"]}
        there = {
            name: part for name, part in kept.items() if name == "final" or part not in (False, [], None)
        }
        return {name: shape(part, name) for name, part in sorted(there.items())}
    if isinstance(value, list | tuple):
        return [shape(part) for part in value]
    return value if of in TELLING and not (of == "id" and isinstance(value, str)) else type(value).__name__


ASKED = ["send", "stream", "get", "cancel", "unknown", "wrong"]


async def exchanged(url: str, version: str) -> dict[str, Any]:
    """What an agent answers to the same questions, by what was asked."""
    new = version == "1.0"
    words = ("SendMessage", "SendStreamingMessage", "GetTask", "CancelTask") if new else (
        "message/send", "message/stream", "tasks/get", "tasks/cancel")  # fmt: skip
    parts = [{"text": "hello"}] if new else [{"kind": "text", "text": "hello"}]
    message = {"message": {"messageId": "m", "role": "ROLE_USER" if new else "user", "parts": parts}}
    headers = {"A2A-Version": "1.0"} if new else {}
    told: dict[str, Any] = {}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def asks(name: str, method: str, params: Any) -> Any:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            async with http.post(f"{url}/rpc", json=body) as answer:
                told[name] = (answer.status, answer.content_type, values := values_of(await answer.read()))
            return values[0]

        first = await asks("send", words[0], message)
        task = first["result"]["task"] if new else first["result"]
        await asks("stream", words[1], message)
        await asks("get", words[2], {"id": task["id"]})
        await asks("cancel", words[3], {"id": task["id"]})
        await asks("unknown", "no/such", {})
        await asks("wrong", words[2], {"id": "nobody's"})
    return told


def values_of(raw: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in raw.split(b"\r\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines or [raw]]


@both
async def test_the_stand_in_answers_in_the_form_of_the_real_server(
    servers: dict[str, str], version: str
) -> None:
    real = await exchanged(servers[version], version)
    async with sim.a2a(version) as agent:
        ours = await exchanged(agent.url, version)
    for name in ASKED:
        assert ours[name][:2] == real[name][:2], name
        assert shape(ours[name][2]) == shape(real[name][2]), name
