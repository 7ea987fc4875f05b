"""The front as a reverse proxy: the app behind it is asked as if nobody stood between, and answers so."""

import asyncio
import hashlib
import io
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from journeys import frontends
from journeys.conftest import HELLO, Running, Start
from journeys.frontends import SPOKEN, App
from journeys.test_identity import Answer, spoken
from wire.hostile import always, answering, serving
from yarl import URL

from policies.forwarded import MARK
from sidecar import sim

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with frontends.app() as one:
        yield one


@pytest.fixture
async def beside(start: Start, agent: sim.Agent, app: App) -> Running:
    """A sidecar between the app and a stand-in agent, with nothing else set."""
    return await start(agent.url, FRONTEND_URL=app.url)


@pytest.fixture
def free() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def asked(sidecar: Running, method: str, target: str, *lines: str, body: str = "") -> Answer:
    return await spoken(sidecar.front, method, target, *lines, body=body)


# --- as if nobody stood between -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"])
async def test_any_method_reaches_the_app(beside: Running, app: App, method: str) -> None:
    answer = await beside.http.request(method, f"{beside.front}/any/where")
    assert answer.status == 200
    assert (app.asked[-1]["method"], app.asked[-1]["target"]) == (method, "/any/where")


@pytest.mark.parametrize(
    "target",
    [
        *("/a%2Fb", "/a%25b", "/a%23%3Fb", "/%3b;x=1", "/caf%C3%A9", "/a//b", "//evil.example/x", "/@evil"),
        *(
            "/?",
            "/x?%zz",
            "/x?a=+&a=%26&&=",
            "/x?a=b?c=d",
            "/x?../..",
            "/%252e%252e/x",
            "/agents/default/health",
        ),
        *("/api/chat", "/health", "/_sidecar/page/page.js", "/invocations", "/~" + KEY + "/x"),
    ],
)
async def test_u02_u03_u04_path_and_query_reach_the_app_byte_for_byte(
    beside: Running, app: App, target: str
) -> None:
    assert (await asked(beside, "GET", target)).status == 200
    assert app.asked[-1]["target"] == target


async def test_u01_dot_segments_are_resolved_once_before_anybody_routes_them(
    beside: Running, app: App
) -> None:
    await asked(beside, "GET", "/a/../%2e%2e/b/./c")
    assert app.asked[-1]["target"] == "/b/c"


@pytest.mark.parametrize(
    "target", ["/a%5cb", "/a%00b", "/\\evil", "/a#b", "/%0d%0aX:1", "/..;/x", "http://evil.example/x", "*"]
)
async def test_u02_u05_u06_f19_f21_what_could_be_read_differently_reaches_nobody(
    beside: Running, app: App, target: str
) -> None:
    answer = await asked(beside, "OPTIONS" if target == "*" else "GET", target)
    assert (answer.status, len(app.asked)) == (400, 0)


@pytest.mark.parametrize("door", ["front", "egress", "admin"])
@pytest.mark.parametrize("target", ["evil.example:443", "/x", "[::1]:22"])
async def test_f20_no_tunnel_is_opened_to_anywhere(
    beside: Running, app: App, agent: sim.Agent, door: str, target: str
) -> None:
    where = URL(getattr(beside, door))
    reader, writer = await asyncio.open_connection(where.host, where.port)
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {where.authority}\r\n\r\n"
    writer.write(f"{head}GET /behind HTTP/1.1\r\nHost: {where.authority}\r\n\r\n".encode())
    answer = await reader.read()  # to its end: nothing that follows is read as a request
    writer.close()
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b'"error":"method_not_allowed"' in answer
    assert (len(app.asked), len(agent.visits)) == (0, 0)


async def test_f20_a_target_that_is_no_path_reaches_nobody(beside: Running, app: App) -> None:
    answer = await asked(beside, "GET", "evil.example:443")
    assert (answer.status, len(app.asked)) == (400, 0)


async def test_f19_an_absolute_target_with_its_own_host_is_asked_as_a_path(beside: Running, app: App) -> None:
    await asked(beside, "GET", f"{beside.front}/x?y")
    assert app.asked[-1]["target"] == "/x?y"


async def test_u12_a_front_that_leads_to_itself_notices(start: Start, agent: sim.Agent, free: int) -> None:
    sidecar = await start(agent.url, PORT=str(free), FRONTEND_URL=f"http://127.0.0.1:{free}", ERRORS="full")
    answer = await sidecar.http.get(f"{sidecar.front}/")
    assert answer.status == 508
    assert "SIDECAR_FRONTEND_URL" in (await answer.json())["hint"]


# --- bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["told", "chunked"])
async def test_an_upload_of_any_size_arrives_whole(beside: Running, app: App, length: str) -> None:
    piece = bytes(range(256)) * 1024

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield piece

    data = io.BytesIO(piece * 80) if length == "told" else pieces()  # 20 MiB: more than any limit on chats
    answer = await beside.http.put(f"{beside.front}/upload", data=data)
    seen = await answer.json()
    assert (seen["length"], seen["digest"]) == (80 << 18, hashlib.sha256(piece * 80).hexdigest())
    assert (app.header("Content-Length") is None) == (length == "chunked")


async def test_f25_a_body_goes_along_with_methods_that_seldom_have_one(beside: Running, app: App) -> None:
    for method in ("GET", "DELETE", "OPTIONS"):
        answer = await beside.http.request(method, f"{beside.front}/x", data=b"hello")
        assert (await answer.json())["length"] == 5
    await beside.http.post(f"{beside.front}/x")
    assert app.header("Content-Length") == "0"


async def test_f26_an_upload_that_waits_for_leave_gets_it(beside: Running, app: App) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(beside.front).port)
    head = f"PUT /x HTTP/1.1\r\nHost: {URL(beside.front).authority}\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Content-Length: 5\r\nConnection: close\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert b'"length": 5' in await reader.read()
    writer.close()
    assert app.header("Expect") is None


async def test_f26_any_other_expectation_is_refused(beside: Running, app: App) -> None:
    answer = await asked(beside, "PUT", "/x", "Expect: wonders", body="hello")
    assert (answer.status, answer.error, len(app.asked)) == (417, "unsupported_expectation", 0)


async def test_an_app_that_refuses_an_upload_early_is_heard(beside: Running) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    answer = await beside.http.post(f"{beside.front}/early", data=endless())
    assert (answer.status, await answer.text()) == (413, "too much")


# --- answers ------------------------------------------------------------------------------------------------


async def test_an_answer_comes_back_as_the_app_gave_it(beside: Running, app: App) -> None:
    direct = await beside.http.get(f"{app.url}/cookies", allow_redirects=False, auto_decompress=False)
    through = await beside.http.get(f"{beside.front}/cookies", allow_redirects=False, auto_decompress=False)
    hop = {"connection", "keep-alive", "x-request-id"}
    theirs, ours = (
        [pair for pair in answer.headers.items() if pair[0].lower() not in hop]
        for answer in (direct, through)
    )
    assert sorted(ours) == sorted(theirs)
    assert [pair for pair in ours if pair in SPOKEN] == SPOKEN
    assert await through.read() == b"\x00\xff"


async def test_a_head_request_is_told_what_the_app_says_and_no_body(beside: Running, app: App) -> None:
    through = await beside.http.head(f"{beside.front}/cookies", auto_decompress=False)
    assert (through.headers["Content-Length"], await through.read()) == ("2", b"")


async def test_f12_trailers_go_no_further(start: Start, agent: sim.Agent) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
    answer = head + b"2\r\nhi\r\n0\r\nX-Late: 1\r\n\r\n"
    async with serving(always(answer)) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url)
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(sidecar.front).port)
        host = f"Host: {URL(sidecar.front).authority}\r\nConnection: close\r\n"
        up = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Forwarded-Email: eve@example.org\r\n\r\n"
        writer.write(f"POST / HTTP/1.1\r\n{host}{up}".encode())
        told = await reader.read()
        writer.close()
        assert told.endswith(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        assert b"Late" not in told
        assert raw.requests[0].endswith(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        assert b"eve@example.org" not in raw.requests[0]


async def test_h19_bytes_that_are_no_utf8_pass_both_ways_as_they_are(start: Start, agent: sim.Agent) -> None:
    async with serving(always(b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nContent-Length: 0\r\n\r\n")) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url)
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(sidecar.front).port)
        host = f"Host: {URL(sidecar.front).authority}\r\nConnection: close\r\n"
        writer.write(f"GET / HTTP/1.1\r\n{host}X-Odd: ".encode() + b"na\xefve\r\n\r\n")
        assert b"X-Odd: caf\xe9\r\n" in await reader.read()
        assert b"X-Odd: na\xefve\r\n" in raw.requests[0]
        writer.close()


async def test_ranges_and_conditions_are_the_apps_affair(start: Start, agent: sim.Agent) -> None:
    part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Length: 2\r\n\r\ncd"
    same = b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 900\r\n\r\n'
    async with serving(answering(part, same)) as raw:
        sidecar = await start(agent.url, FRONTEND_URL=raw.url)
        answer = await spoken(sidecar.front, "GET", "/", "Range: bytes=2-3", "If-Range: x")
        assert (answer.status, answer.headers["Content-Range"], answer.body) == (206, "bytes 2-3/9", b"cd")
        kept = await spoken(sidecar.front, "HEAD", "/", 'If-None-Match: "x"')
        assert (kept.status, kept.headers["ETag"]) == (304, '"x"')
        assert b"Range: bytes=2-3\r\nIf-Range: x\r\n" in raw.requests[0]


# --- streams ------------------------------------------------------------------------------------------------


async def test_an_event_stream_comes_through_byte_by_byte_and_when_it_is_sent(
    beside: Running, app: App
) -> None:
    answer = await beside.http.get(f"{beside.front}/steps")
    for piece in (b"data: o", b"ne\r\n\r", b"\n", b": a comment\n\n", b"data: \xff\xfe\n\n"):
        app.steps.put_nowait(piece)
        assert await answer.content.readany() == piece  # before the next is sent
    app.steps.put_nowait(None)
    assert await answer.content.read() == b""


async def test_a_head_does_not_wait_for_its_body(beside: Running, app: App) -> None:
    answer = await beside.http.get(f"{beside.front}/steps?type=text/plain")
    assert answer.status == 200  # before the app has said a word
    app.steps.put_nowait(b"at last")
    app.steps.put_nowait(None)
    assert await answer.text() == "at last"


async def test_whoever_leaves_is_left_by_the_app_too(beside: Running, app: App) -> None:
    asking = asyncio.create_task(beside.http.get(f"{beside.front}/slow"))
    await app.begun.wait()
    asking.cancel()
    async with asyncio.timeout(1):
        await app.left.wait()


async def test_a_reader_who_stops_is_not_read_ahead_for(beside: Running, app: App) -> None:
    """Back pressure from the browser to the app: what nobody takes is not sent for long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(beside.front).port, limit=1024)
    size = 200 << 20
    writer.write(f"GET /big?size={size} HTTP/1.1\r\nHost: {URL(beside.front).authority}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    (answer,) = beside.app.relays.open.values()
    stalled = 0
    async with asyncio.timeout(10):
        while stalled < 20:
            before = answer.size
            await asyncio.sleep(0.01)
            stalled = stalled + 1 if answer.size == before else 0
    assert answer.size < 16 << 20
    writer.close()


async def test_an_app_that_breaks_off_is_seen_to(beside: Running, app: App) -> None:
    answer = await beside.http.get(f"{beside.front}/half")
    await app.begun.wait()
    app.let_go.set()
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    assert await beside.metric("sidecar_requests_total", outcome="frontend_broke_off", route="frontend") == 1


# --- routes -------------------------------------------------------------------------------------------------


async def test_a_listed_path_is_ours_and_every_other_the_apps(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, FRONT_ROUTES="/api/chat")
    assert (await sidecar.chat(HELLO)).status == 200
    assert (len(app.asked), len(agent.visits)) == (0, 1)
    for path in ("/api/chats", "/api", "/agents/default/health", "/api/agents", "/_sidecar/agents"):
        assert (await (await sidecar.http.get(f"{sidecar.front}{path}")).json())["target"] == path
    assert (await sidecar.http.get(f"{sidecar.front}/api/chat")).status == 405
    assert len(app.asked) == 5


async def test_with_an_app_no_route_of_ours_is_taken_from_it_by_itself(beside: Running, app: App) -> None:
    answer = await beside.chat(HELLO)
    assert (await answer.json())["target"] == "/api/chat"
    assert "every path" in beside.app.announcement("serve")


async def test_traffic_to_the_app_is_its_own_to_judge_but_for_the_host(beside: Running, app: App) -> None:
    """No rule on other sites' pages, no rule on types: what the app allows is the app's affair."""
    page = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
    assert (await beside.http.post(f"{beside.front}/form", headers=page, data=b"x")).status == 200
    preflight = ("Origin: https://evil.example", "Access-Control-Request-Method: PUT")
    assert (await asked(beside, "OPTIONS", "/form", *preflight)).status == 200
    assert len(app.asked) == 2
    rebound = await spoken(beside.front, "GET", "/", host="evil.example")
    assert (rebound.status, rebound.error, len(app.asked)) == (421, "misdirected_host", 2)


async def test_a_preflight_of_an_origin_in_the_settings_is_ours_on_our_routes_only(
    start: Start, agent: sim.Agent, app: App
) -> None:
    allowed = "https://elsewhere.example"
    sidecar = await start(agent.url, FRONTEND_URL=app.url, FRONT_ROUTES="/api/chat", ORIGINS=allowed)
    preflight = {"Origin": allowed, "Access-Control-Request-Method": "POST"}
    ours = await sidecar.http.options(f"{sidecar.front}/api/chat", headers=preflight)
    theirs = await sidecar.http.options(f"{sidecar.front}/else", headers=preflight)
    assert (ours.status, ours.headers["access-control-allow-origin"]) == (204, allowed)
    assert (theirs.status, "access-control-allow-origin" in theirs.headers) == (200, False)


# --- what is kept of it -------------------------------------------------------------------------------------


async def test_an_id_is_the_callers_for_the_app_for_the_answer_and_in_the_log(
    start: Start, agent: sim.Agent, app: App, capfd: pytest.CaptureFixture[str]
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, LOG="debug")
    named = {"x-request-id": "abc"}
    answer = await sidecar.http.get(f"{sidecar.front}/x?secret=canary", headers=named)
    assert (answer.headers["x-request-id"], app.header("x-request-id")) == ("abc", "abc")
    unnamed = await sidecar.http.get(f"{sidecar.front}/x")
    assert unnamed.headers["x-request-id"] == app.header("x-request-id")
    sidecar.app.telemetry.flush()
    told = capfd.readouterr().out
    first, second = (json.loads(line) for line in told.splitlines() if '"front"' in line)
    assert (first["request_id"], first["route"], first["level"]) == ("abc/front", "frontend", "debug")
    assert second["request_id"] == f"{app.header('x-request-id')}/front"
    assert "canary" not in told


async def test_requests_to_the_app_are_counted_by_how_they_ended_and_by_nothing_else(
    beside: Running, app: App
) -> None:
    for path in ("/a", "/b?c", "/api/chat"):
        await beside.http.get(f"{beside.front}{path}")
    counted: dict[str, Any] = {"door": "front", "agent": "none", "route": "frontend", "outcome": "ok"}
    assert await beside.metric("sidecar_requests_total", **counted) == 3
    assert await beside.metric("sidecar_upstream_attempts_total", agent="none", result="answered") == 3
    assert await beside.calls() == []


async def test_the_app_may_call_its_agent_with_the_id_that_it_was_given(
    beside: Running, app: App, agent: sim.Agent
) -> None:
    """Both are open at once, under one id, and neither takes the other's place."""
    request_id = "6f1c2a34-9d1e-4a57-8f0c-2d6a3f1b7c55"
    page = asyncio.create_task(beside.http.get(f"{beside.front}/slow", headers={"x-request-id": request_id}))
    await app.begun.wait()
    called = await beside.call(HELLO, x_request_id=request_id)
    assert called.headers["x-request-id"] == request_id
    assert agent.last.headers["x-request-id"] == request_id
    app.let_go.set()
    assert await (await page).text() == "at last"


async def test_the_app_is_told_that_we_stand_before_it(beside: Running, app: App) -> None:
    await beside.http.get(f"{beside.front}/")
    assert app.header("Via") == MARK
