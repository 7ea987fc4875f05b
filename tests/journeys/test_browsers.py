"""What a page of another site can do with a real browser on this machine: nothing. H20 and its kin."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from journeys.browser import Window, chromium
from journeys.conftest import FREE, Running, Start, client, said
from playwright.async_api import Page

from sidecar import settings, sim
from sidecar.app import Sidecar
from sidecar.sim.serving import serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
shared = pytest_asyncio.fixture(loop_scope="session")  # what holds the browser lives on its loop

ATTACK = Path(__file__).with_name("attack.js").read_text(encoding="utf-8")
EVIL = f'<!doctype html><link rel="icon" href="data:,"><title>Evil</title><body><script>{ATTACK}</script>'
EGRESS = ["/agents/default/invocations", "/responses", "/api/chat", "/agents/default/health"]
ADMIN = ["/calls", "/metrics", "/agents", "/readyz", "/"]
OURS = {"AGENTS__DEFAULT__AUTH": "static", "AGENTS__DEFAULT__TOKEN": "the-apps-own"}


async def evil(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=EVIL, content_type="text/html")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def window() -> AsyncIterator[Window]:
    async with chromium("--host-resolver-rules=MAP *.example 127.0.0.1") as opened:
        yield opened


@shared
async def agent() -> AsyncIterator[sim.Agent]:
    async with sim.agent() as one:
        yield one


@shared
async def site() -> AsyncIterator[str]:
    """The port of a site of somebody else's on this machine; every host name of it leads there."""

    async with serving(evil) as port:
        yield port.url.rpartition(":")[2]


@shared
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def started(agent: str, **given: str) -> Running:
            named = {f"SIDECAR_{name}": value for name, value in (OURS | given).items()}
            app = Sidecar(settings.load(FREE | {"AGENT_APP_URL": agent} | named))
            await app.start()
            stack.push_async_callback(app.stack.aclose)
            return Running(app, await stack.enter_async_context(client()))

        yield started


DOORS = {"front": ["/api/chat", "/"], "egress": EGRESS, "admin": ADMIN}


async def attacked(page: Page, door: str, paths: list[str]) -> list[list[Any]]:
    """[how, path, what the page could see of it], for everything that it can try."""
    return await page.evaluate("([door, paths]) => attack(door, paths)", [door, paths])


async def refused(sidecar: Running) -> float:
    return await sidecar.metric("sidecar_requests_total", outcome="refused_input")


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_h20_a_page_of_another_origin_reaches_no_agent_and_reads_nothing(
    window: Window, start: Start, agent: sim.Agent, site: str, host: str
) -> None:
    sidecar = await start(agent.url, PAGE="on")
    home = f"http://{host}:{site}"
    await window.page.goto(home)
    assert {what for _, _, what in await attacked(window.page, home, ["/"])} > {"nothing", "loaded"}
    tried = [
        (door, *one)
        for door, paths in DOORS.items()
        for one in await attacked(window.page, getattr(sidecar, door), paths)
    ]
    assert [one for one in tried if one[-1] != "nothing"] == []
    assert len(agent.visits) == 0
    async with asyncio.timeout(5):  # they come as far as the door, as far as the browser lets them
        while await refused(sidecar) < len(tried) / 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("door", "port"), [("front", "PORT"), ("egress", "EGRESS_PORT"), ("admin", "ADMIN_PORT")]
)
async def test_h20_a_name_that_was_rebound_to_this_machine_reaches_no_agent_and_is_told_so(
    window: Window, start: Start, agent: sim.Agent, door: str, port: str
) -> None:
    """The page was fetched while its name led elsewhere: to the browser, the door is the page's own origin."""
    async with serving(evil) as elsewhere:
        home = elsewhere.url.replace("127.0.0.1", "evil.example")
        await window.page.goto(home)
    await start(agent.url, **{port: home.rpartition(":")[2]})
    seen = {what for _, _, what in await attacked(window.page, home, DOORS[door])}
    codes = {code[1] for what in seen if (code := re.search(r'{"error":"(\w+)"', what))}
    assert codes - {"method_not_allowed"} == {"misdirected_host"}
    assert not [what for what in seen if what != "nothing" and '"error":' not in what]
    assert len(agent.visits) == 0


async def test_h20_a_link_on_another_site_shows_nothing_of_the_admin_door(
    window: Window, start: Start, agent: sim.Agent, site: str
) -> None:
    sidecar = await start(agent.url)
    await (await sidecar.chat(said("whispered"))).read()
    page = window.page
    for path in ("/calls", "/metrics", "/agents"):
        await page.goto(f"http://evil.example:{site}/")
        async with page.expect_navigation() as moved:
            await page.evaluate("where => { location = where }", sidecar.admin + path)
        answer = await moved.value
        assert answer is not None
        assert (answer.status, "cross_site" in await answer.text()) == (403, True)
        typed = await page.goto(sidecar.admin + path)  # by somebody who knows the address
        assert typed is not None
        assert typed.status == 200


ASKING = """async ([door, headers, credentials]) => {
  try {
    const answer = await fetch(door, {
      method: 'POST', headers: {'content-type': 'application/json', ...headers}, credentials,
      body: JSON.stringify({input: [{role: 'user', content: 'hello'}], stream: true}),
    });
    return [answer.status, answer.headers.get('x-request-id'), await answer.text()];
  } catch { return [0, null, '']; }
}"""


@pytest.mark.parametrize("door", ["front", "egress"])
async def test_h20_a_page_of_an_origin_in_the_settings_may_ask_and_read_and_no_other(
    window: Window, start: Start, agent: sim.Agent, site: str, door: str
) -> None:
    sidecar = await start(agent.url, ORIGINS=f"http://localhost:{site}")
    chat = getattr(sidecar, door) + "/api/chat"
    await window.page.goto(f"http://localhost:{site}/")
    status, request_id, text = await window.page.evaluate(ASKING, [chat, {}, "omit"])
    assert (status, "[DONE]" in text) == (200, True)
    assert (await sidecar.calls())[0]["request_id"] == request_id
    assert (await window.page.evaluate(ASKING, [chat, {}, "include"]))[0] == 0  # the answer is not for it
    for closed in ("x-forwarded-email", "X-Forwarded-Access-Token", "authorization", "x_app_user_email"):
        asked = await window.page.evaluate(ASKING, [chat, {closed: "eve@example.org"}, "omit"])
        assert asked == [0, None, ""]
    await window.page.goto(f"http://127.0.0.1:{site}/")
    assert (await window.page.evaluate(ASKING, [chat, {}, "omit"]))[0] == 0
    assert len(agent.visits) == 1
    assert not [name for visit in agent.visits for name in visit.headers if "forwarded" in name.lower()]
