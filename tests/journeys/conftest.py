"""Whole conversations: a sidecar with real doors in this process, stand-in agents behind it, a real client in front."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys.process import FREE, Started, starting

from sidecar import settings, sim
from sidecar.app import Sidecar

Asked = dict[str, Any]
HELLO: Asked = {"input": [{"role": "user", "content": "hello"}]}


def said(text: str, **more: Any) -> Asked:
    """The body of a chat in which the user says this; the stand-in agents obey the words in it."""
    return {"input": [{"role": "user", "content": text}], **more}


@dataclass
class Running:
    """A sidecar whose doors are open, and a client that keeps no cookies and follows nothing."""

    app: Sidecar
    http: aiohttp.ClientSession

    @property
    def front(self) -> str:
        return self.app.listeners["front"].address

    @property
    def egress(self) -> str:
        return self.app.listeners["egress"].address

    @property
    def admin(self) -> str:
        return self.app.listeners["admin"].address

    async def chat(self, body: Any, path: str = "/api/chat", **headers: str) -> aiohttp.ClientResponse:
        """POST to the front; the body as JSON, or as the very bytes that it is."""
        return await self._post(self.front + path, body, headers)

    async def call(
        self, body: Any, path: str = "/agents/default/invocations", **headers: str
    ) -> aiohttp.ClientResponse:
        """POST to the egress door, as an app's own server does."""
        return await self._post(self.egress + path, body, headers)

    async def _post(self, url: str, body: Any, headers: dict[str, str]) -> aiohttp.ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": "application/json"}
        sent = (
            {"data": body, "headers": kind | named}
            if isinstance(body, bytes)
            else {"json": body, "headers": named}
        )
        return await self.http.post(url, allow_redirects=False, **sent)

    async def calls(self) -> list[Any]:
        """What the admin door tells of the last calls, the newest first."""
        async with self.http.get(f"{self.admin}/calls") as answer:
            return (await answer.json())["calls"]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        async with self.http.get(f"{self.admin}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition("{")[0].partition(" ")[0] == name and all(part in line for part in wanted)
        )


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps nothing, and leaves every answer that was not read to its end."""
    answers: list[aiohttp.ClientResponse] = []
    tracing = aiohttp.TraceConfig()

    async def answered(_: object, __: object, ended: aiohttp.TraceRequestEndParams) -> None:
        answers.append(ended.response)

    tracing.on_request_end.append(answered)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[tracing],
    ) as http:
        yield http
        for answer in answers:
            answer.close()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """`await start(agent.url, COMMIT_AFTER="0.1")`: a sidecar before this agent, with these SIDECAR_* settings."""
    async with AsyncExitStack() as stack:

        async def started(
            agent: str | None = None, environ: dict[str, str] | None = None, **given: str
        ) -> Running:
            values = FREE | {f"SIDECAR_{name}": value for name, value in given.items()} | (environ or {})
            loaded = settings.load({"AGENT_APP_URL": agent or "http://127.0.0.1:1"} | values)
            app = Sidecar(loaded if agent else loaded.model_copy(update={"agents": {}}))
            await app.start()
            stack.push_async_callback(app.stack.aclose)
            return Running(app, await stack.enter_async_context(client()))

        yield started


async def leaving(sidecar: Running, agent: sim.Agent, words: str) -> None:
    """Asked by somebody who leaves before the agent has answered, or in the middle of its answer."""
    asking = asyncio.create_task(sidecar.chat(said(words)))
    await agent.called()
    if words in ("silent mid-stream", "endless"):
        answer = await asking
        await answer.content.readany()
        answer.close()
    else:
        asking.cancel()
    await agent.left(within=1.0)


@pytest.fixture
async def agent() -> AsyncIterator[sim.Agent]:
    """A stand-in for mlflow's AgentServer("ResponsesAgent")."""
    async with sim.agent() as one:
        yield one


@pytest.fixture
async def plain() -> AsyncIterator[sim.Agent]:
    """A stand-in for AgentServer(None), which takes either shape."""
    async with sim.agent("plain") as one:
        yield one


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Started]:
    """`await process("serve", AGENT_APP_URL=agent.url)`: the real process, on free ports."""
    async with starting(tmp_path) as started:
        yield started
