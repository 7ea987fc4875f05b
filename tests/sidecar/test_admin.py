"""The admin door over a real socket: alive, ready, counted; which agents, and what became of a call."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from observed import WEATHER, Observed, a_call, a_reply, observed

from policies.agent import Agent
from sidecar.admin import Admin
from sidecar.answer import Answer, Patience
from sidecar.doors import Listener, Request
from sidecar.sweep import Sweep

OTHER = Agent("other-2", "https://agents.example.org/base", headers=("x-tenant",))


@pytest.fixture
def book() -> Iterator[Observed]:
    with observed(agents=(WEATHER, OTHER)) as book:
        yield book


class Door:
    def __init__(self, address: str, http: aiohttp.ClientSession, reasons: list[str]) -> None:
        self.address, self.http, self.reasons = address, http, reasons

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
        """Status, headers, and the body: JSON as its value."""
        async with self.http.request(method, self.address + path, headers=headers) as answer:
            is_json = answer.content_type == "application/json" and method != "HEAD"
            return answer.status, answer.headers, await (answer.json() if is_json else answer.text())


@asynccontextmanager
async def door(book: Observed, *, public: bool = False) -> AsyncIterator[Door]:
    reasons: list[str] = []
    admin = Admin(book.telemetry, book.agents, lambda: reasons, public=public)

    async def handle(request: Request) -> Answer:
        told = await admin.handle(request)
        answer = Answer(request, Patience(), list(told.headers.items()), 0.0)
        answer.head(told.status, [])
        return await answer.end(told.body)

    listener = Listener(
        "admin", "127.0.0.1", 0, handle, malformed=lambda *_: None, sweep=Sweep(), warn=lambda _: None
    )
    await listener.open()
    async with aiohttp.ClientSession() as http:
        try:
            yield Door(listener.address, http, reasons)
        finally:
            await listener.close()


async def test_it_says_that_it_is_alive_whatever_is_wrong(book: Observed) -> None:
    async with door(book) as admin:
        admin.reasons.append("everything is down")
        status, _, body = await admin.ask("/healthz")
    assert (status, body) == (200, {"alive": True})


async def test_it_is_ready_when_nothing_stands_against_it(book: Observed) -> None:
    async with door(book) as admin:
        assert (await admin.ask("/readyz"))[::2] == (200, {"ready": True, "reasons": []})
        admin.reasons.append("draining: the process has been asked to stop")
        status, _, body = await admin.ask("/readyz")
    assert status == 503
    assert body == {"ready": False, "reasons": ["draining: the process has been asked to stop"]}


async def test_a_scraper_gets_what_it_asks_for(book: Observed) -> None:
    async with door(book) as admin:
        _, plain, text = await admin.ask("/metrics")
        _, modern, openmetrics = await admin.ask(
            "/metrics", Accept="application/openmetrics-text; version=1.0.0"
        )
    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE sidecar_requests_total counter" in text
    assert modern["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.endswith("# EOF\n")


async def test_it_lists_the_agents_and_what_each_may_be_told(book: Observed) -> None:
    async with door(book) as admin:
        _, _, body = await admin.ask("/agents")
    first, second = body["agents"]
    assert first["name"] == "weather"
    assert first["url"] == "http://127.0.0.1:9100"
    assert (first["auth"], first["trusted"], first["why_trusted"]) == ("app", True, "It is on loopback.")
    assert (second["name"], second["trusted"], second["headers"]) == ("other-2", False, ["x-tenant"])


async def test_it_tells_of_the_last_calls_and_of_each(book: Observed) -> None:
    book.begin("id-1")
    book.telemetry.began(a_call("id-1"))
    book.telemetry.ended(a_call("id-1"), a_reply(), "ok")
    async with door(book) as admin:
        _, _, calls = await admin.ask("/calls")
        status, _, call = await admin.ask("/calls/id-1?verbose")
    assert [one["request_id"] for one in calls["calls"]] == ["id-1"]
    assert (status, call["outcome"], call["agent"]["name"]) == (200, "ok", "weather")
    assert call["timeline"][0] == {"ms": 0.0, "what": "accepted"}


async def test_a_call_that_nobody_remembers_is_404_with_the_next_step(book: Observed) -> None:
    async with door(book) as admin:
        status, _, body = await admin.ask("/calls/never-was")
    assert status == 404
    assert body["error"] == "no_such_call"
    assert "GET /calls" in body["hint"]


async def test_the_page_links_what_there_is_and_asks_nothing_of_others(book: Observed) -> None:
    async with door(book) as admin:
        _, headers, page = await admin.ask("/")
        for path in ("/healthz", "/readyz", "/metrics", "/agents", "/calls"):
            assert f'href="{path}"' in page
            assert (await admin.ask(path))[0] == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_beyond_loopback_it_serves_the_first_three_only(book: Observed) -> None:
    async with door(book, public=True) as admin:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await admin.ask(path))[0] == 200
        for path in ("/", "/agents", "/calls", "/calls/id-1"):
            status, _, body = await admin.ask(path)
            assert (status, body["error"]) == (404, "no_such_route")
            assert "loopback" in body["hint"]


@pytest.mark.parametrize("path", ["/metricsx", "/healthz/", "//healthz", "/call"])
async def test_another_path_is_404(book: Observed, path: str) -> None:
    async with door(book) as admin:
        status, _, body = await admin.ask(path)
    assert (status, body["error"]) == (404, "no_such_route")


async def test_it_only_tells(book: Observed) -> None:
    async with door(book) as admin:
        for path in ("/healthz", "/calls", "/calls/id-1"):
            status, headers, body = await admin.ask(path, "DELETE")
            assert (status, headers["Allow"], body["error"]) == (405, "GET, HEAD", "method_not_allowed")
        status, headers, body = await admin.ask("/healthz", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0


async def test_no_answer_is_kept_or_guessed_at(book: Observed) -> None:
    async with door(book) as admin:
        for path in ("/", "/healthz", "/readyz", "/metrics", "/agents", "/calls", "/nothing"):
            _, headers, _ = await admin.ask(path)
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
