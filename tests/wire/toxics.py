"""A proxy between the wire and an agent that spoils connections, one way at a time: `toxic(url, "reset")`."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal
from urllib.parse import urlsplit

Direction = Literal["up", "down"]
SLOW: Final = 0.02  # seconds by which each piece is late
RATE: Final = 256 << 10  # bytes a second where the bandwidth is small
LINGER: Final = 0.2  # seconds for which a closed side is kept open


class Pipe:
    """One direction of one connection: `come` is read, `go` is written, `passed` bytes so far."""

    def __init__(
        self, come: asyncio.StreamReader, go: asyncio.StreamWriter, back: asyncio.StreamWriter, after: int
    ) -> None:
        self.come, self.go, self.back, self.after = come, go, back, after
        self.passed = 0

    async def send(self, data: bytes) -> None:
        self.go.write(data)
        await self.go.drain()
        self.passed += len(data)

    def cut(self) -> None:
        """Reset both sides, as a peer that has crashed does."""
        for side in (self.go, self.back):
            if (sock := side.get_extra_info("socket")) is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.transport.abort()


async def nothing(pipe: Pipe, data: bytes) -> bool:
    await pipe.send(data)
    return True


async def reset(pipe: Pipe, data: bytes) -> bool:
    """After so many bytes both sides are reset."""
    await pipe.send(data[: pipe.after - pipe.passed])
    if pipe.passed < pipe.after:
        return True
    pipe.cut()
    return False


async def latency(pipe: Pipe, data: bytes) -> bool:
    await asyncio.sleep(SLOW)
    return await nothing(pipe, data)


async def bandwidth(pipe: Pipe, data: bytes) -> bool:
    for at in range(0, len(data), 4096):
        piece = data[at : at + 4096]
        await pipe.send(piece)
        await asyncio.sleep(len(piece) / RATE)
    return True


async def slicer(pipe: Pipe, data: bytes) -> bool:
    """Byte by byte, each in a write of its own."""
    for at in range(len(data)):
        await pipe.send(data[at : at + 1])
        await asyncio.sleep(0)
    return True


async def timeout(pipe: Pipe, data: bytes) -> bool:
    """After so many bytes nothing comes through any more, and nobody closes."""
    await pipe.send(data[: pipe.after - pipe.passed])
    return True


async def limit_data(pipe: Pipe, data: bytes) -> bool:
    """After so many bytes it is closed in order."""
    await pipe.send(data[: pipe.after - pipe.passed])
    return pipe.passed < pipe.after


async def slow_close(pipe: Pipe, data: bytes) -> bool:
    """What one side closes stays open on the other for a while."""
    return await nothing(pipe, data)


Toxic = Callable[[Pipe, bytes], Awaitable[bool]]
TOXICS: Final[dict[str, Toxic]] = {
    toxic.__name__: toxic for toxic in (reset, latency, bandwidth, slow_close, slicer, timeout, limit_data)
}


class Proxy:
    """`url`, what spoils its next connections and when, how many were accepted and are open."""

    def __init__(self, toxic: str, direction: Direction, after: int) -> None:
        self.toxic, self.direction, self.after = toxic, direction, after
        self.url = ""
        self.connections = 0
        self.open = 0
        self.changed = asyncio.Condition()

    async def empty(self, seconds: float = 2.0) -> None:
        """Until no connection is open any more."""
        async with self.changed, asyncio.timeout(seconds):
            await self.changed.wait_for(lambda: self.open == 0)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        agent = urlsplit(url)
        try:
            their_reader, their_writer = await asyncio.open_connection(agent.hostname, agent.port)
        except OSError:
            writer.transport.abort()
            return
        up = Pipe(reader, their_writer, writer, self.after)
        down = Pipe(their_reader, writer, their_writer, self.after)
        toxic = TOXICS.get(self.toxic, nothing)
        ways = [
            asyncio.create_task(flow(up, toxic if self.direction == "up" else nothing)),
            asyncio.create_task(
                flow(down, toxic if self.direction == "down" else nothing, mute=toxic is timeout)
            ),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if toxic is slow_close:
                await asyncio.sleep(LINGER)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for side in (writer, their_writer):
                side.close()


async def flow(pipe: Pipe, toxic: Toxic, *, mute: bool = False) -> None:
    """Until one side closes, or the toxic ends it. `mute`: that it has closed is not told either."""
    with suppress(ConnectionError):
        while data := await pipe.come.read(65536):
            if not await toxic(pipe, data):
                return
    if mute:
        await asyncio.Event().wait()


@asynccontextmanager
async def toxic(
    url: str, name: str = "", *, direction: Direction = "down", after: int = 0
) -> AsyncIterator[Proxy]:
    """A proxy before this agent. `after`: how many bytes of a direction pass first, where the toxic asks for that."""
    proxy = Proxy(name, direction, after)
    tasks: set[asyncio.Task[None] | None] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        proxy.connections += 1
        proxy.open += 1
        try:
            await proxy.carry(reader, writer, url)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(asyncio.current_task())
            proxy.open -= 1
            async with proxy.changed:
                proxy.changed.notify_all()

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0, backlog=1024)
    proxy.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
