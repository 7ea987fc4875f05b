"""What was sent, told honestly for every way in which an exchange can fail, and what is made of it."""

import asyncio
import socket
import struct
from typing import Any

import pytest
from wire.calls import QUESTION, Notes, asking, fetching
from wire.hostile import Peer, always, answering, serving
from wire.test_reading import CHUNKED, REFUSED
from wire.test_request import HI, Pieces

from middleware.chain import compose
from middleware.exchange import Call
from middleware.retry import retry
from policies.refusal import Refusal

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def refusal(wire, call) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await wire(call)
    return refused.value


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_http_is_a_502_and_costs_the_connection(wire, notes, name):
    data, code = REFUSED[name]

    async def sending(peer: Peer) -> None:
        await peer.asked()
        await peer.send(data[: len(data) // 2], data[len(data) // 2 :])
        if code == "agent_broke_off":
            peer.close()
        await peer.left()

    async with serving(sending) as agent:
        refused = await refusal(wire, asking(agent.url))
        assert (refused.status, refused.code, refused.sent) == (502, code, "full")
        assert refused.detail
        assert refused.hint
        assert notes.attempts == [("full", code)]
        await agent.empty()
        assert [len(pool.open) for pool in wire.pools.values()] == [0]


async def test_a_port_where_nobody_listens_has_been_sent_nothing(wire, notes):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        refused = await refusal(wire, asking(f"http://127.0.0.1:{probe.getsockname()[1]}"))
    assert (refused.status, refused.code, refused.sent) == (502, "agent_unreachable", "none")
    assert "Nothing listens" in refused.detail
    assert notes.attempts == [("none", "agent_unreachable")]


async def test_a_question_that_hangs_until_the_budget_is_spent_is_told_so_and_no_caller_has_left(wired):
    """An app that is being started takes connections, and says nothing yet."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))

        class Starting(Notes):
            def note(self, call: Call, what: str, value: Any) -> None:
                super().note(call, what, value)
                if what == "cold_start":
                    there.listen()

        asked = compose([retry(notes := Starting(), budget=0.5)], wired(notes=notes))
        refused = await refusal(asked, asking(f"http://127.0.0.1:{there.getsockname()[1]}"))
    assert (refused.code, refused.sent) == ("agent_unavailable", "none")
    *before, last = notes.attempts
    assert set(before) == {("none", "agent_unreachable")}
    assert last == ("full", "agent_unavailable")


@pytest.mark.parametrize(("said", "result"), [("draining", "draining"), ("whatever else", "caller_left")])
async def test_a_call_that_somebody_ends_is_told_with_their_reason(wire, notes, said, result):
    asked = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.asked()
        asked.set()
        await peer.left()

    async with serving(silent) as agent:
        calling = asyncio.create_task(wire(asking(agent.url)))
        await asked.wait()
        calling.cancel(said)
        with pytest.raises(asyncio.CancelledError):
            await calling
    assert notes.attempts == [("full", result)]


async def test_a_name_that_is_unknown_has_been_sent_nothing(wire, notes, monkeypatch):
    async def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    refused = await refusal(wire, asking("http://agent.invalid"))
    assert (refused.code, refused.sent) == ("agent_unreachable", "none")
    assert "does not resolve" in refused.detail


async def test_names_are_resolved_again_once_they_may_have_moved(wired, monkeypatch):
    asked = []

    async def local(host, port, **_):
        if host == "agent.test":
            asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", local)
    async with serving(answering(HI)) as agent:
        url = agent.url.replace("127.0.0.1", "agent.test")
        wire = wired()
        await asyncio.gather(*(wire(asking(url)) for _ in range(5)))
        assert asked == ["agent.test"]  # five connections, one question
        async with asyncio.timeout(2):  # until we have seen that they are closed
            while any(pool.open for pool in wire.pools.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert (await refusal(wire, asking(url))).code == "agent_unreachable"
    assert (await refusal(wire, asking(url))).code == "agent_unreachable"
    assert len(asked) == 2


async def test_a_connection_that_is_not_accepted_in_time_has_been_sent_nothing(wired):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        waiting = []
        for _ in range(4):  # whoever comes now is not even told that there is a queue
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        refused = await refusal(wired(connect=0.2), asking(f"http://127.0.0.1:{port}"))
        for one in waiting:
            one.close()
    assert (refused.status, refused.code, refused.sent) == (504, "agent_connect_timeout", "none")
    assert "SIDECAR_TIMEOUTS__CONNECT" in refused.hint


async def test_an_agent_that_hangs_up_has_been_sent_everything(wire, notes):
    async def hanging_up(peer: Peer) -> None:
        await peer.asked()
        peer.abort()

    async with serving(hanging_up) as agent:
        refused = await refusal(wire, asking(agent.url))
    assert (refused.code, refused.sent, refused.stale) == ("agent_broke_off", "full", False)


async def test_r02_a_reset_after_the_first_byte_is_sent_full_and_no_post_is_repeated(wire, notes):
    async def resetting(peer: Peer) -> None:
        await peer.asked()
        await peer.send(b"H")
        peer.abort()

    async with serving(resetting) as agent:
        refused = await refusal(compose([retry(notes)], wire), asking(agent.url))
        assert (refused.code, refused.sent) == ("agent_broke_off", "full")
        assert agent.connections == 1
        assert notes.attempts == [("full", "agent_broke_off")]


async def keeping(peer: Peer) -> None:
    """Answers one request of a connection, and at the next one hangs up."""
    await peer.asked()
    await peer.send(HI)
    await peer.asked()
    peer.abort()


async def test_r03_a_post_on_a_kept_connection_that_dies_is_not_repeated(wire, notes):
    async with serving(keeping) as agent:
        asked = compose([retry(notes)], wire)
        await asked(asking(agent.url))
        refused = await refusal(asked, asking(agent.url))
        assert (refused.code, refused.sent, refused.stale) == ("agent_broke_off", "full", True)
        assert len(agent.requests) == 2
        assert notes.attempts == [("full", "answered"), ("full", "agent_broke_off")]


async def test_r04_a_get_on_a_kept_connection_that_dies_is_sent_once_more_and_both_are_counted(wire, notes):
    async with serving(keeping) as agent:
        asked = compose([retry(notes, spread=lambda: 0.0)], wire)
        await asked(asking(agent.url))
        reply = await asked(fetching(agent.url))
        assert reply.status == 200
        assert (agent.connections, len(agent.requests)) == (2, 3)
        assert notes.attempts == [("full", "answered"), ("full", "agent_broke_off"), ("full", "answered")]


async def test_r04_a_get_that_dies_on_a_fresh_connection_is_not_repeated(wire, notes):
    async def hanging_up(peer: Peer) -> None:
        await peer.asked()
        peer.abort()

    async with serving(hanging_up) as agent:
        assert (await refusal(compose([retry(notes)], wire), fetching(agent.url))).code == "agent_broke_off"
        assert agent.connections == 1


async def test_r07_an_upload_that_has_begun_is_not_kept_and_not_repeated(wire, notes):
    read = []

    class Counted(Pieces):
        async def chunks(self):
            async for piece in super().chunks():
                read.append(piece)
                yield piece

    async def hanging_up(peer: Peer) -> None:
        await peer.reader.readuntil(b"a\r\n")
        peer.abort()

    upload = Counted(b"a", *[b"b"] * 500)
    async with serving(hanging_up) as agent:
        call = fetching(agent.url, method="POST", body=upload)
        refused = await refusal(compose([retry(notes)], wire), call)
        assert (refused.code, refused.sent) == ("agent_broke_off", "partial")
        assert agent.connections == 1
        assert notes.attempts == [("partial", "agent_broke_off")]
        assert len(read) < 501


async def test_r07_an_upload_for_an_agent_that_is_not_there_was_not_touched(wire):
    class Untouched(Pieces):
        async def chunks(self):
            raise AssertionError("it was read")
            yield b""

    refused = await refusal(wire, fetching("http://127.0.0.1:1", method="POST", body=Untouched()))
    assert (refused.code, refused.sent) == ("agent_unreachable", "none")


async def test_p03_a_whole_answer_that_breaks_off_is_no_answer(wire):
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[1, 2"
    for framed in (whole, CHUNKED + b"4\r\n[1, \r\n"):
        async with serving(answering(framed)) as agent:
            assert (await refusal(wire, asking(agent.url))).code == "agent_broke_off"


async def test_p03_a_stream_that_breaks_off_gives_what_came_and_then_says_so(wire):
    async with serving(answering(SSE + b"9\r\ndata: 1\n\n\r\n9\r\nda")) as agent:
        reply = await wire(asking(agent.url, stream=True))
        chunks = reply.body.chunks()
        assert await anext(chunks) == b"data: 1\n\nda"
        with pytest.raises(Refusal) as refused:
            await anext(chunks)
        assert refused.value.code == "agent_broke_off"


async def test_p06_a_body_that_ends_with_the_connection_is_whole_and_a_reset_is_not(wire):
    async def sending(peer: Peer) -> None:
        asked = await peer.asked()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]")
        if b"/reset" in asked:
            reset = struct.pack("ii", 1, 0)
            peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    async with serving(sending) as agent:
        assert (await wire(asking(agent.url))).body.raw == b"[1]"
        assert (await wire(asking(agent.url))).body.raw == b"[1]"
        assert agent.connections == 2  # never used again
        assert (await refusal(wire, asking(agent.url, "/reset"))).code == "agent_broke_off"


async def test_p08_an_answer_without_end_is_cut_at_the_limit(wired):
    async def endless(peer: Peer) -> None:
        await peer.asked()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            await peer.send(b"x" * 65536)

    async with serving(endless) as agent:
        refused = await refusal(wired(whole=1 << 20), asking(agent.url))
        assert (refused.status, refused.code) == (502, "agent_too_large")
        await agent.empty()


async def test_p08_an_answer_that_says_it_is_too_large_is_not_read(wired):
    async with serving(answering(HI.replace(b": 2", b": 2000000"))) as agent:
        assert (await refusal(wired(whole=1 << 20), asking(agent.url))).code == "agent_too_large"


async def test_a_proxy_that_is_not_used_is_named_where_an_agent_is_not_reached(wired):
    refused = await refusal(wired(proxied=True), asking("https://127.0.0.1:1"))
    assert refused.hint.endswith("HTTPS_PROXY is set, and agents are reached without it.")
    assert "PROXY" not in (await refusal(wired(proxied=True), asking("http://127.0.0.1:1"))).hint


async def test_a_question_is_never_in_what_is_noted(wire, notes):
    async with serving(always(HI)) as agent:
        await wire(asking(agent.url, authorization="Bearer secret"))
    assert "secret" not in repr(notes.told)
    assert QUESTION.raw.decode() not in repr(notes.told)
