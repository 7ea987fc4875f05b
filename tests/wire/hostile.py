"""A server that sends exactly what a test tells it to, and remembers every byte that it was sent."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.I)


class Peer:
    """One accepted connection, from the agent's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: "Server") -> None:
        self.reader, self.writer, self.server = reader, writer, server

    async def asked(self) -> bytes:
        """The next request as it came, head and body; empty where the other side is gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            body = b""
            if CHUNKED.search(head):
                while not body.endswith(b"0\r\n\r\n"):
                    body += await self.reader.readuntil(b"\r\n")
            elif length := LENGTH.search(head):
                body = await self.reader.readexactly(int(length[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self.server.requests.append(head + body)
        return head + body

    async def send(self, *pieces: bytes) -> None:
        """Each piece on its way before the next is written."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def left(self) -> None:
        """Until the other side is gone."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Behaviour = Callable[[Peer], Awaitable[None]]


class Server:
    """`url`, the requests so far, and how many connections were accepted and are open."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.changed = asyncio.Condition()

    async def empty(self) -> None:
        """Until no connection is open any more."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: self.open == 0), 2)


@asynccontextmanager
async def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a free port of this machine that does this on every connection, and then closes it."""
    server = Server()
    tasks = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        server.connections += 1
        server.open += 1
        try:
            await behaviour(Peer(reader, writer, server))
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            server.open -= 1
            async with server.changed:
                server.changed.notify_all()

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls, backlog=1024)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Behaviour:
    """Answers the requests of a connection with these, one each, and closes it after the last."""

    async def behaviour(peer: Peer) -> None:
        for answer in answers:
            if not await peer.asked():
                return
            await peer.send(answer)

    return behaviour


def always(answer: bytes) -> Behaviour:
    """The same answer to every request, for as long as they come."""

    async def behaviour(peer: Peer) -> None:
        while await peer.asked():
            await peer.send(answer)

    return behaviour


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Until this holds; it is looked at in every turn of the loop."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def still(number: Callable[[], int], seconds: float = 20.0) -> int:
    """The number, when it has not changed for twenty looks in a row: whoever changes it is held back."""
    last, looks = number(), 0
    async with asyncio.timeout(seconds):
        while looks < 20:
            await asyncio.sleep(0.005)
            now = number()
            last, looks = now, looks + 1 if now == last else 0
    return last
