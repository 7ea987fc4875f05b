"""Second tries over real connections: the stand-in agents count what ran, and it is never more than once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from middleware.chain import compose
from middleware.credentials import credentials
from middleware.exchange import Body, Call, Handler, headers
from middleware.retry import retry
from policies.agent import Agent, Caller
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar import sim
from sidecar.sim.workspace import workspace
from sidecar.sweep import Sweep
from sidecar.tokens.credential import Credential
from sidecar.tokens.source import Tokens
from sidecar.wire import Limits, Wire

QUESTION = Body(b'{"input":[{"role":"user","content":"hello"}]}')


class Notes:
    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def note(self, call: Call, what: str, value: object) -> None:
        self.told.append((what, value))

    def attempted(self, call: Call, sent: str, result: str) -> None:
        self.note(call, "attempt", (sent, result))

    def carried(self, call: Call, credential: str, identity: tuple[str, ...]) -> None:
        self.note(call, "credential", credential)

    @property
    def attempts(self) -> list[object]:
        return [value for what, value in self.told if what == "attempt"]


def call(url: str, **more: str) -> Call:
    agent = Agent("default", url, **{"auth": "none", "trusted": True} | more)
    told = headers(("content-type", "application/json"))
    return Call(agent, Caller(), "chat", "POST", "/invocations", told, QUESTION, False, "id")


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def chain(notes: Notes) -> AsyncIterator:
    """`chain(budget=…)`: retry and credentials before the real wire; whoever sleeps, sleeps a hundredth."""
    sweep = Sweep()
    sweep.start()
    wire = Wire(Limits(connect=1), sweep, {}, notes)

    def made(tokens: Tokens | None = None, **given) -> Handler:
        hurried = {"sleep": lambda seconds: asyncio.sleep(seconds / 100)} | given
        return compose([retry(notes, **hurried), credentials(tokens or Tokens({}), notes)], wire)

    yield made
    await wire.close()
    sweep.stop()


@asynccontextmanager
async def closed_port() -> AsyncIterator[sim.Agent]:
    async with sim.agent() as agent:
        await agent.port.close()
        yield agent


async def test_an_agent_that_is_restarted_meanwhile_runs_the_call_once_R01(chain, notes):
    async with closed_port() as agent:

        async def opening(seconds: float) -> None:
            await agent.port.open()

        reply = await chain(sleep=opening)(call(agent.url))
        assert (reply.status, agent.runs) == (200, 1)
        assert notes.attempts == [("none", "agent_unreachable"), ("full", "answered")]


async def test_an_agent_that_comes_up_later_runs_the_call_once_R08(chain, notes):
    async with closed_port() as agent:
        asked = 0

        async def opening(seconds: float) -> None:
            nonlocal asked
            asked += 1
            if asked == 5:
                await agent.port.open()

        reply = await chain(sleep=opening)(call(agent.url))
        assert (reply.status, agent.runs) == (200, 1)
        assert [visit.method for visit in agent.visits] == ["GET", "POST"]
        assert notes.attempts.count(("none", "agent_unreachable")) == 3 + 3


async def test_an_agent_behind_a_platforms_page_runs_the_call_once_R08(chain):
    async with sim.agent() as agent:
        agent.sleep()

        async def waking(seconds: float) -> None:
            if len(agent.visits) == 4:
                agent.wake()

        reply = await chain(sleep=waking)(call(agent.url))
        assert (reply.status, agent.runs) == (200, 1)
        assert [visit.method for visit in agent.visits] == ["POST", "GET", "GET", "GET", "GET", "POST"]


async def test_an_agent_that_is_not_running_is_given_up_with_the_next_step_R09(chain):
    async with closed_port() as agent:
        with pytest.raises(Refusal) as refused:
            await chain(budget=0.2)(call(agent.url))
        assert (refused.value.status, refused.value.code) == (503, "agent_unavailable")
        assert agent.url.removeprefix("http://") in refused.value.detail
        assert "It was waited for 0.2 s." in refused.value.detail
        assert refused.value.hint
        assert refused.value.retry_after


async def test_a_certificate_that_is_none_is_met_three_times_and_told_as_it_is_R01(chain, notes):
    async with sim.agent() as agent:
        with pytest.raises(Refusal) as refused:
            await chain()(call(agent.url.replace("http:", "https:")))
        assert (refused.value.code, refused.value.sent) == ("agent_tls_error", "none")
        assert notes.attempts == [("none", "agent_tls_error")] * 3
        assert agent.runs == 0


async def test_an_agent_that_hangs_up_after_reading_is_not_called_again_R02(chain):
    connections = 0

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Refusal) as refused:
            await chain()(call(f"http://127.0.0.1:{port}"))
    assert (refused.value.code, connections) == ("agent_broke_off", 1)


async def test_an_agent_that_does_not_accept_the_bearer_gets_another_and_runs_once_T08(chain):
    async with workspace() as one, sim.agent(bearer=one.accepts) as agent:
        own = Credential(
            "workspace", host=one.url, client_id=one.client_id, client_secret=Secret(one.client_secret)
        )
        tokens = Tokens({"default": own}, deadline=20)
        asking = chain(tokens)
        assert (await asking(call(agent.url, auth="app"))).status == 200
        one.revoke()
        assert (await asking(call(agent.url, auth="app"))).status == 200
        assert [visit.ran for visit in agent.visits] == [True, False, True]
        assert len(one.requests) == 2
        one.revoke()  # within 5 seconds of the last forced refresh, the agent's answer stands
        assert (await asking(call(agent.url, auth="app"))).status == 401
        assert len(one.requests) == 2
        await tokens.aclose()
