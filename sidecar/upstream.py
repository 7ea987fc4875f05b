"""The innermost handler, over aiohttp's client: one HTTP exchange with an agent.

It stands in for connections of our own and is honest about `sent`: an error of the connector means that no
byte was written; after that everything counts as sent. It never repeats a request itself.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import NoReturn

import aiohttp
from yarl import URL

from middleware.exchange import Body, Call, Reply, Sink
from middleware.observe import Recorder
from middleware.sse import Event, Reader, first_frame_end
from middleware.watch import Watch
from policies import answers, hints
from policies.agent import Agent
from policies.outcome import Ending
from policies.outcome import status as status_of
from policies.refusal import Refusal, Sent
from sidecar.sweep import Deadline, Sweep

HELD = 4096  # bytes of a first frame that are waited for
OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # headers aiohttp would add by itself

url = lru_cache(512)(lambda text: URL(text, encoded=True))


class Limits:
    """Seconds to connect, to the first byte, between bytes, in all; and bytes of a whole answer."""

    __slots__ = ("connect", "first_byte", "gap", "total", "whole")

    def __init__(
        self, connect: float = 10, first_byte: float = 60, gap: float = 90, total: float = 120, whole: int = 64 << 20
    ) -> None:
        self.connect, self.first_byte, self.gap, self.total, self.whole = connect, first_byte, gap, total, whole


class Upstream:
    def __init__(self, limits: Limits, sweep: Sweep, terminals: Mapping[str, tuple[bytes, ...]], recorder: Recorder) -> None:
        self.limits, self.sweep, self.terminals, self.recorder = limits, sweep, terminals, recorder
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, connect=None),
            auto_decompress=False,
            skip_auto_headers=OURS,
            max_line_size=16 << 10,
            max_field_size=32 << 10,
        )

    async def close(self) -> None:
        await self.session.close()

    async def __call__(self, call: Call) -> Reply:
        agent, limits = call.agent, self.limits
        deadline = Deadline(asyncio.current_task())
        self.sweep.items.add(deadline)
        deadline.code, deadline.at = "agent_first_byte_timeout", asyncio.get_running_loop().time() + limits.first_byte
        response = None
        try:
            data = (call.body.raw or None) if isinstance(call.body, Body) else call.body.chunks()
            response = await self.session.request(
                call.method, url(agent.url + call.target), headers=call.headers, data=data, allow_redirects=False
            )
            self.recorder.note(call, "attempt", ("full", "answered"))
            kind = response.headers.get("Content-Type", "")
            watch = Watch(self.terminals.get(agent.kind, ()) if call.wants_stream is not None else ())
            stream = Arriving(response, watch, deadline, self.sweep, agent, limits)
            if call.wants_stream is None or answers.is_sse(kind):
                return Reply(response.status, response.headers, stream, stream.close)
            deadline.code, deadline.at = "agent_total_timeout", asyncio.get_running_loop().time() + limits.total
            body = Body(await stream.whole())
            return Reply(response.status, response.headers, body)
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
    """An agent's answer as it comes in."""

    __slots__ = ("_held", "_source", "agent", "deadline", "limits", "response", "sweep", "watch")

    def __init__(
        self, response: aiohttp.ClientResponse, watch: Watch, deadline: Deadline, sweep: Sweep, agent: Agent, limits: Limits
    ) -> None:
        self.response, self.watch, self.deadline, self.sweep = response, watch, deadline, sweep
        self.agent, self.limits = agent, limits
        self._held = b""
        self._source = response.content

    async def whole(self) -> bytes:
        """All of it, within the bound."""
        parts, size = [], 0
        try:
            while chunk := await self._source.readany():
                size += len(chunk)
                if size > self.limits.whole:
                    raise Refusal(502, "agent_too_large", detail=f"The answer is larger than {self.limits.whole} bytes.")
                parts.append(chunk)
        except BaseException as error:
            self.response.close()
            explained(error, self.agent, self.deadline)
        finally:
            self.sweep.items.discard(self.deadline)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next(self) -> bytes:
        """What came next; empty at the end. Bytes are watched before anybody sees them."""
        deadline = self.deadline
        try:
            chunk = await self._source.readany()
        except BaseException as error:
            explained(error, self.agent, deadline)
        if chunk:
            deadline.code, deadline.at = "agent_gap_timeout", asyncio.get_running_loop().time() + self.limits.gap
            self.watch.seen(chunk)
        return chunk

    async def head(self) -> bytes:
        while len(self._held) < HELD and first_frame_end(self._held) is None:
            if not (chunk := await self._next()):
                break
            self._held += chunk
        return self._held

    async def pump(self, sink: Sink) -> None:
        async for chunk in self.chunks():
            await sink.write(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        if held := self._held:
            self._held = b""
            yield held
        deadline = self.deadline
        while chunk := await self._next():
            at, deadline.at = deadline.at, float("inf")  # while the reader takes its time, the agent is not late
            yield chunk
            deadline.at = max(at, asyncio.get_running_loop().time() + self.limits.gap)

    async def events(self) -> AsyncIterator[Event]:
        reader = Reader()
        async for chunk in self.chunks():
            for event in reader.feed(chunk):
                yield event
        for event in reader.end():
            yield event

    async def close(self, ending: Ending) -> None:
        self.sweep.items.discard(self.deadline)
        self.response.close() if not self.response.content.at_eof() else self.response.release()


def explained(error: BaseException, agent: Agent, deadline: Deadline) -> NoReturn:
    """Raise what happened in the words of the closed list; a caller's own cancellation goes on as it is."""
    sent: Sent = "full"
    match error:
        case asyncio.CancelledError():
            if not deadline.caught():
                raise error
            code, reason = deadline.code, ""
        case Refusal():
            raise error
        case aiohttp.ConnectionTimeoutError():
            code, reason, sent = "agent_connect_timeout", "", "none"
        case aiohttp.ClientConnectorDNSError():
            code, reason, sent = "agent_unreachable", "dns", "none"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            code, reason, sent = "agent_tls_error", str(getattr(error, "certificate_error", "") or "tls"), "none"
        case aiohttp.ClientConnectorError():
            code, reason, sent = "agent_unreachable", (error.os_error.strerror or "refused").lower(), "none"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientOSError() | OSError():
            code, reason = "agent_broke_off", ""
        case aiohttp.ClientError() | aiohttp.http_exceptions.HttpProcessingError() | ValueError():
            code, reason = "agent_protocol_error", ""
        case _:
            raise error
    detail, hint = hints.explain(code, agent=agent, reason=reason)
    raise Refusal(status_of(code), code, detail=detail, hint=hint, sent=sent) from error
