"""A stand-in for an MCP server on loopback: both transports, sessions, and the refusals of the real one.

    POST /mcp                  initialize opens a session (Mcp-Session-Id); later calls name it. JSON, or 202
    GET, DELETE /mcp           the session's own stream; its end
    GET /sse                   the older transport: `event: endpoint`, then the answers to
    POST /messages/?session_id=…
Requests with `MCP-Protocol-Version: 2026-07-28` have no session. It believes only its own Host and Origin.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from sidecar.sim.pages import AGENT, compact
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Series, Visit

SESSION: Final = "Mcp-Session-Id"
MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
TOOL: Final = {"name": "add", "description": "The sum.", "inputSchema": {"type": "object"}}


class Server:
    """One server. `sim.mcp.server()` starts it.

    `visits`    every request that reached it
    `leavings`  the visits whose caller left an open stream
    `base`      a path in front of every other, as of an app that is mounted somewhere
    `endpoint`  where its older transport says to post; None: where it is
    """

    port: Port

    def __init__(self, base: str) -> None:
        self.base = base
        self.endpoint: str | None = None
        self.visits: Series[Visit] = Series()
        self.leavings: Series[Visit] = Series()
        self.sessions: set[str] = set()
        self.streams: dict[str, asyncio.Queue[bytes]] = {}  # of the older transport, by session

    @property
    def url(self) -> str:
        return self.port.url + self.base

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        visit.body = await request.content.read()
        self.visits.add(visit)
        own = self.port.url
        if request.host != own.removeprefix("http://"):
            return web.Response(status=421, text="Invalid Host header", headers=AGENT)
        if request.headers.get("Origin", own) != own:
            return web.Response(status=403, text="Invalid Origin header", headers=AGENT)
        match request.method, request.path.removeprefix(self.base):
            case "POST", "/mcp":
                return self._posted(request, visit)
            case "GET", "/mcp" if request.headers.get("MCP-Protocol-Version") != MODERN:
                return await self._listened(request, visit)
            case "DELETE", "/mcp":
                return self._deleted(request)
            case "GET", "/sse":
                return await self._older(request, visit)
            case "POST", "/messages/":
                return self._messaged(request, visit)
            case _, "/mcp":
                return web.Response(status=405, headers={**AGENT, "Allow": "POST"})
        return web.Response(status=404, text="Not Found", headers=AGENT)

    def _posted(self, request: web.BaseRequest, visit: Visit) -> web.Response:
        message = visit.value
        modern = request.headers.get("MCP-Protocol-Version") == MODERN
        named = request.headers.get(SESSION)
        if modern or message["method"] == "initialize":
            opened = {} if modern else {SESSION: self._opened()}
            return _said(200, _result(message), opened)
        if named not in self.sessions:
            return _unknown(named)
        if "id" not in message:
            return web.Response(status=202, headers=AGENT)
        return _said(200, _result(message), {SESSION: str(named)})

    async def _listened(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        """The session's stream, silent until it is released."""
        if (named := request.headers.get(SESSION)) not in self.sessions:
            return _unknown(named)
        response = await _stream(request)
        await self._watched(visit)
        await response.write(b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\r\n\r\n')
        return response

    def _deleted(self, request: web.BaseRequest) -> web.Response:
        if (named := request.headers.get(SESSION)) not in self.sessions:
            return _unknown(named)
        self.sessions.discard(str(named))
        return web.Response(status=200, headers=AGENT)

    async def _older(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        ident = self._opened()
        self.streams[ident] = asyncio.Queue()
        try:
            response = await _stream(request)
            await response.write(b": ping\r\n\r\n")
            endpoint = self.endpoint or f"{self.base}/messages/?session_id={ident}"
            await response.write(f"event: endpoint\r\ndata: {endpoint}\r\n\r\n".encode())
            while message := await self.streams[ident].get():
                await response.write(b"event: message\r\ndata: " + message + b"\r\n\r\n")
            return response
        except asyncio.CancelledError:
            self.leavings.add(visit)
            raise
        finally:
            del self.streams[ident]

    def _messaged(self, request: web.BaseRequest, visit: Visit) -> web.Response:
        named = request.rel_url.query.getall("session_id", [""])[-1]
        if named not in self.streams:
            return web.Response(status=404, text="Could not find session", headers=AGENT)
        self.streams[named].put_nowait(compact(_result(visit.value)))
        return web.Response(status=202, text="Accepted", headers=AGENT)

    async def _watched(self, visit: Visit) -> None:
        try:
            await visit.held()
        except asyncio.CancelledError:
            self.leavings.add(visit)
            raise

    def _opened(self) -> str:
        ident = uuid.uuid4().hex
        self.sessions.add(ident)
        return ident


async def _stream(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={**AGENT, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def _said(status: int, value: Any, headers: dict[str, str]) -> web.Response:
    named = {**AGENT, **headers}
    return web.Response(status=status, body=compact(value), content_type="application/json", headers=named)


def _unknown(named: str | None) -> web.Response:
    """Even an error has a session id with it, which nobody has opened."""
    message = "Missing session ID" if named is None else "Session not found"
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    return _said(400 if named is None else 404, error, {SESSION: uuid.uuid4().hex})


def _result(message: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "initialize": {
            "protocolVersion": LEGACY,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "sim", "version": "1"},
        },
        "ping": {},
        "tools/list": {"tools": [TOOL]},
        "tools/call": {"content": [{"type": "text", "text": json.dumps(message.get("params"))}]},
        "server/discover": {"supportedVersions": [MODERN], "capabilities": {"tools": {}}},
    }
    head = {"jsonrpc": "2.0", "id": message.get("id")}
    if message["method"] in known:
        return head | {"result": known[message["method"]]}
    return head | {"error": {"code": -32601, "message": "Method not found"}}


@asynccontextmanager
async def server(base: str = "") -> AsyncIterator[Server]:
    """Starts one in the running loop, until the block is left."""
    one = Server(base)
    async with serving(one.answer) as one.port:
        yield one
