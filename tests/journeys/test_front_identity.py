"""Whose request it is, as the app behind the front sees it: on the platform, elsewhere, and on a laptop. H13, H15"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from journeys import frontends
from journeys.conftest import HELLO, Running, Start
from journeys.frontends import App
from journeys.test_identity import spoken

from policies.agent import Caller
from policies.header_table import IDENTITY
from policies.secret import Secret
from sidecar import sim
from sidecar.behind import Frontend
from sidecar.frontend.towards import Towards

ON_IT = {"PLATFORM": "on", "HOST": "127.0.0.1"}
# What the platform's proxy adds to a request (and a cookie, which is the browser's).
DEPLOYED = {
    "X-Forwarded-Host": "my-app-4711.aws.databricksapps.com",
    "X-Forwarded-Preferred-Username": "ada@example.org",
    "X-Forwarded-User": "5842310@4711",
    "X-Forwarded-Email": "ada@example.org",
    "X-Real-Ip": "198.51.100.1",
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Proto": "https",
    "X-Request-Id": "6f1c2a34-9d1e-4a57-8f0c-2d6a3f1b7c55",
    "X-Forwarded-Access-Token": "eyJ.the-users.own",
}
COOKIE = "session=abc; theme=dark"


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with frontends.app() as one:
        yield one


async def sees(sidecar: Running, app: App, path: str = "/", *more: str) -> dict[str, str]:
    """What the app sees of a request that says all this of itself; names in lower case."""
    lines = [f"{name}: {value}" for name, value in DEPLOYED.items()]
    answer = await spoken(sidecar.front, "GET", path, *lines, f"Cookie: {COOKIE}", *more)
    assert answer.status == 200
    return {name.lower(): value for name, value in app.seen}


async def test_on_the_platform_the_app_sees_what_it_would_see_without_us(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, **ON_IT)
    seen = await sees(sidecar, app)
    behind = {name.lower(): value for name, value in DEPLOYED.items()}
    behind["x-forwarded-for"] += ", 127.0.0.1"
    assert {name: seen.get(name) for name in behind} == behind
    assert seen["cookie"] == COOKIE


@pytest.mark.parametrize("trust", ["", "10.0.0.0/8", "127.0.0.0/8"])
async def test_h13_elsewhere_it_sees_the_connections_own_unless_the_peer_is_trusted(
    start: Start, agent: sim.Agent, app: App, trust: str
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, **({"TRUST": trust} if trust else {}))
    seen = await sees(sidecar, app)
    if trust.startswith("127."):
        assert seen["x-forwarded-proto"] == "https"
        assert seen["x-forwarded-email"] == "ada@example.org"
        return
    assert not seen.keys() & set(IDENTITY)
    here = sidecar.front.removeprefix("http://")
    assert (seen["x-forwarded-for"], seen["x-real-ip"]) == ("127.0.0.1", "127.0.0.1")
    assert (seen["x-forwarded-host"], seen["x-forwarded-proto"]) == (here, "http")
    assert seen["cookie"] == COOKIE
    assert await sidecar.metric("sidecar_identity_headers_removed_total") == 4


async def test_h15_the_cookie_is_the_apps_and_never_an_agents(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, FRONT_ROUTES="/api/chat")
    assert (await sees(sidecar, app))["cookie"] == COOKIE
    assert (await sidecar.chat(HELLO, Cookie=COOKIE)).status == 200
    assert "cookie" not in agent.last.headers


async def test_h02_h03_two_words_on_who_it_is_reach_no_app_either(
    start: Start, agent: sim.Agent, app: App
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=app.url, **ON_IT)
    for line in ("X-Forwarded-Email: eve@example.org", "X_Forwarded_Email: eve@example.org"):
        first = "X-Forwarded-Email: ada@example.org"
        answer = await spoken(sidecar.front, "GET", "/", first, line)
        assert (answer.status, answer.error) == (400, "duplicate_identity_header")
    assert len(app.asked) == 0


# --- a laptop that plays the platform ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/me", "/assets/app.js"])
async def test_a_user_who_is_played_looks_to_the_app_as_when_it_is_deployed(
    start: Start, agent: sim.Agent, app: App, path: str
) -> None:
    """The same headers on /api/* and on root routes; the token only where there is one."""
    sidecar = await start(agent.url, FRONTEND_URL=app.url, DEV_USER="dev@example.org")
    eve = await sees(sidecar, app, path, "X-App-User-Email: eve@example.org")
    plain = await sidecar.http.get(f"{sidecar.front}{path}")
    assert plain.status == 200
    seen = {name.lower(): value for name, value in app.seen}
    assert {*map(str.lower, DEPLOYED)} - {"x-forwarded-access-token"} <= seen.keys()
    assert (seen["x-forwarded-email"], seen["x-forwarded-preferred-username"]) == ("dev@example.org",) * 2
    assert "@" in seen["x-forwarded-user"]
    assert seen["x-forwarded-user"] != "dev@example.org"
    assert {name: eve[name] for name in IDENTITY if name in eve} == {
        name: seen[name] for name in IDENTITY if name in seen
    }
    assert "dev@example.org" in sidecar.app.announcement("serve")


@pytest.mark.parametrize(
    ("fetch", "played"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ({"Origin": "https://evil.example"}, False),
    ],
)
async def test_no_page_of_another_site_asks_as_the_user_who_is_played(
    start: Start, agent: sim.Agent, app: App, fetch: dict[str, str], played: bool
) -> None:
    """A link may open the app; nothing else of another site comes with this machine's user."""
    sidecar = await start(agent.url, FRONTEND_URL=app.url, DEV_USER="dev@example.org")
    assert (await sidecar.http.get(f"{sidecar.front}/api/me", headers=fetch)).status == 200
    assert (app.header("x-forwarded-email") is not None) == played
    assert app.header("x-forwarded-for") == "127.0.0.1"


async def test_no_form_of_another_site_is_sent_as_the_user_who_is_played(
    start: Start, agent: sim.Agent, app: App
) -> None:
    """It comes as a link does, but for its method."""
    sidecar = await start(agent.url, FRONTEND_URL=app.url, DEV_USER="dev@example.org")
    form = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": "https://evil.example"}
    for site, name in (("cross-site", None), ("same-site", None), ("same-origin", "dev@example.org")):
        answer = await sidecar.http.post(
            f"{sidecar.front}/api/me", data={"a": "b"}, headers=form | {"Sec-Fetch-Site": site}
        )
        assert answer.status == 200
        assert app.header("x-forwarded-email") == name


async def test_a_user_who_is_played_is_the_caller_of_our_own_routes_too(
    start: Start, agent: sim.Agent
) -> None:
    sidecar = await start(agent.url, DEV_USER="dev@example.org")
    assert (await sidecar.chat(HELLO, x_forwarded_email="eve@example.org")).status == 200
    assert agent.last.headers.getall("x-app-user-email") == ["dev@example.org"]
    assert "x-forwarded-access-token" not in agent.last.headers


@pytest.fixture
def profile(tmp_path: Path) -> dict[str, str]:
    """A machine on which somebody has logged in as profile `dev`, with a token."""
    (tmp_path / ".databrickscfg").write_text(
        "[dev]\nhost = https://dbc-1.cloud.databricks.com\ntoken = dapi-devs-own\n"
    )
    return {"DATABRICKS_CONFIG_FILE": str(tmp_path / ".databrickscfg"), "DATABRICKS_WORKSPACE_ID": "4711"}


async def test_that_users_token_is_the_profiles_for_the_app_and_for_agents_on_this_machine(
    start: Start, agent: sim.Agent, app: App, profile: dict[str, str]
) -> None:
    sidecar = await start(
        agent.url,
        profile,
        FRONTEND_URL=app.url,
        FRONT_ROUTES="/api/chat",
        DEV_USER="dev@example.org",
        DEV_TOKEN="profile:dev",
    )
    assert (await sidecar.http.get(f"{sidecar.front}/")).status == 200
    assert app.header("x-forwarded-access-token") == "dapi-devs-own"
    assert (await sidecar.chat(HELLO)).status == 200
    assert agent.last.headers.getall("x-forwarded-access-token") == ["dapi-devs-own"]


async def test_a_token_that_cannot_be_had_is_said_and_nobody_is_played_without_it(
    start: Start, agent: sim.Agent, app: App, profile: dict[str, str]
) -> None:
    sidecar = await start(
        agent.url,
        profile,
        FRONTEND_URL=app.url,
        DEV_USER="dev@example.org",
        DEV_TOKEN="profile:nobodys",
        ERRORS="full",
    )
    answer = await sidecar.http.get(f"{sidecar.front}/")
    told = await answer.json()
    assert (answer.status, told["error"], len(app.asked)) == (503, "credential_unavailable", 0)
    assert "nobodys" in told["detail"]


async def test_no_frontend_on_another_machine_gets_that_token() -> None:
    frontend = Frontend("https://app.example.org")
    towards = Towards(frontend, asking=None, played=True, workspace="4711")  # type: ignore[arg-type]
    user = Caller("front", True, "dev", "dev@example.org", Secret("the-devs-own"))
    assert "the-devs-own" not in str(towards.told_of(user))
    frontend.url = "http://127.0.0.1:3000"
    assert "the-devs-own" in str(towards.told_of(user))
