"""No secret comes out of the real process, whatever goes right or wrong in it, told in every detail. O01."""

import asyncio
import json
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from journeys.conftest import HELLO, Start, said
from journeys.hearing import CARRIED, KEY, SECRET, Heard, Talk
from journeys.loud import WAYS
from journeys.process import Started

from policies.outcome import OUTCOMES, REFUSED_INPUT
from sidecar import sim
from sidecar.sim import faults
from sidecar.sim.script import WORDS
from sidecar.sim.serving import serving

HURRIED: Final = {
    "SIDECAR_TIMEOUTS__CONNECT": "500ms",
    "SIDECAR_TIMEOUTS__FIRST_BYTE": "800ms",
    "SIDECAR_TIMEOUTS__GAP": "600ms",
    "SIDECAR_TIMEOUTS__TOTAL": "1200ms",
    "SIDECAR_COLD_START_BUDGET": "2200ms",
    "SIDECAR_COMMIT_AFTER": "100ms",
    "SIDECAR_WRITE_TIMEOUT": "500ms",
    "SIDECAR_BODY_TIMEOUT": "500ms",
    "SIDECAR_HEAD_TIMEOUT": "500ms",
    "SIDECAR_WAITING": "1",
    "SIDECAR_MAX_BODY": "512KiB",
    "SIDECAR_MAX_ANSWER": "200KiB",
}
# What no caller can provoke in a process that serves: why.
ELSEWHERE: Final = {
    "refused_input": "it is the name for all that a caller gets wrong",
    "not_configured": "`serve` does not start without an agent",
    "draining": "it takes nine seconds: see below",
    "credential_unavailable": "of the process whose identity provider fails: see below",
    "egress_key_required": "of the process whose door requires it: see below",
    "relay_closed": "of the process whose plug-in sees no relays: see below",
    **dict.fromkeys(
        ("user_token_refused", "caller_not_named", "agent_access_denied"),
        "of the process that finds agents in Unity Catalog: tests/journeys/test_gateway.py",
    ),
    **{code: "there is no frontend" for code in OUTCOMES if code.startswith("frontend_")},
}


def everything(talk: Talk) -> list[Awaitable[None]]:
    """Every word that a stand-in knows, every way in which a plug-in can break, every code."""
    waits = {"slow": "slow 0.3", "drip": "drip 0.01", "big": "big 300", "flood": "flood 200"}
    words = [waits.get(word, word) for word in WORDS if word != "cold start"]
    deep, many = b'{"input":' + b"[" * 300 + b"]" * 300 + b"}", b'{"input":[' + b"{}," * 100_001 + b"{}]}"
    mirrors = [f"mirror {kind} {status}" for kind in KINDS for status in (200, 400, 401, 403, 500, 503)]
    head = "HTTP/1.1\r\nHost: HOST\r\nCARRIED\r\nContent-Type: application/json\r\n"
    endless = json.dumps(said("endless whispered", stream=True))
    return [
        *(talk.chat(f"{word} whispered") for word in words),
        *(talk.chat(f"{way} whispered", agent) for way in WAYS for agent in ("default", "own")),
        *(talk.chat("decline whispered", agent, mirrored=True) for agent in ("default", "own")),
        *(
            talk.chat(f"slow 0.3 {word} whispered")
            for word in ("status 400", "status 404", "unauthorized", "html")
        ),
        *(talk.chat(f"whispered {words}", "mirror", mirrored=True) for words in mirrors),
        *(talk.chat(f"endless drip {pace} whispered", "static") for pace in (0.01, 0.2)),
        *(
            talk.chat("whispered", agent)
            for agent in ("static", "own", "none", "gone", "never", "tls", "dns")
        ),
        *(talk.chat("whispered", agent) for agent in ("loop", "deaf", "nobody", "sleepy")),
        *(
            talk.ask("egress", f"/~{KEY}/agents/{agent}/canary-path", method="GET", mirrored=True)
            for agent in ("default", "mirror", "gone")
        ),
        *(
            talk.ask("egress", f"/agents/{agent}/upload", {"canary": 1}, mirrored=True)
            for agent in ("own", "mirror")
        ),
        talk.ask("front", "/api/chat/own", HELLO, x_forwarded_access_token=""),
        talk.ask("front", "/api/chat", {"prompt": "whispered"}),
        talk.ask(
            "front", "/api/chat", said("whispered", messages=[{"role": "user", "content": "whispered"}])
        ),
        talk.ask("front", "/api/chat", b'{"whispered"'),
        talk.ask("front", "/api/chat", b'{"input":[],"input":["whispered"]}'),
        talk.ask("front", "/api/chat", deep),
        talk.ask("front", "/api/chat", many),
        talk.ask("front", "/api/chat", b'{"input":"' + b"x" * (600 << 10) + b'"}'),
        talk.ask("front", "/api/chat", said("whispered"), content_type="text/plain"),
        talk.ask(
            "front", "/api/chat/shaped", {"messages": [{"role": "user", "content": [{"type": "video"}]}]}
        ),
        *(
            talk.ask("front", "/api/chat/apx", said("whispered", custom_inputs=given))
            for given in ({"instructions": "canary"}, {"user_token": "canary"})
        ),
        talk.chat("whispered", "tools"),
        talk.ask("egress", f"/~{KEY}/agents/tools/mcp", {"canary": 1}, mcp_session_id="canary"),
        talk.ask("front", "/api/chat", HELLO, sec_fetch_site="cross-site", origin="https://evil.example.org"),
        talk.ask("front", "/canary-path", method="GET"),
        talk.ask("egress", f"/~{KEY}/canary-path", HELLO),
        talk.ask("egress", f"/~{KEY[::-1]}/agents/default/invocations", HELLO),
        talk.ask("egress", "/agents/default/a%00canary", HELLO),
        talk.ask("admin", "/calls/canary", method="GET"),
        talk.ask("admin", "/calls", HELLO),
        talk.ask("front", "/api/chat", HELLO, x_forwarded_email="whisper@example.org, whisper@example.org"),
        talk.raw("front", f"POST /api/chat {head}X-Forwarded-Email: whisper@example.org\r\n\r\n"),
        talk.raw("front", f"POST /api/chat {head}Authorization: Bearer canary\r\n\r\n"),
        talk.raw("front", "POST /api/chat HTTP/1.1\r\nHost: evil.example.org\r\nCARRIED\r\n\r\n"),
        talk.raw("front", "POST /api/chat HTTP/1.1\r\nHost: HOST\r\nCARRIED\r\nX-A: canary\x07\r\n\r\n"),
        talk.raw("front", "GET /canary\r\nCARRIED\r\n\r\n"),
        talk.raw("front", "GET /canary HTTP/1.1\r\nHost: HOST\r\nCARRIED\r\n"),
        talk.raw("front", f"POST /api/chat {head}Content-Length: 99\r\n\r\n{{canary"),
        talk.raw("egress", f"PUT /agents/default/x {head}Expect: canary\r\nContent-Length: 2\r\n\r\n{{}}"),
        talk.raw("front", f"GET /{'canary' * 4000} {head}\r\n"),
        talk.raw("front", f"GET / {head}X-Canary: {'canary' * 8000}\r\n\r\n"),
        talk.raw("front", f"POST /api/chat {head}Content-Length: {len(endless)}\r\n\r\n{endless}", silent=6),
    ]


async def test_o01_no_secret_comes_out_of_any_sink_on_any_path(
    process: Started, tmp_path: Path, agent: sim.Agent
) -> None:
    heard = Heard()
    async with AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(sim.workspace(client_secret=SECRET))
        default = await stack.enter_async_context(sim.agent(bearer=workspace.accepts))
        sleepy = await stack.enter_async_context(sim.agent(always="cold start 60"))
        looking = await stack.enter_async_context(serving(mirror))
        deaf = await stack.enter_async_context(deafened())
        egress = free_port()
        one = await process(
            "serve",
            **workspace.environment,
            **HURRIED,
            SIDECAR_LOG="debug",
            SIDECAR_INSPECT="on",
            SIDECAR_PAGE="on",
            SIDECAR_PLATFORM="on",
            SIDECAR_HOST="127.0.0.1",
            SIDECAR_EGRESS_SECRET=KEY,
            SIDECAR_EGRESS_PORT=egress,
            SIDECAR_BOTH_SHAPES="refuse",
            SIDECAR_MIDDLEWARE=f"{plugin(tmp_path)}:loud,default",
            SIDECAR_PLUGIN_LOUD__KEY="canary-plugin-key",
            **agents(
                default={"URL": default.url},
                static={"URL": agent.url, "AUTH": "static", "TOKEN": "canary-static"},
                own={"URL": agent.url, "AUTH": "user"},
                none={"URL": agent.url, "AUTH": "none"},
                shaped={"URL": agent.url, "SHAPE": "input"},
                sleepy={"URL": sleepy.url},
                mirror={"URL": looking.url},
                gone={"URL": "http://127.0.0.1:1"},
                never={"URL": "http://127.0.0.1:1", "REPLAY": "never"},
                tls={"URL": agent.url.replace("http:", "https:")},
                dns={"URL": "https://nowhere.invalid", "AUTH": "static", "TOKEN": "canary-static"},
                loop={"URL": f"http://127.0.0.1:{egress}/agents/loop"},
                deaf={"URL": deaf, "REPLAY": "never"},
                apx={"URL": agent.url, "KIND": "apx"},
                tools={"URL": agent.url, "KIND": "mcp"},
            ),
        )
        async with heard.hearing(one) as talk:
            await asyncio.gather(*everything(talk))
            await talk.sinks()
        bearers = {visit.headers.get("authorization", "").removeprefix("Bearer ") for visit in default.visits}
    missing = {*OUTCOMES, *REFUSED_INPUT} - heard.codes - set(ELSEWHERE)
    assert not missing, f"never provoked: {', '.join(sorted(missing))}"
    assert bearers
    assert not (leaks := heard.leaks(*bearers)), "\n".join(leaks)


@pytest.mark.parametrize("fault", ["tells", "grants a line break"])
async def test_o01_an_identity_provider_that_repeats_the_secret_is_not_repeated(
    process: Started, tmp_path: Path, agent: sim.Agent, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    for name, how in TELLING.items():
        monkeypatch.setitem(faults.FAULTS, name, how)
    heard = Heard()
    async with sim.workspace(client_secret=SECRET) as workspace:
        workspace.always = fault
        one = await process(
            "serve",
            **workspace.environment,
            AGENT_APP_URL=agent.url,
            SIDECAR_LOG="debug",
            SIDECAR_ERRORS="full",
            SIDECAR_EGRESS_KEY="required",
            SIDECAR_EGRESS_SECRET=KEY,
            SIDECAR_MIDDLEWARE=f"{plugin(tmp_path)}:quiet,default",
        )
        async with heard.hearing(one) as talk:
            await workspace.asked()
            await talk.chat("whispered")
            await talk.ask("egress", f"/~{KEY}/agents/default/canary-path", method="GET")
            await talk.ask("egress", "/agents/default/invocations", said("whispered"))
            await talk.sinks()
    assert {"credential_unavailable", "relay_closed", "egress_key_required"} <= heard.codes
    assert "credential 'workspace'" in dict(heard.sinks)["admin /readyz"]
    assert len(agent.visits) == 0
    assert not (leaks := heard.leaks()), "\n".join(leaks)


@pytest.mark.parametrize("how", [(signal.SIGABRT,), (signal.SIGINT, signal.SIGTERM)])
async def test_o01_no_secret_is_in_what_a_process_says_that_is_ended_in_the_middle(
    process: Started, agent: sim.Agent, how: tuple[signal.Signals, ...]
) -> None:
    heard = Heard()
    one = await process(
        "serve",
        PYTHONFAULTHANDLER="1",
        AGENT_APP_URL=agent.url,
        SIDECAR_LOG="debug",
        SIDECAR_EGRESS_SECRET=KEY,
        SIDECAR_AGENTS__DEFAULT__AUTH="static",
        SIDECAR_AGENTS__DEFAULT__TOKEN="canary-static",
    )
    async with heard.hearing(one) as talk:
        asking = asyncio.create_task(talk.chat("mute whispered"))
        await agent.called(4)
        for number in how:
            one.signal(number)
        await asking
    assert agent.last.headers["authorization"] == "Bearer canary-static"
    assert not (leaks := heard.leaks()), "\n".join(leaks)


@pytest.mark.source  # breaks a function
@pytest.mark.parametrize("broken", ["policies.identity.caller", "policies.trace.continued_or_new"])
async def test_o01_a_fault_of_our_own_on_the_way_to_a_call_repeats_nothing_of_the_request(
    start: Start,
    agent: sim.Agent,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    def stumble(*given: object) -> None:
        raise ValueError(f"{given} {list(CARRIED.values())}") from KeyError("canary-cause")

    heard = Heard()
    sidecar = await start(agent.url, LOG="debug")
    monkeypatch.setattr(broken, stumble)
    answer = await sidecar.call(HELLO, **{name.replace("-", "_"): value for name, value in CARRIED.items()})
    assert answer.status == 500
    heard.answer("answer", await answer.text())
    await sidecar.app.stop()
    heard.sink("output", "".join(capfd.readouterr()))
    assert "internal_error" in heard.codes
    assert "ValueError" in heard.sinks[0][1]  # with the place where it was raised
    assert not (leaks := heard.leaks()), "\n".join(leaks)


async def test_o01_no_secret_is_in_a_last_word(
    start: Start, agent: sim.Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    sidecar = await start(
        agent.url, LOG="debug", AGENTS__DEFAULT__AUTH="static", AGENTS__DEFAULT__TOKEN="canary-static"
    )
    lifetime = sidecar.app.lifetime
    lifetime.notice = lifetime.patience = 0.05
    asked = said("silent mid-stream whispered", stream=True)
    stream = await sidecar.call(asked, **{name.replace("-", "_"): value for name, value in CARRIED.items()})
    await stream.content.readuntil(b"\n\n")
    await sidecar.app.stop()
    heard.answer("stream", (await stream.read()).decode())
    heard.sink("output", "".join(capfd.readouterr()))
    assert "draining" in heard.codes
    assert agent.last.headers["authorization"] == "Bearer canary-static"
    assert not (leaks := heard.leaks()), "\n".join(leaks)


async def test_o01_no_secret_is_in_what_a_command_prints_or_complains_of(
    process: Started, tmp_path: Path
) -> None:
    right = {
        "AGENT_APP_URL": "https://agent.example.org",
        "DATABRICKS_HOST": "https://dbc-1.example.org",
        "DATABRICKS_CLIENT_ID": "sp-1",
        "DATABRICKS_CLIENT_SECRET": SECRET,
        "SIDECAR_EGRESS_SECRET": KEY,
        "SIDECAR_MIDDLEWARE": f"{plugin(tmp_path)}:dumb,default",
        "SIDECAR_PLUGIN_DUMB__KEY": "canary-plugin-key",
        **agents(b={"URL": "https://b.example.org", "AUTH": "static", "TOKEN": "canary-static"}),
    }
    wrong = {
        "AGENT_APP_URL": "https://user:canary-password@agent.example.org",
        "DATABRICKS_HOST": "https://user:canary-password@dbc-1.example.org",
        "SIDECAR_FRONTEND_URL": "http://127.0.0.1:1/?token=canary-query",
        "SIDECAR_EGRESS_SECRET": f"{KEY}-canary",
        "SIDECAR_DEV_TOKEN": "canary-user-token",
        "SIDECAR_TOKEN": "canary-misspelt",
        "DATABRICKS_CLIENT_SECRET": "canary\u00e9",
    }
    heard = Heard()
    asked = (
        (["config", "--json"], right, 0),
        (["check"], right, 0),
        (["serve"], right, 78),  # its plug-in does not start
        (["serve"], right | wrong, 78),
    )
    running = [await process(*command, **environ) for command, environ, _ in asked]
    for (_, _, code), one in zip(asked, running, strict=True):
        text = await heard.end(one)
        assert one.process.returncode == code, text
        assert "Traceback" not in text
    assert "Plug-in 'dumb' did not start" in heard.sinks[2][1]
    assert f"{len(wrong)} settings are wrong" in heard.sinks[3][1]
    assert not (leaks := heard.leaks()), "\n".join(leaks)


# --- what stands behind and beside it ---------------------------------------------------------------------


def agents(**blocks: dict[str, str]) -> dict[str, str]:
    return {
        f"SIDECAR_AGENTS__{name.upper()}__{key}": value
        for name, block in blocks.items()
        for key, value in block.items()
    }


def plugin(folder: Path) -> Path:
    """loud.py, where nobody else may write it."""
    copy = folder / "loud.py"
    shutil.copy(Path(__file__).with_name("loud.py"), copy)
    copy.chmod(0o600)
    return copy


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


TELLING: Final = {
    "tells": faults.refused(400, "invalid_client", f"No client has the secret {SECRET}"),
    "grants a line break": faults.altered(access_token="canary\r\ntoken"),
}


async def mirror(request: web.BaseRequest) -> web.StreamResponse:
    """An agent that says whatever it was sent, in the way that the question asks for: `mirror html 500`."""
    body = (await request.content.read()).decode()
    told = json.dumps([*request.headers.items(), request.raw_path, body])
    asked = re.search(r"mirror (\w+) (\d+)", body)
    kind, status = (asked[1], int(asked[2])) if asked else ("json", 200)
    headers = {"Content-Type": KINDS[kind], "X-Told": told[:2000], "WWW-Authenticate": told[:900]}
    texts = {"sse": f"data: {json.dumps({'error': told})}\n\n", "html": f"<title>{told}</title>"}
    if status == 400:
        await asyncio.sleep(0.2)  # it is answered in a stream that has begun
    return web.Response(status=status, headers=headers, text=texts.get(kind, json.dumps({"detail": told})))


KINDS: Final = {
    "json": "application/json",
    "html": "text/html",
    "sse": "text/event-stream",
    "text": "text/plain",
}


@asynccontextmanager
async def deafened() -> AsyncIterator[str]:
    """An address where nobody accepts, and nobody has room to wait: connecting takes for ever."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
