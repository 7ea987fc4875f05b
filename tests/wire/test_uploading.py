"""A relay's upload through the real doors: it reaches the agent as it comes, or the caller is told why not."""

import asyncio

import pytest
from wire.hostile import Peer, always, serving
from wire.test_request import HI
from wire.test_stalled import running

from sidecar.app import Sidecar

HEAD = b"POST /agents/default/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"


async def exchanged(app: Sidecar, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", app.listeners["egress"].port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    answer = await reader.readuntil(b"\r\n\r\n")
    answer += await reader.read(1000) if b"Content-Length: 0" not in answer else b""
    writer.transport.abort()
    return answer


async def test_an_upload_arrives_piece_by_piece() -> None:
    async with serving(always(HI)) as agent, running(agent.url) as app:
        answer = await exchanged(app, HEAD, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert agent.requests[0].endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("last", "status", "code"), [(b"", 408, "body_timeout"), (b"nonsense\r\n", 400, "bad_request")]
)
async def test_an_upload_that_stops_or_breaks_is_the_callers_fault_and_leaves_the_agent(
    last: bytes, status: int, code: str
) -> None:
    async def waiting(peer: Peer) -> None:
        await peer.left()

    async with serving(waiting) as agent, running(agent.url, SIDECAR_BODY_TIMEOUT="0.2") as app:
        answer = await exchanged(app, HEAD, b"3\r\nabc\r\n", last)
        assert answer.startswith(f"HTTP/1.1 {status}".encode())
        assert code.encode() in answer
        await agent.empty()


async def test_a_caller_who_leaves_in_the_middle_of_an_upload_leaves_the_agent() -> None:
    begun = asyncio.Event()

    async def waiting(peer: Peer) -> None:
        await peer.reader.readuntil(b"abc")
        begun.set()
        await peer.left()

    async with serving(waiting) as agent, running(agent.url) as app:
        _, writer = await asyncio.open_connection("127.0.0.1", app.listeners["egress"].port)
        writer.write(HEAD + b"3\r\nabc\r\n")
        await begun.wait()
        writer.transport.abort()
        await agent.empty()
        await app.edge.idle.wait()
