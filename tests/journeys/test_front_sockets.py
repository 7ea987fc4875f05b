"""WebSockets through the front: tunnels to the app, which hears who calls as with any request. S20"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from journeys import frontends
from journeys.conftest import Running, Start
from journeys.frontends import App
from yarl import URL

from sidecar import sim

MIB = 1 << 20


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with frontends.app() as one:
        yield one


@pytest.fixture
async def beside(start: Start, agent: sim.Agent, app: App) -> Running:
    return await start(agent.url, FRONTEND_URL=app.url)


async def test_s20_messages_of_every_size_pass_both_ways_and_the_subprotocol_is_agreed(
    beside: Running, app: App
) -> None:
    async with beside.http.ws_connect(
        URL(f"{beside.front}/ws?room=%2F1", encoded=True), protocols=("unknown", "chat.v1"), max_msg_size=0
    ) as socket:
        assert socket.protocol == "chat.v1"
        for size in (0, 1, 125, 126, 65_536, 4 * MIB):
            await socket.send_bytes(bytes(size))
            assert (await socket.receive()).data == bytes(size)
        await socket.send_str("grüße")
        assert (await socket.receive()).data == "grüße"
    assert app.asked[-1]["target"] == "/ws?room=%2F1"


async def test_s20_the_apps_close_code_and_reason_reach_the_browser(beside: Running) -> None:
    async with beside.http.ws_connect(f"{beside.front}/ws") as socket:
        await socket.send_str("close")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4242, "as you wish")
    assert beside.app.relays is not None
    await asyncio.wait_for(beside.app.relays.idle.wait(), 5)
    assert await beside.metric("sidecar_requests_total", route="frontend", outcome="ok") == 1


async def test_the_handshake_says_who_calls_as_any_request_does(
    start: Start, agent: sim.Agent, app: App
) -> None:
    mine = {"Cookie": "session=abc", "Origin": "https://app.example", "X-Forwarded-Email": "ada@example.org"}
    believed = await start(agent.url, FRONTEND_URL=app.url, TRUST="127.0.0.0/8")
    async with believed.http.ws_connect(f"{believed.front}/ws", headers=mine):
        assert {name: app.header(name) for name in mine} == mine
    stranger = await start(agent.url, FRONTEND_URL=app.url)
    async with stranger.http.ws_connect(f"{stranger.front}/ws", headers=mine):
        assert app.header("X-Forwarded-Email") is None
        assert app.header("Cookie") == "session=abc"
        assert app.header("Host") == stranger.front.removeprefix("http://")
        assert app.header("X-Forwarded-For") == "127.0.0.1"


async def test_an_app_that_refuses_the_handshake_is_heard(beside: Running, app: App) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await beside.http.ws_connect(f"{beside.front}/early")
    assert refused.value.status == 413


async def test_no_other_upgrade_reaches_the_app(beside: Running, app: App) -> None:
    """F27"""
    h2c = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    assert (await beside.http.get(f"{beside.front}/", headers=h2c)).status == 200
    assert (app.header("Upgrade"), app.header("HTTP2-Settings")) == (None, None)


async def test_at_the_end_both_sides_are_told_that_the_service_restarts(beside: Running) -> None:
    async with beside.http.ws_connect(f"{beside.front}/ws", autoclose=False) as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"
        assert beside.app.relays is not None
        beside.app.relays.drain()
        message = await asyncio.wait_for(socket.receive(), 1)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        await asyncio.wait_for(beside.app.relays.idle.wait(), 1)
    assert await beside.metric("sidecar_requests_total", route="frontend", outcome="draining") == 1


async def test_an_app_that_leaves_a_socket_without_a_word_has_broken_off(beside: Running, app: App) -> None:
    async with beside.http.ws_connect(f"{beside.front}/ws") as socket:
        await socket.send_str("hello")
        await socket.receive()
        app.cut()
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert beside.app.relays is not None
    await asyncio.wait_for(beside.app.relays.idle.wait(), 5)
    assert await beside.metric("sidecar_requests_total", route="frontend", outcome="frontend_broke_off") == 1
