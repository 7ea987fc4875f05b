"""The innermost handler, over aiohttp's client: one HTTP exchange with an agent, never repeated here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from middleware.exchange import Body, Call, Reply, Sink
from middleware.observe import Recorder
from middleware.sse import Event, Reader, first_frame_end
from middleware.watch import Watch
from policies import answers
from policies.agent import Agent
from policies.outcome import Ending
from policies.refusal import Refusal
from sidecar.failures import explained
from sidecar.sweep import Deadline, Sweep

HELD: Final = 4096  # bytes of a first frame that are waited for
OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # what aiohttp would add by itself
NEVER: Final = float("inf")

url = lru_cache(512)(lambda text: URL(text, encoded=True))


class Limits(NamedTuple):
    """Seconds to connect, to the first byte, between bytes, in all; and bytes of a whole answer."""

    connect: float = 10.0
    first_byte: float = 60.0
    gap: float = 90.0
    total: float = 120.0
    whole: int = 64 << 20


class Upstream:
    """Satisfies `Handler`. `terminals`: what proves a stream whole, by the agent's kind."""

    def __init__(
        self, limits: Limits, sweep: Sweep, terminals: Mapping[str, tuple[bytes, ...]], recorder: Recorder
    ) -> None:
        self.limits, self.sweep, self.terminals, self.recorder = limits, sweep, terminals, recorder
        self.clock = asyncio.get_running_loop().time
        self.session = aiohttp.ClientSession(
            # idle for less than the 5 s after which an agent's own server closes
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect),
            auto_decompress=False,
            skip_auto_headers=OURS,
            max_line_size=16 << 10,
            max_field_size=32 << 10,
        )

    async def close(self) -> None:
        await self.session.close()

    async def __call__(self, call: Call) -> Reply:
        agent, body, headers = call.agent, call.body, call.headers
        deadline = Deadline(asyncio.current_task(), "agent_first_byte_timeout")
        deadline.at = self.clock() + self.limits.first_byte
        self.sweep.items.add(deadline)
        response = None
        try:
            if isinstance(body, Body):
                data: bytes | AsyncIterator[bytes] | None = body.raw or None
            else:
                data = body.chunks()
                if body.length is not None:
                    headers = CIMultiDictProxy(
                        CIMultiDict([*headers.items(), ("Content-Length", str(body.length))])
                    )
            response = await self.session.request(
                call.method, url(agent.url + call.target), headers=headers, data=data, allow_redirects=False
            )
            self.recorder.note(call, "attempt", ("full", "answered"))
            arriving = Arriving(response, deadline, self, agent, call.wants_stream is not None)
            if call.wants_stream is None or answers.is_sse(response.headers.get("Content-Type", "")):
                return Reply(response.status, response.headers, arriving, arriving.close)
            deadline.code, deadline.at = "agent_total_timeout", self.clock() + self.limits.total
            whole = Body(await arriving.whole())
            self.sweep.items.discard(deadline)
            return Reply(response.status, response.headers, whole)
        except BaseException as error:
            self.sweep.items.discard(deadline)
            if response is not None:
                response.close()
            try:
                explained(error, agent, deadline)
            except Refusal as refusal:
                if response is None:
                    self.recorder.note(call, "attempt", (refusal.sent, refusal.code))
                raise


class Arriving:
    """An agent's answer as it comes in; satisfies `Stream`."""

    __slots__ = ("_held", "agent", "deadline", "response", "source", "upstream", "watch")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        deadline: Deadline,
        upstream: Upstream,
        agent: Agent,
        judged: bool,
    ) -> None:
        self.response, self.deadline, self.upstream, self.agent = response, deadline, upstream, agent
        self.watch = Watch(upstream.terminals.get(agent.kind, ()) if judged else ())
        self.source = response.content
        self._held = b""

    async def whole(self) -> bytes:
        parts, size, limit = [], 0, self.upstream.limits.whole
        while chunk := await self.source.readany():
            size += len(chunk)
            if size > limit:
                raise Refusal(502, "agent_too_large", detail=f"The answer is larger than {limit} bytes.")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def next(self) -> bytes:
        """What came next, watched before anybody sees it; empty at the end."""
        deadline = self.deadline
        try:
            chunk = await self.source.readany()
        except BaseException as error:
            explained(error, self.agent, deadline)
        self.watch.seen(chunk)
        deadline.code, deadline.at = "agent_gap_timeout", NEVER  # while we write, the agent is not late
        return chunk

    def expect(self) -> None:
        self.deadline.at = self.upstream.clock() + self.upstream.limits.gap

    async def head(self) -> bytes:
        while len(self._held) < HELD and first_frame_end(self._held) is None:
            if not (chunk := await self.next()):
                break
            self._held += chunk
            self.expect()
        return self._held

    async def pump(self, sink: Sink) -> None:
        chunk, self._held = self._held, b""
        while chunk or (chunk := await self.next()):
            await sink.write(chunk)
            self.expect()
            chunk = b""

    async def chunks(self) -> AsyncIterator[bytes]:
        chunk, self._held = self._held, b""
        while chunk or (chunk := await self.next()):
            yield chunk
            self.expect()
            chunk = b""

    async def events(self) -> AsyncIterator[Event]:
        reader = Reader()
        async for chunk in self.chunks():
            for event in reader.feed(chunk):
                yield event
        for event in reader.end():
            yield event

    async def close(self, ending: Ending) -> None:
        self.upstream.sweep.items.discard(self.deadline)
        if self.source.at_eof():
            self.response.release()
        else:
            self.response.close()
