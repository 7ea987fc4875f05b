"""An app that starts, is gone, hangs, restarts, or is asked while the process ends: what its callers are told."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from journeys import frontends
from journeys.browser import chromium
from journeys.conftest import Running, Start, client
from journeys.frontends import App
from journeys.process import Started
from wire.hostile import Peer, always, answering, serving
from yarl import URL

from sidecar import sim

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with frontends.app() as one:
        yield one


@pytest.fixture
async def beside(start: Start, agent: sim.Agent, app: App) -> Running:
    return await start(agent.url, FRONTEND_URL=app.url, ERRORS="full")


async def told(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    return answer.status, (await answer.json())["error"]


# --- starting ---------------------------------------------------------------------------------------------


async def test_while_the_app_starts_a_person_gets_a_page_that_waits_and_a_script_is_told_when_to_ask_again(
    beside: Running, app: App
) -> None:
    frontend = beside.app.frontend
    assert frontend is not None
    frontend.state = "starting"
    page = await beside.http.get(f"{beside.front}/", headers=BROWSER)
    assert (page.status, page.content_type, page.headers["Retry-After"]) == (503, "text/html", "1")
    assert 'http-equiv="refresh"' in await page.text()
    assert page.headers["Cache-Control"] == "no-store"
    for method, headers in (("GET", {}), ("POST", BROWSER), ("GET", BROWSER | {"Sec-Fetch-Mode": "cors"})):
        answer = await beside.http.request(method, f"{beside.front}/x", headers=headers)
        assert await told(answer) == (503, "frontend_starting")
        assert answer.headers["Retry-After"] == "1"
    assert len(app.asked) == 0
    frontend.state = "up"
    assert (await beside.http.get(f"{beside.front}/", headers=BROWSER)).status == 200


@pytest.mark.browser
async def test_that_page_opens_the_app_by_itself(beside: Running, app: App) -> None:
    frontend = beside.app.frontend
    assert frontend is not None
    frontend.state = "starting"
    async with chromium() as window:
        await window.page.goto(f"{beside.front}/deep?er=1")
        assert "starting" in await window.page.inner_text("h1")
        frontend.state = "up"
        await window.page.get_by_text("/deep?er=1").wait_for()  # the app says what it was asked


LATE = """
import http.server, os, pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.02)
class App(http.server.SimpleHTTPRequestHandler):
    pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""


async def test_what_sidecar_run_has_started_is_waited_for_and_then_asked(
    process: Started, agent: sim.Agent, tmp_path: Path
) -> None:
    one = await process("run", "--", sys.executable, "-c", LATE, AGENT_APP_URL=agent.url)
    front = (await one.ready()).doors["front"]
    async with client() as http:
        assert await told(await http.get(f"{front}/api/x")) == (503, "frontend_starting")
        page = await http.get(front, headers=BROWSER)
        assert (page.status, page.content_type) == (503, "text/html")
        assert "sidecar_frontend_up 0.0" in await (await http.get(f"{one.doors['admin']}/metrics")).text()
        (tmp_path / "go").touch()
        async with asyncio.timeout(10):
            while (page := await http.get(front, headers=BROWSER)).status == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert page.status == 200
        assert "Directory listing" in await page.text()
        assert "sidecar_frontend_up 1.0" in await (await http.get(f"{one.doors['admin']}/metrics")).text()
        one.signal(signal.SIGTERM)
        await one.ended(within=5)


# --- not there --------------------------------------------------------------------------------------------


async def test_an_app_that_is_not_there_is_told_with_cause_and_next_step(beside: Running, app: App) -> None:
    await app.port.close()
    answer = await beside.http.get(f"{beside.front}/")
    body = await answer.json()
    assert (answer.status, body["error"]) == (502, "frontend_unreachable")
    assert "refused" in body["detail"]
    assert "SIDECAR_FRONTEND_URL" in body["hint"]
    assert await beside.metric("sidecar_requests_total", outcome="frontend_unreachable") == 1
    assert (await beside.calls())[0]["outcome"] == "frontend_unreachable"
    await app.port.open()
    assert (await beside.http.get(f"{beside.front}/")).status == 200


async def readiness(sidecar: Running) -> tuple[int, list[str]]:
    async with sidecar.http.get(f"{sidecar.admin}/readyz") as answer:
        return answer.status, (await answer.json())["reasons"]


async def test_operators_are_told_that_it_is_not_there_and_the_start_does_not_wait_for_it(
    start: Start, agent: sim.Agent, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.behind.FRESH", 0.0)
    await app.port.close()
    sidecar = await start(agent.url, FRONTEND_URL=app.url)
    assert await readiness(sidecar) == (503, ["the app behind the front takes no connection"])
    assert await sidecar.metric("sidecar_frontend_up") == 0
    await app.port.open()
    assert await readiness(sidecar) == (200, [])
    assert await sidecar.metric("sidecar_frontend_up") == 1
    await app.port.close()
    assert await sidecar.metric("sidecar_frontend_up") == 0
    assert len(app.asked) == 0, "a look is a connection, and no request"


async def test_however_often_operators_ask_it_is_looked_at_once_a_second(
    start: Start, agent: sim.Agent
) -> None:
    async with serving(always(WHOLE)) as app:
        sidecar = await start(agent.url, FRONTEND_URL=app.url)
        answers = await asyncio.gather(*(readiness(sidecar) for _ in range(20)))
        assert answers == [(200, [])] * 20
        assert app.connections == 1
        await app.empty()


async def test_a_browser_learns_no_names_from_it(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, FRONTEND_URL="http://127.0.0.1:1")
    answer = await sidecar.http.get(f"{sidecar.front}/", headers=BROWSER)
    assert await answer.json() == {"error": "frontend_unreachable", "detail": "The app could not be reached."}


async def test_one_that_says_nothing_is_given_up_in_time(start: Start, agent: sim.Agent, app: App) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, FRONTEND_TIMEOUT="200ms", ERRORS="full")
    answer = await sidecar.http.get(f"{sidecar.front}/slow")
    assert await told(answer) == (504, "frontend_timeout")
    assert "SIDECAR_FRONTEND_TIMEOUT" in (await answer.json())["hint"]
    assert await sidecar.metric("sidecar_requests_total", outcome="frontend_timeout", route="frontend") == 1
    await asyncio.wait_for(app.left.wait(), 1)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
)
async def test_what_is_no_http_is_nobodys_answer(start: Start, agent: sim.Agent, answer: bytes) -> None:
    async with serving(answering(answer)) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url, ERRORS="full")
        refused = await sidecar.http.get(f"{sidecar.front}/")
        assert await told(refused) == (502, "frontend_broke_off")
        assert "HTTP does not allow" in (await refused.json())["detail"]


# --- callers who stop ---------------------------------------------------------------------------------------


async def test_d02_an_upload_that_stops_is_its_callers_fault(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, BODY_TIMEOUT="200ms")
    stop = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        await stop.wait()

    answer = await sidecar.http.put(f"{sidecar.front}/up", data=half())
    assert await told(answer) == (408, "body_timeout")
    assert await sidecar.metric("sidecar_requests_total", route="frontend", outcome="refused_input") == 1


async def test_d03_a_reader_who_stops_is_cut_and_the_app_left(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, WRITE_TIMEOUT="300ms")
    front = URL(sidecar.front)
    _, writer = await asyncio.open_connection(front.host, front.port, limit=1024)
    writer.write(f"GET /big?size={200 << 20} HTTP/1.1\r\nHost: {front.authority}\r\n\r\n".encode())
    relays = sidecar.app.relays
    assert relays is not None
    async with asyncio.timeout(5):
        while not relays.open:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await relays.idle.wait()
    assert await sidecar.metric("sidecar_requests_total", route="frontend", outcome="caller_stalled") == 1
    writer.close()


# --- connections that have died ----------------------------------------------------------------------------


async def once_then_gone(peer: Peer) -> None:
    """Answers, keeps the connection, and closes it as soon as it is asked again."""
    if await peer.asked():
        await peer.send(WHOLE)
        await peer.asked()
        peer.abort()


@pytest.mark.parametrize(
    ("method", "body", "again"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("GET", b"x", False),
        ("POST", b"x", False),
        ("DELETE", None, False),
    ],
)
async def test_what_only_reads_is_asked_once_more_where_a_kept_connection_had_died(
    start: Start, agent: sim.Agent, method: str, body: bytes | None, again: bool
) -> None:
    async with serving(once_then_gone) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url)
        await (await sidecar.http.get(f"{sidecar.front}/first")).read()
        answer = await sidecar.http.request(method, f"{sidecar.front}/second", data=body)
        asked = [request for request in raw.requests if b"/second" in request]
        assert (answer.status, len(asked)) == ((200, 2) if again else (502, 1))
        failed = {"agent": "none", "result": "frontend_broke_off"}
        assert await sidecar.metric("sidecar_upstream_attempts_total", **failed) == 1
        assert (
            await sidecar.metric("sidecar_upstream_attempts_total", agent="none", result="answered")
            == 1 + again
        )


async def test_and_no_third_time(start: Start, agent: sim.Agent) -> None:
    async def worse(peer: Peer) -> None:
        if peer.server.connections == 1:
            await once_then_gone(peer)
        else:
            await peer.asked()

    async with serving(worse) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url)
        await (await sidecar.http.get(f"{sidecar.front}/")).read()
        answer = await sidecar.http.get(f"{sidecar.front}/second")
        assert await told(answer) == (502, "frontend_broke_off")
        assert len([request for request in raw.requests if b"/second" in request]) == 2


# --- the end ------------------------------------------------------------------------------------------------


async def test_at_the_end_an_event_stream_gets_its_last_word_between_two_frames(
    beside: Running, app: App
) -> None:
    answer = await beside.http.get(f"{beside.front}/steps")
    app.steps.put_nowait(b"data: one\n\n")
    assert await answer.content.readany() == b"data: one\n\n"
    assert beside.app.relays is not None
    beside.app.relays.drain()
    last = await answer.content.read()
    assert last.startswith(b"event: error\ndata: {")
    assert b'"code":"draining"' in last
    assert last.endswith(b"}\n\n")
    await asyncio.wait_for(beside.app.relays.idle.wait(), 1)
    assert await beside.metric("sidecar_requests_total", route="frontend", outcome="draining") == 1


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_what_cannot_be_ended_with_a_word_is_left_to_the_app(
    beside: Running, app: App, kind: str
) -> None:
    answer = await beside.http.get(f"{beside.front}/steps?type={kind}")
    app.steps.put_nowait(b"data: a half")
    assert await answer.content.readany() == b"data: a half"
    assert beside.app.relays is not None
    beside.app.relays.drain()
    app.steps.put_nowait(b" and a whole\n\n")
    app.steps.put_nowait(None)
    assert await answer.content.read() == b" and a whole\n\n"


async def test_an_app_that_has_gone_before_us_is_told_as_the_end_of_the_service(
    beside: Running, app: App
) -> None:
    beside.app.lifetime.draining = True
    await app.port.close()
    answer = await beside.http.get(f"{beside.front}/")
    assert await told(answer) == (503, "draining")
    assert answer.headers["Retry-After"] == "5"


async def test_after_the_last_answer_nothing_is_open(beside: Running, app: App) -> None:
    async with client() as http:
        for path in ("/stream", "/cookies", "/x"):
            await (await http.get(f"{beside.front}{path}", auto_decompress=False)).read()
    assert beside.app.relays is not None
    await asyncio.wait_for(beside.app.relays.idle.wait(), 1)
    assert not beside.app.relays.open
    assert not beside.app.telemetry.open
