"""Asks a real process for everything, with canaries in all that it is given, and hears whatever it says."""

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from journeys.conftest import client, said
from journeys.process import Process

KEY: Final = "c0ffee00decade11c0ffee00decade11"  # of the egress door
SECRET: Final = "canary-client-secret"
CARRIED: Final = {
    "x-forwarded-access-token": "canary-user-token",
    "x-forwarded-email": "whisper@example.org",
    "x-forwarded-user": "whisper-id",
    "cookie": "session=canary-cookie",
    "authorization": "Bearer canary-callers-own",
    "proxy-authorization": "Basic canary-proxy",
    "x-api-key": "canary-api-key",
}


class Heard:
    """Everything that came out, and the codes that were told in it."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str]] = []  # to callers: what they and the agent said may stand there
        self.sinks: list[tuple[str, str]] = []
        self.codes: set[str] = set()

    def answer(self, where: str, text: str) -> None:
        self._add(self.answers, where, text)

    def sink(self, where: str, text: str) -> None:
        self._add(self.sinks, where, text)

    def _add(self, to: list[tuple[str, str]], where: str, text: str) -> None:
        to.append((where, text))
        self.codes |= set(re.findall(r'"(?:code|outcome|error)": ?"(\w+)"', text))

    @asynccontextmanager
    async def hearing(self, one: Process) -> AsyncIterator["Talk"]:
        """To a process that serves, until it is ended."""
        out = asyncio.create_task(self._all_of(one.process.stdout))
        try:
            await one.ready()
            async with client() as http:
                yield Talk(one.doors, self, http)
            with suppress(ProcessLookupError):
                one.signal(signal.SIGINT)
                one.signal(signal.SIGTERM)  # a second one, of another kind lest they be taken for one
            async with asyncio.timeout(30):
                text = await out + await self._all_of(one.process.stderr)
            self.sink("output", one.said + text)
        finally:
            out.cancel()

    async def end(self, one: Process) -> str:
        """Of a process that ends by itself."""
        async with asyncio.timeout(30):
            out, err = await one.process.communicate()
        self.sink("output", text := (out + err).decode())
        return text

    @staticmethod
    async def _all_of(stream: asyncio.StreamReader | None) -> str:
        assert stream is not None
        return (await stream.read()).decode()

    def leaks(self, *secrets: str) -> list[str]:
        """Where a secret stands; and in what is told to operators, where a caller or its words do."""
        never, nowhere = ("canary", KEY, *secrets), ("canary", "whisper", KEY, *secrets)
        return [
            f"{where}: {line[:500]}"
            for told, forbidden in ((self.answers, never), (self.sinks, nowhere))
            for where, text in told
            for line in text.splitlines()
            if any(word in line for word in forbidden)
        ]


class Talk:
    """Asks one process for everything, and hears what it says."""

    def __init__(self, doors: dict[str, str], heard: Heard, http: aiohttp.ClientSession) -> None:
        self.doors, self.heard, self.http = doors, heard, http
        self.room = asyncio.Semaphore(24)

    async def ask(
        self,
        door: str,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        patience: float = 4.0,
        mirrored: bool = False,
        **more: str,
    ) -> None:
        headers = {
            "content-type": "application/json",
            **CARRIED,
            **{n.replace("_", "-"): v for n, v in more.items()},
        }
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        text = ""
        async with self.room:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with (
                    asyncio.timeout(patience),
                    self.http.request(
                        method,
                        f"{self.doors[door]}{path}?q=canary-query&key={KEY}",
                        data=data,
                        headers=headers,
                        allow_redirects=False,
                    ) as answer,
                ):
                    text = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()) + "\n"
                    async for piece in answer.content.iter_any():
                        text += piece.decode(errors="replace")
                        if len(text) > 100_000:
                            break
        if not mirrored:  # what an agent itself tells its caller is not ours to read
            self.heard.answer(f"{door} {path} {body}", text)

    async def chat(self, text: str, agent: str = "default", **more: Any) -> None:
        """In the two ways, whole and streamed, at two doors."""
        keyed = f"/~{KEY}/agents/{agent}/invocations"
        await asyncio.gather(
            *(
                self.ask("front", f"/api/chat/{agent}", said(text, stream=stream), **more)
                for stream in (True, False)
            ),
            *(self.ask("egress", keyed, said(text, stream=stream), **more) for stream in (True, False)),
        )

    async def raw(self, door: str, head: str, *, silent: float = 0.0) -> None:
        """Bytes that no client would send; `silent` is for how long nothing is read."""
        address = urlsplit(self.doors[door])
        lines = [f"{name}: {value}" for name, value in CARRIED.items()]
        text = head.replace("HOST", address.netloc).replace("CARRIED", "\r\n".join(lines))
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, (address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
        with closing(writer), suppress(TimeoutError, ConnectionError):
            writer.write(text.encode())
            await asyncio.sleep(silent)
            async with asyncio.timeout(2):
                answer = (await reader.read(20_000)).decode(errors="replace")
            self.heard.answer(f"{door} {head[:60]!r}", answer.replace("\r\n", "\n"))

    async def sinks(self) -> None:
        """What the process tells of it all."""
        for path in ("/metrics", "/calls", "/readyz", "/agents", "/healthz", "/"):
            await self.read("admin", path)
        async with self.http.get(f"{self.doors['admin']}/calls") as answer:
            calls = (await answer.json())["calls"]
        assert len(calls) > 3
        for call in calls:
            await self.read("admin", f"/calls/{call['request_id']}")
        for path in ("/", "/api/agents", *(f"/_sidecar/calls/{call['request_id']}" for call in calls[:20])):
            await self.read("front", path)

    async def read(self, door: str, path: str) -> None:
        async with self.http.get(self.doors[door] + path, headers=CARRIED) as answer:
            self.heard.sink(f"{door} {path}", await answer.text())
