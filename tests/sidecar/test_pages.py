"""What the front serves a browser of ours: which paths under which settings, and with which headers."""

import html.parser
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import aiohttp
import pytest
from yarl import URL

from sidecar import settings
from sidecar.app import Sidecar
from sidecar.pages import UI, Guide, pages
from sidecar.sim.script import spoken

FREE = {f"SIDECAR_{door}PORT": "0" for door in ("", "EGRESS_", "ADMIN_")}
AGENT = {"AGENT_APP_URL": "http://127.0.0.1:1"}
Serve = Callable[..., Awaitable["Front"]]


class Told(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Front:
    def __init__(self, app: Sidecar, http: aiohttp.ClientSession) -> None:
        self.app, self.http = app, http

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Told:
        url = URL(self.app.listeners["front"].address + path, encoded=True)
        async with self.http.request(method, url, headers=headers) as answer:
            return Told(answer.status, answer.headers, await answer.read())


@pytest.fixture
async def front() -> AsyncIterator[Serve]:
    """`await front(PAGE="on")`: a front door with these SIDECAR_* settings."""
    async with AsyncExitStack() as stack:

        async def served(guide: Guide = Guide(), **given: str) -> Front:  # noqa: B008 - it is a constant
            named = {f"SIDECAR_{name}": value for name, value in given.items()}
            app = Sidecar(settings.load(FREE | AGENT | named), guide=guide)
            await app.start()
            stack.push_async_callback(app.stack.aclose)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Front(app, http)

        yield served


class References(html.parser.HTMLParser):
    """What a document names: what it loads, and what in it a strict policy would forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.forbidden: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in ("src", "href") and value and not value.startswith(("#", "data:")):
                self.loads.append(value)
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.forbidden.append(f"inline {self._inside}")


async def test_the_page_and_all_it_is_made_of_come_from_here(front: Serve) -> None:
    one = await front(PAGE="on")
    page = await one.ask("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    named = References()
    named.feed(page.body.decode())
    assert named.forbidden == []
    assert sorted(named.loads) == sorted(
        f"_sidecar/page/{path.name}" for path in UI.iterdir() if path.suffix in (".css", ".js")
    )
    kinds = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
    for path in named.loads:
        part = await one.ask(f"/{path}")
        assert (part.status, part.headers["Content-Type"]) == (200, kinds[path[path.rindex(".") :]])


async def test_a_strict_policy_and_nosniff_stand_on_every_part(front: Serve) -> None:
    one = await front(PAGE="on", INSPECT="on")
    for path in ("/", "/_sidecar/page/page.js", "/_sidecar/agents", "/_sidecar/calls/none"):
        headers = (await one.ask(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    page = (await one.ask("/")).headers
    assert "connect-src 'self'" in page["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in page["Content-Security-Policy"]
    assert page["Referrer-Policy"] == "no-referrer"


async def test_a_browser_keeps_the_page_and_asks_whether_it_changed(front: Serve) -> None:
    one = await front(PAGE="on")
    first = await one.ask("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await one.ask("/", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    other = await (await front(PAGE="on", INSPECT="on")).ask("/", **{"If-None-Match": first.headers["ETag"]})
    assert other.status == 200  # it says that calls are shown
    for path in ("/_sidecar/agents", "/_sidecar/words"):
        assert (await one.ask(path)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/_sidecar/page/page.css", "/_sidecar/agents"])
async def test_the_page_is_read_only(front: Serve, path: str) -> None:
    one = await front(PAGE="on")
    whole, head = await one.ask(path), await one.ask(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    refused = await one.ask(path, "DELETE")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
    assert refused.value["error"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("given", "served"),
    [
        ({}, {"/api/agents"}),
        (
            {"PAGE": "on"},
            {"/api/agents", "/", "/_sidecar/page/page.js", "/_sidecar/agents", "/_sidecar/words"},
        ),
        (
            {"PAGE": "on", "FRONT_ROUTES": "/api/chat"},
            {"/", "/_sidecar/page/page.js", "/_sidecar/agents", "/_sidecar/words"},
        ),
        ({"INSPECT": "on", "FRONT_ROUTES": "/api/chat"}, set()),
    ],
)
async def test_each_setting_serves_its_own_paths(
    front: Serve, given: dict[str, str], served: set[str]
) -> None:
    one = await front(**given)
    paths = {"/", "/index.html", "/_sidecar/page/page.js", "/_sidecar/page/", "/_sidecar/page/index.html"}
    for path in paths | {"/_sidecar/agents", "/_sidecar/words", "/api/agents"}:
        assert (await one.ask(path)).status == (200 if path in served else 404), path


async def test_the_page_is_never_over_a_frontend(front: Serve) -> None:
    app = (await front(PAGE="on", INSPECT="on")).app
    fronting = app.settings.model_copy(update={"frontend_url": "http://127.0.0.1:3", "front_routes": ()})
    found = pages(fronting, app.agents, app.telemetry)
    assert found("/") is None
    assert found("/_sidecar/page/page.js") is None
    assert found("/_sidecar/calls/one") is not None


@pytest.mark.parametrize(("inspect", "code"), [("on", "no_such_call"), ("off", "no_such_route")])
async def test_calls_are_told_where_that_is_set(front: Serve, inspect: str, code: str) -> None:
    answer = await (await front(INSPECT=inspect)).ask("/_sidecar/calls/unknown")
    assert answer.status == 404
    assert answer.value["error"] == code


@pytest.mark.parametrize(
    "secret", ["/_sidecar/page/../pages.py", "/_sidecar/page/%2e%2e/pages.py", "/_sidecar/page/..%2fpages.py"]
)
async def test_no_path_leads_out_of_the_page(front: Serve, secret: str) -> None:
    one = await front(PAGE="on")
    assert (await one.ask(secret)).status in (400, 404)


async def test_agents_are_told_by_name_and_kind_and_never_by_address(front: Serve) -> None:
    guide = Guide({"default": "Answers"}, spoken())
    one = await front(guide, PAGE="on", AGENTS__OTHER__URL="http://127.0.0.1:2")
    answer = await one.ask("/_sidecar/agents")
    assert answer.value["agents"] == [
        {"name": "default", "kind": "responses", "does": "Answers"},
        {"name": "other", "kind": "responses"},
    ]
    assert "127.0.0.1" not in answer.body.decode()
    words = (await one.ask("/_sidecar/words")).value["words"]
    assert {"say": "tool", "does": "calls a tool, shows its result, then answers"} in words


async def test_serve_knows_no_words(front: Serve) -> None:
    one = await front(PAGE="on")
    assert (await one.ask("/_sidecar/words")).value == {"words": []}


@pytest.mark.parametrize(("errors", "named"), [("brief", False), ("full", True)])
async def test_a_call_that_failed_names_hosts_only_where_errors_do(
    front: Serve, errors: str, named: bool
) -> None:
    one = await front(INSPECT="on", ERRORS=errors, COLD_START_BUDGET="0")
    url = one.app.listeners["front"].address
    asked: dict[str, Any] = {"input": [{"role": "user", "content": "hello"}], "stream": False}
    async with one.http.post(f"{url}/api/chat", json=asked, headers={"x-request-id": "mine"}) as answer:
        assert answer.status >= 500
    call = (await one.ask("/_sidecar/calls/mine")).value
    assert call["refusal"]["code"] == call["outcome"]
    assert ("127.0.0.1" in str(call)) is named
    assert call["sentence"].endswith(".")


async def test_the_page_of_another_site_may_not_look(front: Serve) -> None:
    one = await front(PAGE="on", INSPECT="on")
    answer = await one.ask(
        "/_sidecar/agents", **{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    )
    assert answer.status == 403
