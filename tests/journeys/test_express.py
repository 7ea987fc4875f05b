"""A real Express app of the recipe's kind: its handler through the egress door, and the same files without us."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys import hook, node
from journeys.browser import chromium
from journeys.conftest import Start
from journeys.process import starting
from needs import need

from sidecar import sim

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.user-token.sig_-~+/="
USER = {"x-forwarded-access-token": TOKEN, "x-forwarded-email": "ada@example.org", "x-forwarded-user": "ada"}
OURS = {"AGENTS__DEFAULT__AUTH": "static", "AGENTS__DEFAULT__TOKEN": "the-apps-own"}
SSE = {"AGENTS__DEFAULT__STREAM_DEFAULT": "sse"}  # its handler never says `stream`

Chat = Callable[..., Awaitable[aiohttp.ClientResponse]]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("node")
    return node.app("express", tmp_path_factory.mktemp("frontend"))


class Express:
    """One that runs, and a browser's way to it."""

    def __init__(self, url: str, process: asyncio.subprocess.Process, http: aiohttp.ClientSession) -> None:
        self.url, self.process, self.http = url, process, http

    async def chat(self, body: Any, **headers: str) -> aiohttp.ClientResponse:
        return await self.http.post(f"{self.url}/api/chat", json=body, headers=headers)


Served = Callable[..., Awaitable[Express]]


@pytest.fixture
async def express(files: Path) -> AsyncIterator[Served]:
    """`await express(AGENT_APP_URL=…)`: the app, started with these variables."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))

        async def served(*command: str, there: Path = files, **environ: str) -> Express:
            running = node.running(there, *(command or ("node", "server.js")), **environ)
            url, process = await stack.enter_async_context(running)
            return Express(url, process, http)

        yield served


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same app with its answer piped as the recipe prints it, not as we would."""
    need("node")
    there = node.app("express", tmp_path_factory.mktemp("published"))
    handler = there / "agent-proxy.js"
    ours = "pipeline(Readable.fromWeb(upstream.body), res, () => {});"
    assert ours in handler.read_text()
    handler.write_text(handler.read_text().replace(ours, "Readable.fromWeb(upstream.body).pipe(res);"))
    return there


# --- beside the sidecar -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", f"/~{KEY}"], ids=["no key", "key"])
async def test_h09_the_agent_sees_the_apps_bearer_and_for_whom_it_calls(
    start: Start, express: Served, agent: sim.Agent, key: str
) -> None:
    guarded = {"EGRESS_KEY": "required", "EGRESS_SECRET": KEY} if key else {}
    sidecar = await start(agent.url, **OURS, **SSE, **guarded)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}{key}/agents/default")
    answer = await app.chat(hook.asks("hello there"), **USER)
    assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]
    seen = agent.last.headers
    assert seen.getall("Authorization") == ["Bearer the-apps-own"]
    assert seen.getall("x-forwarded-access-token") == [TOKEN]
    assert seen.getall("x-app-user-email") == ["ada@example.org"]
    assert "x-forwarded-user" not in seen


async def test_h09_so_it_is_with_the_handler_as_it_is_published(
    start: Start, express: Served, agent: sim.Agent, published: Path
) -> None:
    sidecar = await start(agent.url, **OURS, **SSE)
    app = await express(there=published, AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    answer = await app.chat(hook.asks("hello there"), **USER)
    assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]
    assert agent.last.headers["Authorization"] == "Bearer the-apps-own"
    assert agent.last.headers["x-forwarded-access-token"] == TOKEN
    assert agent.last.headers["x-app-user-email"] == "ada@example.org"


async def test_a_bearer_of_the_apps_own_is_replaced_by_the_one_that_is_kept_fresh(
    start: Start, express: Served, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **OURS)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default/", DATABRICKS_TOKEN="stale")
    await app.chat(hook.asks("hello"))
    assert agent.last.headers.getall("Authorization") == ["Bearer the-apps-own"]


async def test_without_the_key_that_is_required_the_app_hears_what_is_missing(
    start: Start, express: Served, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, EGRESS_KEY="required", EGRESS_SECRET=KEY)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    answer = await app.chat(hook.asks("hello"))
    assert (answer.status, json.loads(await answer.text())["error"]) == (403, "egress_key_required")
    assert len(agent.visits) == 0


async def test_text_is_shown_as_the_agent_tells_it_and_who_leaves_closes_the_agent(
    start: Start, express: Served, plain: sim.Agent
) -> None:
    sidecar = await start(plain.url, **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    asking = asyncio.create_task(app.chat(hook.asks("step by step")))
    asked = await plain.called()
    asked.release()
    answer = await asking
    async with aclosing(hook.shows(answer)) as shown:
        for piece in ("You ", "said: ", "step "):
            assert await anext(shown) == piece
            asked.release()
    answer.close()
    await plain.left()


async def test_an_agent_that_dies_inside_a_frame_takes_neither_the_app_nor_the_next_caller_along(
    start: Start, express: Served, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    broken = await app.chat(hook.asks("die mid-frame"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await broken.read()
    assert await hook.shown(await app.chat(hook.asks("hello")))


@pytest.mark.parametrize(("words", "status"), [("status 429", 429), ("status 503", 503), ("forbidden", 403)])
async def test_an_agents_refusal_reaches_the_page_with_its_status(
    start: Start, express: Served, agent: sim.Agent, words: str, status: int
) -> None:
    sidecar = await start(agent.url, **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    assert (await app.chat(hook.asks(words))).status == status


@pytest.mark.peer
@pytest.mark.parametrize("mode", ["responses", "plain"])
async def test_real_agents_of_both_kinds_show_text_in_it(
    start: Start, express: Served, mlflow_servers: dict[str, str], mode: str
) -> None:
    sidecar = await start(mlflow_servers[mode], **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    answer = await app.chat(hook.asks("hello there"))
    assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]


# --- its page ---------------------------------------------------------------------------------------------

SHOWN = """
import { ask } from "./public/agent-chat.js";
const [url, text] = process.argv.slice(1);
const shown = [];
try {
  for await (const piece of ask([{ role: "user", content: text }], `${url}/api/chat`)) shown.push(piece);
} catch (error) {
  shown.push(error);
}
console.log(JSON.stringify(shown.map(String)));
"""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("hello there", ["You ", "said: ", "hello ", "there"]),
        ("completed split", ["You ", "said: ", "completed ", "split"]),
        ("fail mid-stream", ["You ", "said: ", "Error: The model endpoint did not answer."]),
        (
            "truncate mid-stream",
            ["You ", "said: ", "Error: The agent's answer ended without its closing mark."],
        ),
        ("status 429", ["Error: HTTP 429"]),
    ],
)
async def test_its_pages_code_reads_the_answer(
    start: Start, express: Served, files: Path, agent: sim.Agent, words: str, shown: list[str]
) -> None:
    sidecar = await start(agent.url, **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    assert json.loads(await node.printed(files, SHOWN, app.url, words)) == shown


@pytest.mark.browser
async def test_a_person_reads_the_answer_in_its_page(start: Start, express: Served, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, **SSE)
    app = await express(AGENT_APP_URL=f"{sidecar.egress}/agents/default")
    async with chromium() as (_, page):
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(app.url)
        for text in ("hello there", "and again"):
            await page.get_by_role("textbox", name="Message").fill(text)
            await page.get_by_role("button", name="Send").click()
            await page.get_by_text(f"You said: {text}", exact=True).wait_for()
        assert complaints == []
    turns = agent.last.value["input"]  # the whole history, told as this agent takes it
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]


# --- without us -------------------------------------------------------------------------------------------


async def test_the_same_files_run_straight_against_the_agent(express: Served, plain: sim.Agent) -> None:
    app = await express(AGENT_APP_URL=plain.url, DATABRICKS_TOKEN="the-apps-own")
    answer = await app.chat(hook.asks("hello there"), **USER)
    seen = plain.last.headers
    assert seen["Authorization"] == "Bearer the-apps-own"
    assert (seen["x-forwarded-access-token"], seen["x-app-user-email"]) == (TOKEN, "ada@example.org")
    # and this is what the sidecar is for: it asked for no stream, so what it calls one is a single JSON document
    assert json.loads(await answer.text())["choices"][0]["message"]["content"] == "You said: hello there"
    assert await hook.shown(answer) == []


async def test_straight_against_an_agent_that_takes_input_only_its_page_shows_nothing(
    express: Served, agent: sim.Agent
) -> None:
    app = await express(AGENT_APP_URL=agent.url)
    assert (await app.chat(hook.asks("hello"))).status == 400


async def test_b02_the_handler_itself_refuses_what_is_no_chat_and_a_missing_address(
    express: Served, agent: sim.Agent
) -> None:
    app = await express(AGENT_APP_URL=agent.url)
    answer = await app.chat({"prompt": "hello"})
    assert (answer.status, await answer.json()) == (
        400,
        {"error": "invalid_body_shape", "accepted": ["input", "messages"]},
    )
    unset = await express()
    answer = await unset.chat(hook.asks("hello"))
    assert (answer.status, await answer.json()) == (500, {"error": "AGENT_APP_URL is not configured"})
    assert len(agent.visits) == 0


# --- both, as the platform starts them --------------------------------------------------------------------


# --- as a Databricks app ----------------------------------------------------------------------------------


async def test_app_yaml_puts_the_sidecar_before_the_app(files: Path, agent: sim.Agent) -> None:
    said = (files / "app.yaml").read_text()
    (line,) = re.findall(r"^command: \[\"sidecar\", (\[?.*)\]$", said, re.MULTILINE)
    fixed = dict(re.findall(r'- name: (\w+)\n\s+value: "(.*)"', said))
    async with starting(files) as started, aiohttp.ClientSession() as http:
        sidecar = await started(
            *json.loads(f"[{line}]"),
            AGENT_APP_URL=agent.url,
            SIDECAR_TRUST="127.0.0.1",
            **{f"SIDECAR_{name}": value for name, value in OURS.items()},
            **fixed,
        )
        await sidecar.ready()
        async with asyncio.timeout(20):
            while True:
                answer = await http.get(sidecar.doors["front"])
                if answer.status != 503:  # the app is starting
                    break
                await asyncio.sleep(0.05)
        assert "<form" in await answer.text()
        asked = hook.asks("hello there")
        answer = await http.post(f"{sidecar.doors['front']}/api/chat", json=asked, headers=USER)
        assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]
        assert agent.last.headers["Authorization"] == "Bearer the-apps-own"
        assert agent.last.headers["x-app-user-email"] == "ada@example.org"
        async with http.post(f"{sidecar.doors['egress']}/invocations", json={}) as stranger:
            assert stranger.status == 403  # who has no key spends nothing
        sidecar.signal(signal.SIGTERM)
        await sidecar.ended(within=12)
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(sidecar.doors["front"])
