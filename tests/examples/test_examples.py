"""Each example as it lies there: straight at an agent, and beside the sidecar by the one line of its app.yaml."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trial
from journeys import hook
from journeys.browser import chromium
from needs import ROOT, need
from playwright.async_api import Page, expect

from sidecar import sim

pytestmark = pytest.mark.examples

TOKEN = "eyJhbGciOiJSUzI1NiJ9.user-token.sig_-~+/="
USER = {"x-forwarded-access-token": TOKEN, "x-forwarded-email": "ada@example.org", "x-forwarded-user": "ada"}
SIDECAR = {
    "SIDECAR_EGRESS_PORT": "0",
    "SIDECAR_ADMIN_PORT": "0",
    "SIDECAR_TRUST": "127.0.0.1",
    "SIDECAR_AGENTS__DEFAULT__AUTH": "static",
    "SIDECAR_AGENTS__DEFAULT__TOKEN": "the-apps-own",
}
ROUTED = ["appkit", "fastapi", "flask", "http-proxy", "vite"]  # with an /api/chat of their own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class App:
    """An example that runs: where its page is, the agent behind it, and what it printed."""

    def __init__(self, url: str, agent: sim.Agent, process: asyncio.subprocess.Process) -> None:
        self.url, self.agent, self.process = url, agent, process

    @property
    def seen(self) -> dict[str, str]:
        """Who the agent was told that it works for, and who asked."""
        named = {name.lower(): value for name, value in self.agent.last.headers.items()}
        return {name: named[name] for name in ("authorization", "x-app-user-email", *USER) if name in named}


async def up(url: str) -> None:
    """Until the app's page is there."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running(name: str, *, straight: bool) -> AsyncIterator[App]:
    """The example, with its own files and its own command; without `sidecar run --` where it goes straight."""
    environ = trial.prepared(name)
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(sim.agent())
        workspace = await stack.enter_async_context(sim.workspace())
        command, port = trial.command(name), free_port()
        environ |= {"AGENT_APP_URL": agent.url, "NODE_ENV": "production"}
        if name == "appkit":  # does not start without its service principal
            environ |= workspace.environment
        if straight:
            command = command[command.index("--") + 1 :]
            ports = (*trial.PORTS, "DATABRICKS_APP_PORT")
            environ |= dict.fromkeys(ports, str(port)) | {"FLASK_RUN_HOST": "127.0.0.1"}
        else:
            environ |= SIDECAR | {"SIDECAR_PORT": str(port)}
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT / "examples" / name, env=environ, start_new_session=True
        )
        try:
            await up(f"http://127.0.0.1:{port}/")
            yield App(f"http://127.0.0.1:{port}", agent, process)
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 15)


@pytest.fixture(params=[True, False], ids=["straight", "beside the sidecar"])
def straight(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def asked(text: str) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": text}], "stream": True}


@pytest.mark.parametrize("name", ROUTED)
async def test_x07_a_chat_arrives_piece_by_piece_and_its_agent_knows_for_whom(
    name: str, straight: bool
) -> None:
    if name in ("appkit", "http-proxy", "vite"):
        need("npm")
    async with running(name, straight=straight) as app, aiohttp.ClientSession() as http:
        async with http.get(app.url) as page:
            assert "<form>" in await page.text()
        async with http.post(f"{app.url}/api/chat", json=asked("hello there"), headers=USER) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert await hook.shown(answer) == ["You ", "said: ", "hello ", "there"]
    assert app.agent.runs == 1
    if not straight:
        assert app.seen == {
            "authorization": "Bearer the-apps-own",
            "x-app-user-email": "ada@example.org",
            "x-forwarded-access-token": TOKEN,
        }


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium() as window:
        yield window.page


async def test_x07_streamlit_talks_over_its_websocket_and_takes_a_file(page: Page, straight: bool) -> None:
    """S20"""
    await page.set_extra_http_headers(USER)
    async with running("streamlit", straight=straight) as app:
        await page.goto(app.url)
        chooser = page.locator("input[type=file]")
        await chooser.set_input_files(
            [{"name": "words.txt", "mimeType": "text/plain", "buffer": b"x" * 1_000_000}]
        )
        # Streamlit stops what it is doing when a file has come: who asks before that may get no answer.
        await expect(page.get_by_text("words.txt is here: 1000000 bytes")).to_be_visible(timeout=20_000)
        await page.get_by_placeholder("Question").fill("hello there")
        await page.keyboard.press("Enter")
        told = page.get_by_test_id("stChatMessage").nth(1)
        await expect(told).to_contain_text("hello there", timeout=20_000)
        await expect(told).to_contain_text("1000000 bytes came along")
    if not straight:
        assert app.seen["authorization"] == "Bearer the-apps-own"
        assert (app.seen["x-app-user-email"], app.seen["x-forwarded-access-token"]) == (
            "ada@example.org",
            TOKEN,
        )


async def test_x07_gradio_talks_and_takes_a_file(page: Page, straight: bool) -> None:
    await page.set_extra_http_headers(USER)
    async with running("gradio", straight=straight) as app:
        await page.goto(app.url)
        box = page.get_by_role("textbox").first
        await expect(box).to_be_visible(timeout=30_000)
        await page.locator("input[type=file]").first.set_input_files(
            [{"name": "words.txt", "mimeType": "text/plain", "buffer": b"x" * 1_000_000}]
        )
        await expect(page.get_by_role("listitem", name="File thumbnail")).to_be_visible(timeout=20_000)
        await box.fill("hello there")
        await page.get_by_role("button", name="Submit").click()
        told = page.get_by_test_id("bot").last
        await expect(told).to_contain_text("hello there", timeout=20_000)
        await expect(told).to_contain_text("1000000 bytes came along", timeout=20_000)
    if not straight:
        assert app.seen["authorization"] == "Bearer the-apps-own"
        assert (app.seen["x-app-user-email"], app.seen["x-forwarded-access-token"]) == (
            "ada@example.org",
            TOKEN,
        )
