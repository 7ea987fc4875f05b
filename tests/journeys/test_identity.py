"""Whose call it is, over real sockets: what strangers, pages and neighbours can make us believe. C2, C3."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from journeys.conftest import HELLO, Running, Start, said
from multidict import CIMultiDict

from policies.header_table import IDENTITY
from sidecar import sim
from sidecar.sim.visits import Visit

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.user-token.sig_-~+/="
OURS = {"AGENTS__DEFAULT__AUTH": "static", "AGENTS__DEFAULT__TOKEN": "the-apps-own"}
BODY = json.dumps(HELLO)
CHAT = "/api/chat"
INVOKE = "/agents/default/invocations"
RELAY = "/agents/default/health"


class Answer(NamedTuple):
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


async def spoken(
    door: str, method: str, target: str, *lines: str, body: str = "", host: str | None = None
) -> Answer:
    """One request whose head is exactly these lines, as no client library would write it."""
    address = urlsplit(door)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        head = [f"{method} {target} HTTP/1.1", f"Host: {address.netloc if host is None else host}", *lines]
        if not any(line.lower().startswith("connection") for line in lines):
            head.append("Connection: close")
        if body:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        writer.write(("\r\n".join(head) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape"))
        status = int((await reader.readline()).split()[1])
        headers: CIMultiDict[str] = CIMultiDict()
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            headers.add(name, value.strip())
        length = headers.get("Content-Length")
        return Answer(
            status, headers, await (reader.read() if length is None else reader.readexactly(int(length)))
        )
    finally:
        writer.close()


def identity_of(visit: Visit) -> dict[str, str]:
    """Whatever an agent could take for somebody's word on who calls."""
    watched = {*IDENTITY, "authorization", "cookie", "forwarded", "x-real-ip", "via"}
    read = {name.lower().replace("_", "-"): value for name, value in visit.headers.items()}
    return {name: value for name, value in read.items() if name in watched or name.startswith("x-forwarded")}


STRANGER = (
    "X-Forwarded-Access-Token: stolen",
    "X-Forwarded-Email: eve@example.org",
    "X-Forwarded-User: eve",
    "X-App-User-Email: eve@example.org",
    "Authorization: Bearer eves-own",
    "Cookie: session=eve",
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Host: evil.example.org",
)


# --- a stranger at the front ------------------------------------------------------------------------------


async def test_h01_a_strangers_identity_stays_at_the_front_and_the_agent_sees_the_app(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **OURS)
    answer = await spoken(sidecar.front, "POST", CHAT, *STRANGER, body=BODY)
    assert answer.status == 200
    assert identity_of(agent.last) == {"authorization": "Bearer the-apps-own", "via": "1.1 agent-sidecar"}
    assert await sidecar.metric("sidecar_identity_headers_removed_total") == 4


async def test_off_the_platform_the_front_believes_the_networks_it_is_told_to(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, TRUST="127.0.0.0/8")
    await spoken(sidecar.front, "POST", CHAT, "X-Forwarded-Email: ada@example.org", body=BODY)
    assert agent.last.headers["x-app-user-email"] == "ada@example.org"
    elsewhere = await start(agent.url, TRUST="10.0.0.0/8")
    await spoken(elsewhere.front, "POST", CHAT, "X-Forwarded-Email: ada@example.org", body=BODY)
    assert "x-app-user-email" not in agent.last.headers


async def test_h13_where_a_request_says_it_came_from_changes_nothing(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, FRONT_ROUTES="/agents/")
    spoof = (
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Proto: https",
        "Forwarded: for=10.0.0.1;host=evil.example.org",
    )
    answer = await spoken(sidecar.front, "GET", f"{RELAY}/", *spoof)
    assert (answer.status, answer.headers["Location"]) == (307, "../health")
    assert identity_of(agent.last) == {"via": "1.1 agent-sidecar"}


async def test_h14_a_probes_user_agent_opens_nothing(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, EGRESS_KEY="required", EGRESS_SECRET=KEY)
    answer = await spoken(sidecar.egress, "GET", RELAY, "User-Agent: kube-probe/1.30", "X-Health-Check: 1")
    assert (answer.status, answer.error) == (403, "egress_key_required")


async def test_h08_two_authorizations_are_refused_at_the_front(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, **OURS)
    twice = ("Authorization: Bearer a", "authorization: Bearer b")
    answer = await spoken(sidecar.front, "POST", CHAT, *twice, body=BODY)
    assert (answer.status, answer.error) == (400, "bad_request")
    assert len(agent.visits) == 0


async def test_h08_two_authorizations_are_replaced_at_egress(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, **OURS)
    twice = ("Authorization: Bearer a", "authorization: Bearer b")
    assert (await spoken(sidecar.egress, "POST", INVOKE, *twice, body=BODY)).status == 200
    assert agent.last.headers.getall("Authorization") == ["Bearer the-apps-own"]


# --- spellings --------------------------------------------------------------------------------------------

SPELLINGS = ("X_Forwarded_Email", "x-Forwarded_email", "X-FORWARDED-EMAIL", "X_App_User-Email")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("method", "target", "body"), [("POST", INVOKE, BODY), ("GET", RELAY, "")])
async def test_h02_no_spelling_reaches_an_agent_from_a_stranger(
    start: Start, agent: sim.Agent, spelling: str, method: str, target: str, body: str
) -> None:
    sidecar = await start(agent.url, FRONT_ROUTES="/agents/")
    await spoken(sidecar.front, method, target, f"{spelling}: eve@example.org", body=body)
    assert identity_of(agent.last) == {"via": "1.1 agent-sidecar"}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_h02_an_origin_that_folds_underscores_sees_none_either(start: Start, spelling: str) -> None:
    async with wsgi() as (url, seen):
        sidecar = await start(url, FRONT_ROUTES="/agents/")
        await spoken(sidecar.front, "GET", RELAY, f"{spelling}: eve@example.org", "X_Other: kept")
        assert not [name for name in seen if "EMAIL" in name]
        assert seen["HTTP_X_OTHER"] == "kept"


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "_" in name])
async def test_h02_where_identity_is_believed_another_spelling_is_refused(
    start: Start, agent: sim.Agent, spelling: str
) -> None:
    sidecar = await start(agent.url)
    answer = await spoken(sidecar.egress, "POST", INVOKE, f"{spelling}: eve@example.org", body=BODY)
    assert (answer.status, answer.error) == (400, "duplicate_identity_header")
    assert len(agent.visits) == 0


@pytest.mark.parametrize("evil", ["first", "last"])
@pytest.mark.parametrize("name", ["X-Forwarded-Email", "X-Forwarded-Access-Token"])
async def test_h03_an_identity_that_comes_twice_is_refused(
    start: Start, agent: sim.Agent, name: str, evil: str
) -> None:
    sidecar = await start(agent.url)
    values = (
        ("eve@example.org", "ada@example.org") if evil == "first" else ("ada@example.org", "eve@example.org")
    )
    answer = await spoken(
        sidecar.egress, "POST", INVOKE, *(f"{name}: {value}" for value in values), body=BODY
    )
    assert (answer.status, answer.error) == (400, "duplicate_identity_header")
    assert len(agent.visits) == 0


@pytest.mark.parametrize(
    "value", ["ada@example.org, eve@example.org", "a" * 4096 + "@x.org", "ädä@x.org", "a@b@c"]
)
async def test_h04_what_is_not_one_address_is_dropped(start: Start, agent: sim.Agent, value: str) -> None:
    sidecar = await start(agent.url)
    assert (
        await spoken(sidecar.egress, "POST", INVOKE, f"X-Forwarded-Email: {value}", body=BODY)
    ).status == 200
    assert identity_of(agent.last) == {"via": "1.1 agent-sidecar"}


# --- Connection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named", ["x-forwarded-access-token", "authorization", "x-app-user-email", "content-type"]
)
@pytest.mark.parametrize(("method", "target", "body"), [("POST", INVOKE, BODY), ("GET", RELAY, "")])
async def test_h05_nothing_that_matters_can_be_nominated_away(
    start: Start, agent: sim.Agent, named: str, method: str, target: str, body: str
) -> None:
    sidecar = await start(agent.url)
    answer = await spoken(sidecar.egress, method, target, f"Connection: close, {named}", body=body)
    assert (answer.status, answer.error) == (400, "bad_request")
    assert len(agent.visits) == 0


async def test_h06_h07_what_belongs_to_one_hop_ends_here(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    hop = ("Keep-Alive: timeout=5", "Proxy-Authorization: Basic eDp5", "Proxy-Foo: 1", "TE: trailers")
    await spoken(sidecar.egress, "GET", RELAY, "Connection: close, x-foo", "X-Foo: 1", "X-Bar: 2", *hop)
    came = {name.lower() for name in agent.last.headers}
    assert "x-bar" in came
    assert not came & {"x-foo", "keep-alive", "proxy-authorization", "proxy-foo", "te"}


# --- the user ---------------------------------------------------------------------------------------------


async def test_h09_a_trusted_agent_gets_the_apps_bearer_and_the_users_token_byte_for_byte(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **OURS)
    user = (f"X-Forwarded-Access-Token: {TOKEN}", "X-Forwarded-Email: ada@example.org", "Cookie: session=ada")
    assert (await spoken(sidecar.egress, "POST", INVOKE, *user, body=BODY)).status == 200
    assert identity_of(agent.last) == {
        "authorization": "Bearer the-apps-own",
        "x-forwarded-access-token": TOKEN,
        "x-app-user-email": "ada@example.org",
        "via": "1.1 agent-sidecar",
    }


async def test_h09_at_the_front_on_the_platform_its_proxy_is_believed(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, PLATFORM="on", **OURS)
    user = (
        f"X-Forwarded-Access-Token: {TOKEN}",
        "X-Forwarded-Email: ada@example.org",
        "X-App-User-Email: eve@x.org",
    )
    assert (await spoken(sidecar.front, "POST", CHAT, *user, body=BODY)).status == 200
    assert agent.last.headers["x-forwarded-access-token"] == TOKEN
    assert agent.last.headers.getall("x-app-user-email") == ["ada@example.org"]


async def test_h10_as_the_user_the_users_token_is_the_bearer_and_there_is_no_other(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__AUTH="user")
    await spoken(sidecar.egress, "POST", INVOKE, f"X-Forwarded-Access-Token: {TOKEN}", body=BODY)
    assert agent.last.headers.getall("Authorization") == [f"Bearer {TOKEN}"]
    answer = await spoken(sidecar.egress, "POST", INVOKE, "X-Forwarded-Email: ada@example.org", body=BODY)
    assert (answer.status, answer.error) == (401, "user_token_required")
    assert len(agent.visits) == 1


async def test_h11_without_a_token_the_header_is_absent_and_the_email_still_goes(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, **OURS)
    user = ("X-Forwarded-Access-Token:", "X-Forwarded-Email: ada@example.org")
    await spoken(sidecar.egress, "POST", INVOKE, *user, body=BODY)
    assert "x-forwarded-access-token" not in agent.last.headers
    assert agent.last.headers["x-app-user-email"] == "ada@example.org"


@pytest.mark.parametrize(("method", "target", "body"), [("POST", INVOKE, BODY), ("GET", RELAY, "")])
async def test_an_agent_that_is_not_trusted_is_told_nothing_of_the_user(
    start: Start, agent: sim.Agent, method: str, target: str, body: str
) -> None:
    sidecar = await start(agent.url, AGENTS__DEFAULT__TRUSTED="false", **OURS)
    user = (
        f"X-Forwarded-Access-Token: {TOKEN}",
        "X-Forwarded-Email: ada@example.org",
        "X-Forwarded-User: ada",
    )
    assert (await spoken(sidecar.egress, method, target, *user, body=body)).status == 200
    assert identity_of(agent.last) == {"authorization": "Bearer the-apps-own", "via": "1.1 agent-sidecar"}


@pytest.mark.parametrize("door", ["front", "egress"])
async def test_h19_bytes_that_are_no_utf8_are_400_and_never_500(
    start: Start, agent: sim.Agent, door: str
) -> None:
    sidecar = await start(agent.url, FRONT_ROUTES="/agents/")
    answer = await spoken(getattr(sidecar, door), "GET", RELAY, "X-Name: caf\udce9")
    assert answer.status == 400
    assert len(agent.visits) == 0
    assert (await spoken(getattr(sidecar, door), "GET", RELAY, "X-Name: café")).status == 200
    assert agent.last.headers["x-name"] == "café"


# --- pages of other sites ---------------------------------------------------------------------------------


def told_by(page: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in page.items()]


PAGES = (
    {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
)


@pytest.mark.parametrize("page", PAGES)
async def test_h20_a_page_of_another_site_spends_nothing_at_any_door(
    start: Start, agent: sim.Agent, page: dict[str, str]
) -> None:
    sidecar = await start(agent.url, **OURS)
    asked = (
        (sidecar.front, CHAT),
        (sidecar.egress, CHAT),
        (sidecar.egress, INVOKE),
        (sidecar.egress, "/responses"),
    )
    for door, target in asked:
        answer = await spoken(door, "POST", target, *told_by(page), body=BODY)
        assert (answer.status, answer.error) == (403, "cross_site")
        assert "Access-Control-Allow-Origin" not in answer.headers
    for target in ("/", "/agents", "/calls", "/metrics"):
        assert (await spoken(sidecar.admin, "GET", target, *told_by(page))).status == 403
    assert (await spoken(sidecar.egress, "GET", RELAY, *told_by(page))).status == 403
    assert len(agent.visits) == 0


@pytest.mark.parametrize(
    "host", ["evil.example.org", "localhost.evil.example.org", "127.0.0.1.nip.io:9800", "0.0.0.0"]
)
async def test_h20_a_name_rebound_to_this_machine_is_served_at_no_door(
    start: Start, agent: sim.Agent, host: str
) -> None:
    sidecar = await start(agent.url, **OURS)
    page = ("Sec-Fetch-Site: same-origin", f"Origin: http://{host}")
    for door, method, target, body in (
        (sidecar.front, "POST", CHAT, BODY),
        (sidecar.egress, "POST", INVOKE, BODY),
        (sidecar.egress, "GET", RELAY, ""),
        (sidecar.admin, "GET", "/calls", ""),
    ):
        answer = await spoken(door, method, target, *page, body=body, host=host)
        assert (answer.status, answer.error) == (421, "misdirected_host")
    assert len(agent.visits) == 0


async def test_h20_a_form_of_any_site_cannot_be_a_chat(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    for door, target in ((sidecar.front, CHAT), (sidecar.egress, INVOKE)):
        async with sidecar.http.post(
            door + target, data=BODY, headers={"Content-Type": "text/plain"}
        ) as answer:
            assert answer.status == 415
    assert len(agent.visits) == 0


async def test_nodes_fetch_is_no_page(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url)
    answer = await spoken(sidecar.egress, "POST", INVOKE, "Sec-Fetch-Mode: cors", body=BODY)
    assert answer.status == 200


async def test_an_origin_in_the_settings_may_ask_first_and_then_call(start: Start, agent: sim.Agent) -> None:
    sidecar = await start(agent.url, ORIGINS="http://localhost:5173")
    origin = ("Origin: http://localhost:5173", "Sec-Fetch-Site: same-site")
    wish = (
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type, x-forwarded-email",
    )
    first = await spoken(sidecar.front, "OPTIONS", CHAT, *origin, *wish)
    assert (first.status, first.headers["Access-Control-Allow-Headers"]) == (204, "content-type")
    then = await spoken(sidecar.front, "POST", CHAT, *origin, body=BODY)
    assert (then.status, then.headers["Access-Control-Allow-Origin"]) == (200, "http://localhost:5173")


async def test_a_page_learns_no_names_from_an_error_and_the_apps_own_server_does(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, COLD_START_BUDGET="0")
    await agent.port.close()
    public = await spoken(sidecar.front, "POST", CHAT, "Accept: application/json", body=BODY)
    inside = await spoken(sidecar.egress, "POST", INVOKE, body=BODY)
    assert (public.status, inside.status) == (502, 502)
    assert b"127.0.0.1" not in public.body
    assert b"127.0.0.1" in inside.body


# --- the egress key ---------------------------------------------------------------------------------------


async def keyed(start: Start, agent: sim.Agent) -> Running:
    return await start(agent.url, EGRESS_KEY="required", EGRESS_SECRET=KEY, **OURS)


async def test_with_the_key_a_caller_is_believed_whatever_browser_stands_behind_it(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await keyed(start, agent)
    handed_on = (
        "Origin: https://app.example.org",
        "Sec-Fetch-Site: cross-site",
        "X-Forwarded-Email: ada@example.org",
    )
    target = f"/~{KEY}{INVOKE}"
    answer = await spoken(sidecar.egress, "POST", target, *handed_on, body=BODY, host="app.example.org")
    assert answer.status == 200
    assert agent.last.target == "/invocations"
    assert agent.last.headers["x-app-user-email"] == "ada@example.org"


@pytest.mark.parametrize(
    "start_of_path", ["", f"/~{KEY[::-1]}", f"/~{KEY[:-1]}", f"/x/..%2f~{KEY}", f"/~{KEY}/.."]
)
async def test_without_the_key_nobody_spends_the_apps_bearer(
    start: Start, agent: sim.Agent, start_of_path: str
) -> None:
    sidecar = await keyed(start, agent)
    answer = await spoken(sidecar.egress, "POST", start_of_path + INVOKE, body=BODY)
    assert answer.status in (400, 403, 404)
    assert len(agent.visits) == 0


async def test_the_key_is_in_no_answer_no_record_and_no_log(
    start: Start, agent: sim.Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    sidecar = await keyed(start, agent)
    for target in (
        f"/~{KEY}/nowhere",
        f"/~{KEY}?x",
        f"/~{KEY}x/nowhere",
        f"/~{KEY}/a%00",
        f"http://evil/~{KEY}/x",
    ):
        answer = await spoken(sidecar.egress, "POST", target, body=BODY)
        assert answer.status in (400, 403, 404)
        assert KEY.encode() not in answer.body
    await spoken(sidecar.egress, "POST", f"/~{KEY}{INVOKE}", body=BODY)
    assert KEY not in json.dumps(await sidecar.calls())
    sidecar.app.telemetry.flush()
    logged = "".join(capfd.readouterr())
    assert "no_such_route" in logged
    assert KEY not in logged


async def test_u07_a_redirect_inside_the_agent_leads_a_keyed_caller_there_through_us(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await keyed(start, agent)
    answer = await spoken(sidecar.egress, "GET", f"/~{KEY}{RELAY}/")
    assert (answer.status, answer.headers["Location"]) == (307, "../health")
    assert len(agent.visits) == 1


# --- redirects, loops, paths ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_u07_a_redirect_is_never_followed_and_told_only_inside_the_agent(
    start: Start, status: int
) -> None:
    async with scripted(status, "Location: http://evil.example.org/x") as (url, seen):
        sidecar = await start(url, **OURS)
        answer = await spoken(sidecar.egress, "GET", RELAY)
        assert (answer.status, answer.headers.get("Location")) == (status, None)
        assert len(seen) == 1


async def test_h16_what_an_agent_says_to_browsers_is_not_told_in_the_frontends_name(start: Start) -> None:
    lines = (
        "Set-Cookie: a=b",
        "Strict-Transport-Security: max-age=1",
        "Alt-Svc: clear",
        "Access-Control-Allow-Origin: *",
    )
    async with scripted(200, *lines, "Server: uvicorn", "ETag: x", "Content-Encoding: none") as (url, _):
        sidecar = await start(url)
        answer = await spoken(sidecar.egress, "GET", RELAY)
        told = {name.lower() for name in answer.headers}
        assert not told & {
            "set-cookie",
            "strict-transport-security",
            "alt-svc",
            "access-control-allow-origin",
        }
        assert not told & {"content-encoding"}
        assert (answer.headers["ETag"], answer.headers["Server"]) == ("x", "sidecar")


@pytest.mark.parametrize(("method", "target", "body"), [("POST", INVOKE, BODY), ("GET", RELAY, "")])
async def test_p01_a_control_character_in_an_answers_header_is_the_agents_fault_and_told_once(
    start: Start, method: str, target: str, body: str
) -> None:
    async with scripted(200, "X-A: b\x07c") as (url, _):
        sidecar = await start(url)
        answer = await spoken(sidecar.egress, method, target, body=body)
        assert (answer.status, answer.error) == (502, "agent_protocol_error")
        assert await sidecar.metric("sidecar_requests_total", outcome="agent_protocol_error") == 1
        assert await sidecar.metric("sidecar_requests_total", outcome="internal_error") == 0


async def test_h19_bytes_of_an_agent_that_are_no_utf8_are_left_out(start: Start) -> None:
    async with scripted(200, "X-A: caf\udce9", "X-B: café") as (url, _):
        sidecar = await start(url)
        answer = await spoken(sidecar.egress, "GET", RELAY)
        assert ("X-A" in answer.headers, answer.headers["X-B"]) == (False, "café")


async def test_u12_a_sidecar_that_is_its_own_agent_notices(start: Start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sidecar = await start(f"http://127.0.0.1:{port}/agents/default", EGRESS_PORT=str(port))
    async with sidecar.http.get(sidecar.egress + RELAY) as answer:
        assert (answer.status, (await answer.json())["error"]) == (508, "loop_detected")
    assert await sidecar.metric("sidecar_requests_total", outcome="loop_detected") == 1
    for stream in (True, False):  # told by the last of us to the one before, as an agent's answer
        chat = await sidecar.chat(said("hello", stream=stream))
        assert (chat.status, (await chat.json())["error"]) == (508, "loop_detected")


@pytest.mark.parametrize("query", ["?a=%zz&a&a=%26", "?a+b=../..&%2f", ""])
async def test_u02_u04_path_and_query_reach_the_agent_byte_for_byte(
    start: Start, agent: sim.Agent, query: str
) -> None:
    sidecar = await start(agent.url)
    await spoken(sidecar.egress, "GET", f"/agents/default/x%2fy%3b//%25{query}")
    assert agent.last.target == f"/x%2fy%3b//%25{query}"


@pytest.mark.parametrize(
    "target", ["/agents/default/%2e%2e/%2e%2e/calls", "/agents/default/../../metrics", "//agents/default/x"]
)
async def test_u01_u03_a_path_that_leads_out_of_the_agent_is_nowhere(
    start: Start, agent: sim.Agent, target: str
) -> None:
    sidecar = await start(agent.url)
    answer = await spoken(sidecar.egress, "GET", target)
    assert (answer.status, answer.error) == (404, "no_such_route")
    assert len(agent.visits) == 0


@pytest.mark.parametrize(
    "target",
    [
        "/agents/default/a%00",
        "/agents/default/a%5cb",
        "/agents/default/..;/b",
        "http://evil/agents/default/x",
    ],
)
async def test_u02_f19_a_path_that_could_be_read_differently_is_refused(
    start: Start, agent: sim.Agent, target: str
) -> None:
    sidecar = await start(agent.url)
    answer = await spoken(sidecar.egress, "GET", target)
    assert (answer.status, answer.error) == (400, "invalid_path")
    assert len(agent.visits) == 0


# --- origins of other makes -------------------------------------------------------------------------------


@asynccontextmanager
async def wsgi() -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A WSGI server, which reads `X_A` and `X-A` as one name."""
    seen: dict[str, str] = {}

    def app(environ: dict[str, Any], respond: Any) -> list[bytes]:
        seen.update({name: value for name, value in environ.items() if name.startswith("HTTP_")})
        respond("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]

    class Silent(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def scripted(status: int, *lines: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """An agent that answers everything with this head and an empty object; remembers what it was sent."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        head = [
            f"HTTP/1.1 {status} Said",
            *lines,
            "Content-Type: application/json",
            "Content-Length: 2",
            "Connection: close",
        ]
        writer.write(("\r\n".join(head) + "\r\n\r\n{}").encode("utf-8", "surrogateescape"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
