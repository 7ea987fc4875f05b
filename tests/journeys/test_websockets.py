"""WebSockets to an agent pass through as they are, with the rules of any other call around them. S20"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import WSMsgType
from journeys.conftest import Running, Start
from journeys.sockets import BINARY, CLOSE, MASK, PING, PONG, TEXT, Raw, Speaking, frame, raw, speaking
from wire.hostile import Peer, serving, until

AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
MIB = 1 << 20


@pytest.fixture
async def agent() -> AsyncIterator[Speaking]:
    async with speaking() as one:
        yield one


def at(sidecar: Running, path: str = "/ws") -> str:
    return f"{sidecar.egress}/agents/default{path}"


async def ended(sidecar: Running) -> dict[str, object]:
    """What is told of the last call, once none is open."""
    await asyncio.wait_for(sidecar.app.edge.idle.wait(), 5)
    return (await sidecar.calls())[0]


# --- what passes -------------------------------------------------------------------------------------------


async def test_text_and_bytes_of_every_size_pass_both_ways_and_the_subprotocol_is_agreed(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(agent.url)
    async with sidecar.http.ws_connect(at(sidecar), protocols=("other",), max_msg_size=0) as socket:
        assert socket.protocol == "other"
        for size in (0, 1, 125, 126, 65_535, 65_536, 4 * MIB):
            await socket.send_str("é" * (size // 2))
            assert (await socket.receive()).data == "é" * (size // 2)
            await socket.send_bytes(bytes(range(256)) * (size // 256))
            assert (await socket.receive()).data == bytes(range(256)) * (size // 256)
        await socket.ping(b"still there?")  # the server's pong is taken by the client
        await socket.send_str("yes")
        assert (await socket.receive()).data == "yes"
    assert await agent.closed.get() == 1000
    assert await ended(sidecar) | {"outcome": "ok", "status": 101, "stream": "tunnel"} == await ended(sidecar)


async def test_compressed_messages_pass_as_they_are(start: Start, agent: Speaking) -> None:
    sidecar = await start(agent.url)
    async with sidecar.http.ws_connect(at(sidecar), compress=15) as socket:
        assert socket.compress == 15
        await socket.send_str("squeezed " * 5000)
        assert (await socket.receive()).data == "squeezed " * 5000


async def test_a_message_in_fragments_with_a_ping_among_them_arrives_as_one(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(agent.url)
    async with raw(at(sidecar)) as caller:
        assert caller.status == 101
        caller.say(b"one ", TEXT, final=False)
        caller.say(b"are you there", PING)
        caller.say(b"two ", 0, final=False)
        caller.say(b"three", 0)
        assert await caller.said() == (0x80 | PONG, b"are you there")
        assert await caller.said() == (0x80 | TEXT, b"one two three")


async def test_frames_pass_however_they_are_cut(start: Start, agent: Speaking) -> None:
    sidecar = await start(agent.url)
    async with raw(at(sidecar)) as caller:
        for byte in frame(b"byte by byte", TEXT, MASK):
            caller.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await caller.said() == (0x80 | TEXT, b"byte by byte")


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
async def test_the_agents_close_code_reaches_the_caller(start: Start, agent: Speaking, code: int) -> None:
    sidecar = await start(agent.url)
    async with sidecar.http.ws_connect(at(sidecar)) as socket:
        await socket.send_str(f"close {code}")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, "as asked")
    assert (await ended(sidecar))["outcome"] == "ok"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
async def test_the_callers_close_code_reaches_the_agent(start: Start, agent: Speaking, code: int) -> None:
    sidecar = await start(agent.url)
    async with sidecar.http.ws_connect(at(sidecar)) as socket:
        await socket.close(code=code)
    assert await agent.closed.get() == code
    assert (await ended(sidecar))["outcome"] == "ok"


async def test_what_follows_a_handshake_in_the_same_piece_is_not_lost(start: Start) -> None:
    async def eager(peer: Peer) -> None:
        head = await peer.asked()
        assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in head.lower()
        await peer.send(AGREED + frame(b"first word"))
        assert await peer.reader.readexactly(len(early)) == early
        await peer.send(frame(b"\x03\xe8", CLOSE))
        await peer.left()

    early = frame(b"mine", TEXT, MASK)
    async with serving(eager) as server:
        sidecar = await start(server.url)
        async with raw(at(sidecar), early=early) as caller:
            assert await caller.said() == (0x80 | TEXT, b"first word")
            assert await caller.said() == (0x80 | CLOSE, b"\x03\xe8")


async def test_a_half_that_is_closed_leaves_the_other_open(start: Start) -> None:
    async def listening(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED)
        assert await peer.reader.read() == frame(b"my last", TEXT, MASK)  # to its end
        await peer.send(frame(b"and mine"), frame(b"\x03\xe8", CLOSE))

    async with serving(listening) as server:
        sidecar = await start(server.url)
        async with raw(at(sidecar)) as caller:
            caller.say(b"my last")
            caller.writer.write_eof()
            assert await caller.said() == (0x80 | TEXT, b"and mine")
            assert await caller.said() == (0x80 | CLOSE, b"\x03\xe8")
            assert await caller.reader.read() == b""
        assert (await ended(sidecar))["outcome"] == "ok"


async def test_a_half_that_stays_silent_is_not_kept_for_ever(start: Start) -> None:
    async def gone(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED)

    async with serving(gone) as server:
        sidecar = await start(server.url, WRITE_TIMEOUT="300ms")
        async with raw(at(sidecar)) as caller:
            assert await caller.reader.read() == b""
            assert (await ended(sidecar))["outcome"] == "agent_broke_off"


async def test_many_at_once_get_what_is_theirs(start: Start, agent: Speaking) -> None:
    sidecar = await start(agent.url)

    async def one(number: int) -> None:
        async with sidecar.http.ws_connect(at(sidecar), max_msg_size=0) as socket:
            for turn in range(5):
                await socket.send_bytes(bytes([number]) * (turn * 20_000 + number))
                assert (await socket.receive()).data == bytes([number]) * (turn * 20_000 + number)

    await asyncio.gather(*map(one, range(40)))
    assert await sidecar.metric("sidecar_requests_total", outcome="ok", door="egress") == 40


# --- the rules around it -----------------------------------------------------------------------------------


async def test_a_handshake_carries_the_agents_credential_and_nobodys_word_about_the_caller(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(
        agent.url, AGENTS__DEFAULT__AUTH="static", AGENTS__DEFAULT__TOKEN="s3cret", EGRESS_KEY="accepted"
    )
    claimed = {"Authorization": "Bearer mine", "Cookie": "a=b", "X-Forwarded-Host": "evil.test"}
    async with sidecar.http.ws_connect(at(sidecar, "/ws?room=a+b"), headers=claimed):
        pass
    (handshake,) = agent.handshakes
    assert handshake.headers.getall("Authorization") == ["Bearer s3cret"]
    assert handshake.raw_path == "/ws?room=a+b"
    assert not {"Cookie", "X-Forwarded-Host"} & set(handshake.headers)
    assert handshake.headers["Via"] == "1.1 agent-sidecar"
    assert handshake.headers["Connection"] == "Upgrade"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.test"},
    ],
)
async def test_another_sites_page_opens_no_socket(
    start: Start, agent: Speaking, headers: dict[str, str]
) -> None:
    sidecar = await start(agent.url)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await sidecar.http.ws_connect(at(sidecar), headers=headers)
    assert refused.value.status in (403, 421)
    assert agent.handshakes == []


async def test_a_page_of_a_listed_origin_does(start: Start, agent: Speaking) -> None:
    sidecar = await start(agent.url, ORIGINS="https://app.test")
    async with sidecar.http.ws_connect(at(sidecar), origin="https://app.test") as socket:
        await socket.send_str("hello")
        assert (await socket.receive()).data == "hello"


async def test_an_agent_may_refuse_and_the_connection_serves_the_next_request(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(agent.url)
    async with raw(at(sidecar, "/elsewhere")) as caller:
        assert caller.status == 403
        assert await caller.reader.readexactly(16) == b'{"no": "socket"}'
        caller.writer.write(b"GET /agents/default/again HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")


UNASKED = [
    (AGREED, ()),
    (AGREED.replace(b"WebSocket", b"h2c"), ("Upgrade: websocket", "Connection: Upgrade")),
    (AGREED.replace(b"WebSocket", b"websocket, h2c"), ("Upgrade: websocket", "Connection: Upgrade")),
    (AGREED.replace(b"Upgrade: WebSocket\r\n", b""), ("Upgrade: websocket", "Connection: Upgrade")),
    (AGREED, ("Upgrade: h2c", "Connection: Upgrade")),
    (AGREED, ("Upgrade: websocket", "Connection: close")),
]


@pytest.mark.parametrize(("answer", "asked"), UNASKED)
async def test_a_101_that_was_not_asked_for_is_no_answer(
    start: Start, answer: bytes, asked: tuple[str, ...]
) -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.asked()
        await peer.send(answer)
        await peer.left()

    async with serving(behaviour) as server:
        sidecar = await start(server.url)
        named = dict(line.split(": ") for line in asked)
        refused = await sidecar.http.get(at(sidecar), headers=named)
        assert refused.status == 502
        assert (await refused.json())["error"] == "agent_protocol_error"
        await server.empty()


async def test_no_other_upgrade_reaches_an_agent(start: Start) -> None:
    async with serving(lambda peer: peer.asked()) as server:  # type: ignore[arg-type, return-value]
        sidecar = await start(server.url)
        h2c = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP"}
        await sidecar.http.get(at(sidecar), headers=h2c)
        posted = {"Upgrade": "websocket", "Connection": "Upgrade"}
        await sidecar.http.post(at(sidecar), headers=posted, data=b"x" * 10)
        heads = [request.partition(b"\r\n\r\n")[0].lower() for request in server.requests]
        assert heads
        assert not any(b"upgrade" in head or b"http2-settings" in head for head in heads)


# --- to the app behind the front ---------------------------------------------------------------------------


async def test_the_app_behind_the_front_gets_its_handshakes_as_they_came(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(agent.url, FRONTEND_URL=agent.url)
    said = {"Cookie": "session=1", "Authorization": "Basic eA==", "Origin": "https://anywhere.test"}
    async with sidecar.http.ws_connect(f"{sidecar.front}/ws", headers=said, protocols=("chat",)) as socket:
        assert socket.protocol == "chat"
        await socket.send_bytes(bytes(MIB))
        assert (await socket.receive()).data == bytes(MIB)
        assert await sidecar.metric("sidecar_tunnels_active", door="front") == 1
        await socket.close(code=4001)
    assert await agent.closed.get() == 4001
    (handshake,) = agent.handshakes
    assert {name: handshake.headers[name] for name in said} == said


@pytest.mark.parametrize("path", ["/ws", "/elsewhere"])
async def test_an_app_that_breaks_off_or_refuses_is_told_as_the_app(start: Start, path: str) -> None:
    async def behaviour(peer: Peer) -> None:
        if b" /elsewhere " in await peer.asked():
            await peer.send(AGREED.replace(b"WebSocket", b"h2c"))
            return
        await peer.send(AGREED, frame(b"hello"))
        await peer.reader.readexactly(1)

    async with serving(behaviour) as server:
        sidecar = await start(server.url, FRONTEND_URL=server.url)
        async with raw(f"{sidecar.front}{path}") as caller:
            if path == "/elsewhere":
                assert caller.status == 502
            else:
                assert await caller.said() == (0x80 | TEXT, b"hello")
                caller.say(b"bye")
                assert await caller.reader.read() == b""
        await until(lambda: not sidecar.app.relays.open)
        assert await sidecar.metric("sidecar_requests_total", door="front", outcome="frontend_broke_off") == 1


# --- who ends it -------------------------------------------------------------------------------------------


async def test_a_caller_who_leaves_closes_the_agent(start: Start, agent: Speaking) -> None:
    sidecar = await start(agent.url)
    async with raw(at(sidecar)) as caller:
        caller.say(b"hello")
        await caller.said()
        assert await sidecar.metric("sidecar_tunnels_active", door="egress") == 1
        (call,) = await sidecar.calls()
        assert (call["outcome"], call["stream"]) == (None, "tunnel")
        caller.writer.transport.abort()
        assert await asyncio.wait_for(agent.closed.get(), 1) in (None, 1006)
    assert (await ended(sidecar))["outcome"] == "caller_left"
    assert await sidecar.metric("sidecar_tunnels_active", door="egress") == 0


@pytest.mark.parametrize("cut", [Peer.close, Peer.abort])
async def test_an_agent_that_leaves_without_a_word_has_broken_off(start: Start, cut: object) -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED, frame(b"hello"))
        await peer.reader.readexactly(1)
        cut(peer)  # type: ignore[operator]

    async with serving(behaviour) as server:
        sidecar = await start(server.url)
        async with raw(at(sidecar)) as caller:
            assert await caller.said() == (0x80 | TEXT, b"hello")
            caller.say(b"bye")
            assert await caller.reader.read() == b""
        call = await ended(sidecar)
        assert (call["outcome"], call["status"]) == ("agent_broke_off", 101)
        await server.empty()


async def test_a_caller_who_takes_nothing_holds_the_agent_back_and_is_cut(start: Start) -> None:
    sent = 0

    async def flooding(peer: Peer) -> None:
        nonlocal sent
        await peer.asked()
        await peer.send(AGREED)
        while True:
            peer.writer.write(frame(bytes(MIB), BINARY))
            sent += MIB
            await peer.writer.drain()

    async with serving(flooding) as server:
        sidecar = await start(server.url, WRITE_TIMEOUT="400ms")
        async with raw(at(sidecar)) as caller:
            caller.writer.transport.pause_reading()
            (answer,) = sidecar.app.edge.open.values()
            near = answer.request.connection.transport
            assert near is not None
            await until(near.get_write_buffer_size)
            while sidecar.app.edge.open:
                assert near.get_write_buffer_size() <= 384 << 10
                await asyncio.sleep(0.01)
            assert (await ended(sidecar))["outcome"] == "caller_stalled"
            assert sent < 40 * MIB  # what the sockets between take, and no more
        await server.empty()


async def flooded(caller: Raw) -> None:
    for _ in range(64):
        caller.say(bytes(MIB), BINARY)
        await caller.writer.drain()


async def test_an_agent_that_takes_nothing_holds_the_caller_back_and_is_cut(start: Start) -> None:
    async def deaf(peer: Peer) -> None:
        await peer.asked()
        peer.writer.transport.pause_reading()
        await peer.send(AGREED)
        await asyncio.sleep(20)

    async with serving(deaf) as server:
        sidecar = await start(server.url, TIMEOUTS__GAP="400ms")
        async with raw(at(sidecar)) as caller:
            with pytest.raises(ConnectionError):
                await flooded(caller)
        assert (await ended(sidecar))["outcome"] == "agent_gap_timeout"


async def test_a_silent_socket_gets_pings_on_both_sides(start: Start) -> None:
    heard = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED)
        first, second = await peer.reader.readexactly(2)
        assert (first, second) == (0x80 | PING, 0x80)  # masked, as every frame to a server is
        heard.set()
        await peer.left()

    async with serving(silent) as server:
        sidecar = await start(server.url, WEBSOCKET_PING="100ms")
        async with raw(at(sidecar)) as caller:
            assert await asyncio.wait_for(caller.said(), 2) == (0x80 | PING, b"")
            await asyncio.wait_for(heard.wait(), 2)


async def test_no_ping_stands_inside_a_frame(start: Start) -> None:
    async def slow(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED, frame(b"in two parts")[:5])
        await peer.reader.readexactly(6)  # the ping, which may stand on this side
        await peer.send(frame(b"in two parts")[5:])
        await peer.left()

    async with serving(slow) as server:
        sidecar = await start(server.url, WEBSOCKET_PING="100ms")
        async with raw(at(sidecar)) as caller:
            assert await asyncio.wait_for(caller.said(), 2) == (0x80 | TEXT, b"in two parts")


# --- the end of the process --------------------------------------------------------------------------------


async def test_at_the_end_both_sides_are_told_that_the_service_restarts(
    start: Start, agent: Speaking
) -> None:
    sidecar = await start(agent.url)
    async with sidecar.http.ws_connect(at(sidecar)) as socket:
        await socket.send_str("hello")
        await socket.receive()
        sidecar.app.edge.drain()
        assert (await socket.receive()).data == 1012
        assert await agent.closed.get() == 1012
    assert (await ended(sidecar))["outcome"] == "draining"


async def test_the_last_word_waits_for_the_end_of_a_frame(start: Start) -> None:
    proceed = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED, frame(b"in two parts")[:5])
        await proceed.wait()
        await peer.send(frame(b"in two parts")[5:] + frame(b"too late"))
        await peer.left()

    async with serving(slow) as server:
        sidecar = await start(server.url)
        async with raw(at(sidecar)) as caller:
            assert await caller.reader.readexactly(5) == frame(b"in two parts")[:5]
            sidecar.app.edge.drain()
            proceed.set()
            rest = frame(b"in two parts")[5:] + frame((1012).to_bytes(2, "big"), CLOSE)
            assert await caller.reader.read() == rest
        await server.empty()


async def test_nobody_has_to_answer_the_last_word(start: Start) -> None:
    async def rude(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED)
        while data := await peer.reader.read(65536):
            assert data

    async with serving(rude) as server:
        sidecar = await start(server.url)
        async with raw(at(sidecar)):
            began = asyncio.get_running_loop().time()
            sidecar.app.edge.drain()
            await asyncio.wait_for(sidecar.app.edge.idle.wait(), 2)
            assert asyncio.get_running_loop().time() - began < 1
        await server.empty()
