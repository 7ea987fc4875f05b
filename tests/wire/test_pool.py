"""Which connection a call gets: the one used last, never a doubtful one, and never more than there may be."""

import asyncio

import pytest
from wire.calls import asking, fetching
from wire.hostile import Peer, always, answering, serving, until
from wire.test_request import HI
from wire.test_sent import SSE, refusal

from sidecar.wire.connection import QUIET
from sidecar.wire.pool import LOOPBACK, REMOTE, Pool


def pool_of(wire) -> Pool:
    (pool,) = wire.pools.values()
    return pool


async def test_calls_one_after_another_share_a_connection(wire):
    async with serving(always(HI)) as agent:
        for _ in range(5):
            await wire(asking(agent.url))
        assert (agent.connections, len(pool_of(wire).idle)) == (1, 1)


async def test_calls_at_once_have_one_each_and_the_one_used_last_is_used_first(wire):
    async with serving(always(HI)) as agent:
        await asyncio.gather(*(wire(asking(agent.url)) for _ in range(3)))
        assert agent.connections == 3
        last = pool_of(wire).idle[-1]
        for _ in range(3):
            await wire(asking(agent.url))
            assert pool_of(wire).idle[-1] is last
        assert agent.connections == 3


async def test_agents_at_one_origin_share_its_connections(wire):
    async with serving(always(HI)) as agent:
        await wire(asking(agent.url + "/one"))
        await wire(asking(agent.url + "/two"))
        assert agent.connections == 1


ODD = {
    "closed by its own word": HI.replace(b"Content-Type", b"Connection: close\r\nContent-Type"),
    "HTTP/1.0": HI.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "more than the answer": HI + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "a byte more": HI + b" ",
    "P05 a body where there is none": b"HTTP/1.1 204 No Content\r\n\r\n{}",
    "P06 an end that is the connection's": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
}


@pytest.mark.parametrize("name", ODD)
async def test_a_connection_is_not_used_again_after(wire, name):
    async def once(peer: Peer) -> None:
        await peer.asked()
        await peer.send(ODD[name])
        if "P06" in name:
            peer.close()
        await peer.left()

    async with serving(once) as agent:
        for number in (1, 2):
            reply = await wire(asking(agent.url))
            assert reply.body.raw == (b"" if "P05" in name else b"{}")
            assert agent.connections == number
        await agent.empty()


async def test_p05_a_head_is_asked_for_on_a_connection_that_is_kept(wire):
    async with serving(always(HI.removesuffix(b"{}"))) as agent:
        for _ in range(2):
            reply = await wire(fetching(agent.url, method="HEAD"))
            assert (reply.headers["Content-Length"], await reply.body.head()) == ("2", b"")
        assert agent.connections == 1


async def test_p05_a_body_behind_a_head_that_was_asked_for_is_no_answer_to_the_next_question(wire):
    """aiohttp's server sends one where its handler streams, with no length in the head."""

    async def streaming(peer: Peer) -> None:
        await peer.asked()
        await peer.send(HI.replace(b"Content-Length: 2\r\n", b"").removesuffix(b"{}"))
        await asyncio.sleep(0.01)
        await peer.send(HI.replace(b"{}", b"!!"))
        await peer.asked()

    async with serving(streaming) as agent:
        for _ in range(2):
            reply = await wire(fetching(agent.url, method="HEAD"))
            assert (reply.status, await reply.body.head()) == (200, b"")
        assert agent.connections == 2


async def test_bytes_that_nobody_asked_for_close_a_connection(wire):
    async def talkative(peer: Peer) -> None:
        await peer.asked()
        await peer.send(HI)
        await asyncio.sleep(0.02)
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.left()

    async with serving(talkative) as agent:
        await wire(asking(agent.url))
        await agent.empty()
        assert (await wire(asking(agent.url))).status == 200
        assert agent.connections == 2


async def test_r03_a_connection_that_the_agent_has_closed_is_not_used(wire):
    async with serving(answering(HI)) as agent:
        for _ in range(5):
            assert (await wire(asking(agent.url))).status == 200
            await agent.empty()
            while not pool_of(wire).idle[-1].transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert agent.connections == 5


async def test_r03_a_close_that_the_loop_has_not_seen_yet_is_seen_by_asking_the_socket(wire):
    async with serving(answering(HI)) as agent:
        await wire(asking(agent.url))
        connection = pool_of(wire).idle.pop()
        connection.transport.pause_reading()  # as if the loop were busy
        await agent.empty()
        assert connection.usable(connection.idle_since + QUIET / 2, LOOPBACK)
        assert not connection.usable(connection.idle_since + 1.0, LOOPBACK)
        connection.transport.abort()


async def test_a_connection_that_was_idle_for_too_long_is_closed_and_not_used(wire):
    async with serving(always(HI)) as agent:
        await wire(asking(agent.url))
        pool = pool_of(wire)
        assert pool.lifetime == LOOPBACK
        pool.lifetime = 0.05
        await agent.empty()  # the sweep has closed it
        assert (len(pool.idle), len(pool.open)) == (0, 0)
        pool.lifetime = -1.0
        await wire(asking(agent.url))
        await wire(asking(agent.url))
        assert agent.connections == 3


@pytest.mark.parametrize(
    ("url", "lifetime"),
    [
        ("http://127.0.0.1:1", LOOPBACK),
        ("http://localhost:1", LOOPBACK),
        ("http://[::1]:1", LOOPBACK),
        ("https://127.0.0.1:1", REMOTE),
        ("http://agent.test:1", REMOTE),
    ],
)
async def test_how_long_a_connection_is_kept_follows_where_it_leads(wire, url, lifetime):
    pool, _, _ = wire._place(asking(url))
    assert pool.lifetime == lifetime


class Held:
    """An agent that answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while await peer.asked():
            await self.go.wait()
            await peer.send(HI)


async def full(wire, agent, waiting: int = 1) -> list[asyncio.Task]:
    """The pool's two connections in use, and callers who wait."""
    pool, _, _ = wire._place(asking(agent.url))
    pool.connections, pool.waiting = 2, waiting
    tasks = [asyncio.create_task(wire(asking(agent.url))) for _ in range(2 + waiting)]
    await until(lambda: len(agent.requests) == 2 and len(pool.waiters) == waiting)
    return tasks


async def test_who_finds_all_connections_in_use_waits_for_one(wire):
    held = Held()
    async with serving(held) as agent:
        tasks = await full(wire, agent, waiting=3)
        held.go.set()
        assert [reply.status for reply in await asyncio.gather(*tasks)] == [200] * 5
        assert agent.connections == 2


async def test_whoever_finds_too_many_waiting_is_refused_at_once(wire, notes):
    held = Held()
    async with serving(held) as agent:
        tasks = await full(wire, agent)
        refused = await refusal(wire, asking(agent.url))
        assert (refused.status, refused.code, refused.sent) == (503, "overloaded", "none")
        assert refused.retry_after
        held.go.set()
        await asyncio.gather(*tasks)


async def test_waiting_for_a_connection_has_an_end(wired):
    wire, held = wired(connect=0.1), Held()
    async with serving(held) as agent:
        *busy, waiting = await full(wire, agent)
        with pytest.raises(Exception, match="overloaded"):
            await waiting
        held.go.set()
        await asyncio.gather(*busy)
        assert not pool_of(wire).waiters or pool_of(wire).waiters[0][0].done()


async def test_a_connection_that_is_lost_lets_the_next_one_open_another(wire):
    async def dying(peer: Peer) -> None:
        await peer.asked()
        await asyncio.sleep(0.03)
        if peer.server.connections > 2:
            await peer.send(HI)
        peer.abort()

    async with serving(dying) as agent:
        *broken, waiting = await full(wire, agent)
        await asyncio.gather(*broken, return_exceptions=True)
        assert (await waiting).status == 200


async def test_who_leaves_while_waiting_leaves_the_place_to_the_next(wire):
    held = Held()
    async with serving(held) as agent:
        one, two, leaving, staying = await full(wire, agent, waiting=2)
        leaving.cancel()
        held.go.set()
        assert (await asyncio.gather(one, two, staying))[2].status == 200
        pool = pool_of(wire)
        assert (len(pool.open), len(pool.idle)) == (2, 2)


async def test_who_leaves_while_connecting_leaves_no_socket(wire):
    async with serving(always(HI)) as agent:
        for turns in range(12):
            asked = asyncio.create_task(wire(asking(agent.url)))
            for _ in range(turns):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        pool = pool_of(wire)
        await until(lambda: agent.open == len(pool.open) == len(pool.idle) <= 1)  # the one that had answered
        assert (await wire(asking(agent.url))).status == 200


async def test_closing_the_wire_closes_every_socket_and_ends_every_call(wired):
    wire, held = wired(), Held()
    async with serving(held) as agent:
        tasks = await full(wire, agent)
        await wire.close()
        endings = await asyncio.gather(*tasks, return_exceptions=True)
        assert {ending.code for ending in endings} == {"agent_broke_off", "draining"}
        assert not pool_of(wire).open
        assert (await refusal(wire, asking(agent.url))).code == "draining"


async def test_many_streams_do_not_keep_a_question_waiting(wire):
    async def streaming(peer: Peer) -> None:
        asked = await peer.asked()
        await peer.send(HI if b"/quick" in asked else SSE + b"9\r\ndata: 1\n\n\r\n")
        await peer.left()

    async with serving(streaming) as agent:
        replies = await asyncio.gather(*(wire(asking(agent.url, stream=True)) for _ in range(200)))
        assert (await asyncio.wait_for(wire(asking(agent.url, "/quick")), 2)).status == 200
        for reply in replies:
            await reply.close("caller_left")
        await until(lambda: agent.open == 1)  # the one that is kept
