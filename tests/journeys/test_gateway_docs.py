"""The page of routes in a real browser: nothing of it comes from elsewhere, and what it offers to try works."""

import pytest
from journeys.browser import chromium
from journeys.conftest import FREE, Running, client
from playwright.async_api import expect

from sidecar import settings, sim
from sidecar.app import Sidecar

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ADA = "ada@example.org"


@pytest.mark.parametrize("keyed", [False, True])
async def test_routes_are_listed_and_tried_with_a_bearer(keyed: bool) -> None:
    key = "0123456789abcdef0123456789abcdef"
    async with sim.workspace() as workspace, sim.agent() as agent, chromium() as window, client() as http:
        workspace.catalog.connect("echo-a2a", {"host": "https://e.example.org", "base_path": "/c"}, owner=ADA)
        given = {"AGENT_APP_URL": agent.url, "SIDECAR_UC_DISCOVERY": "on", "DATABRICKS_HOST": workspace.url}
        app = Sidecar(
            settings.load(
                FREE | given | {"SIDECAR_AGENTS__DEFAULT__AUTH": "none", "SIDECAR_EGRESS_SECRET": key}
            )
        )
        await app.start()
        try:
            sidecar, page = Running(app, http), window.page
            base = sidecar.egress + (f"/~{key}" if keyed else "")
            complaints, strangers = [], []
            page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "request", lambda asked: asked.url.startswith((base, "data:")) or strangers.append(asked.url)
            )
            await page.goto(f"{base}/docs")
            await expect(page.locator("main[aria-busy=false]")).to_be_visible()
            assert await page.locator("details").count() > 12

            await page.get_by_label("Bearer").fill(workspace.user(ADA))
            listing = page.locator("details").filter(has=page.get_by_text("/api/agents", exact=True))
            await listing.locator("summary").click()
            await listing.get_by_role("button", name="Try").click()
            answer = listing.get_by_role("log", name="answer")
            await expect(answer).to_contain_text('"echo-a2a"')
            await expect(answer).to_contain_text(f"{base}/api/agents/echo/.well-known/agent-card.json")

            chat = page.locator("details").filter(has=page.get_by_text("/api/chat/{agent}", exact=True))
            await chat.locator("summary").click()
            await chat.get_by_role("textbox", name="agent").fill("default")
            await chat.get_by_role("button", name="Try").click()
            await expect(chat.get_by_role("log", name="answer")).to_contain_text("200 application/json")
            assert (complaints, strangers) == ([], [])
        finally:
            await app.stack.aclose()
