"""A stand-in for an A2A agent on loopback, of any version: a card, JSON-RPC, tasks that outlive their callers."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
from aiohttp import web

from sidecar.sim import a2a_tells as tells
from sidecar.sim.a2a_plots import Skill, Update, plot, words
from sidecar.sim.a2a_tasks import TERMINAL, Task
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Series, Visit

PATHS: Final = {
    "none": (),
    "0.2": ("/.well-known/agent.json",),
    "0.3": ("/.well-known/agent-card.json", "/.well-known/agent.json"),
    "1.0": ("/.well-known/agent-card.json",),
}
FRAMES: Final = 3  # after which a stream breaks that is to break
BREAKS: Final = frozenset({"cut", "drop", "end early"})


Method = Callable[[web.BaseRequest, Any, Any], Awaitable[web.StreamResponse]]


class Wrong(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class A2AAgent:
    """One agent. `sim.a2a()` starts it.

    `url`     where it listens; its JSON-RPC is at `url` + `/rpc`
    `visits`  every request that reached it
    `asked`   the methods that were called, in order; `cards` how often its card was read
    `card`    changed by a test, it is the card from then on
    """

    port: Port

    def __init__(self, version: str, skill: Skill, gateway: str, streams: bool) -> None:
        self.version, self.skill, self.gateway, self.streams = version, skill, gateway, streams
        self.visits: Series[Visit] = Series()
        self.asked: Series[str] = Series()
        self.cards = 0
        self.tasks: dict[str, Task] = {}
        self.card: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return self.port.url

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        visit.body = await request.content.read()
        self.visits.add(visit)
        if request.method == "GET" and request.path in PATHS[self.version]:
            return self._card(request)
        if request.path != "/rpc":
            return web.json_response({"detail": "Not Found"}, status=404)
        if request.method != "POST":
            return web.json_response({"detail": "Method Not Allowed"}, status=405)
        return await self._called(request, visit)

    def _card(self, request: web.BaseRequest) -> web.Response:
        self.cards += 1
        etag = f'W/"{self.cards if self.card else 0}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        told = self.card or tells.card(self.version, self.skill, f"{self.url}/rpc", streams=self.streams)
        return web.json_response(told, headers={"ETag": etag})

    async def _called(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        ident = None
        try:
            try:
                asked = visit.value
            except ValueError:
                raise Wrong(-32700, "Invalid JSON payload") from None
            if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
                raise Wrong(-32600, "Request payload validation error")
            ident = asked.get("id")
            self.asked.add(asked["method"])
            if self.version == "1.0" and visit.headers.get("A2A-Version") != "1.0":
                raise Wrong(-32009, "A2A version is not supported")
            does = tells.METHODS[self.version].get(asked["method"])
            if does is None:
                raise Wrong(-32601, "Method not found")
            if does == "card":
                card = self.card or tells.card(self.version, self.skill, f"{self.url}/rpc")
                return web.json_response(told(ident, card))
            method: Method = getattr(self, f"_{does}")
            return await method(request, ident, asked.get("params") or {})
        except Wrong as wrong:
            error = {"code": wrong.code, "message": str(wrong)}
            return web.json_response({"jsonrpc": "2.0", "id": ident, "error": error})

    # --- methods -------------------------------------------------------------------------------------------

    async def _send(self, request: web.BaseRequest, ident: Any, params: Any) -> web.StreamResponse:
        task = self._begun(params)
        if "message" in task.said:
            said = tells.message(self.version, f"Echo: {task.question}", task.context, "m1")
            return web.json_response(told(ident, tells.result(self.version, "message", said)))
        assert task.running is not None
        if "poll" not in task.said and "hold" not in task.said:
            await task.running
        return web.json_response(told(ident, task.snapshot()))

    async def _stream(self, request: web.BaseRequest, ident: Any, params: Any) -> web.StreamResponse:
        if "unary" in words(tells.text(params)):
            return await self._send(request, ident, params)
        if not self.streams:
            raise Wrong(-32004, "This operation is not supported")
        task = self._begun(params)
        if "message" in task.said:
            said = tells.message(self.version, f"Echo: {task.question}", task.context, "m1")
            return await self._told(request, ident, once(tells.result(self.version, "message", said)))
        return await self._told(request, ident, task.listen(first=True), task)

    async def _resubscribe(self, request: web.BaseRequest, ident: Any, params: Any) -> web.StreamResponse:
        task = self._task(params)
        task.wanted.set()
        if task.over or "drop" in task.said:
            raise Wrong(-32602, "Task is in terminal state")
        return await self._told(request, ident, task.listen(first=False))

    async def _get(self, request: web.BaseRequest, ident: Any, params: Any) -> web.StreamResponse:
        task = self._task(params)
        task.asked_for += 1
        if task.asked_for > 1 and "poll" in task.said:
            task.wanted.set()
            assert task.running is not None
            await task.running
        return web.json_response(
            told(ident, task.snapshot()["task"] if self.version == "1.0" else task.snapshot())
        )

    async def _cancel(self, request: web.BaseRequest, ident: Any, params: Any) -> web.StreamResponse:
        task = self._task(params)
        if task.status.state in TERMINAL:
            raise Wrong(-32002, "Task cannot be canceled")
        assert task.running is not None
        task.running.cancel()
        with suppress(asyncio.CancelledError):
            await task.running
        task.happen(Update(state="canceled"))
        return web.json_response(
            told(ident, task.snapshot()["task"] if self.version == "1.0" else task.snapshot())
        )

    # --- tasks ---------------------------------------------------------------------------------------------

    def _task(self, params: Any) -> Task:
        task = self.tasks.get(str(params.get("id")))
        if task is None:
            raise Wrong(-32001, "Task not found")
        return task

    def _begun(self, params: Any) -> Task:
        if not isinstance(params.get("message"), dict):
            raise Wrong(-32602, "Invalid parameters")
        said, text = params["message"], tells.text(params)
        given = words(text)
        if "error" in given:
            raise Wrong(int(given["error"] or -32603), "It went wrong, as you asked")
        earlier = None
        if before := said.get("taskId"):
            task = self._task({"id": before})
            if task.status.state in TERMINAL:
                raise Wrong(-32602, "Task is in terminal state")
            earlier = task.question
        else:
            number = next(self._numbers)
            task = Task(self.version, f"t{number}", said.get("contextId") or f"c{number}", given)
            self.tasks[task.ident] = task
        task.question = text
        task.running = asyncio.create_task(self._run(task, text, earlier))
        return task

    async def _run(self, task: Task, text: str, earlier: str | None) -> None:
        """The task goes on whoever listens, unless the words in the message have it wait for somebody."""
        count = 0
        if "remember" in task.said:
            task.history = [tells.message(self.version, f"Echo: {text}", task.context, "h1")]
        async for update in plot(self.skill, text, earlier, self._ask if self.gateway else None):
            await asyncio.sleep(0)
            if (count == FRAMES - 1 and task.said.keys() & BREAKS) or (count == 1 and "poll" in task.said):
                await task.wanted.wait()
            if count == 2 and "hold" in task.said:
                await asyncio.Event().wait()
            if "drop" in task.said and task.wanted.is_set():
                return
            task.happen(update)
            count += 1

    async def _ask(self, name: str, question: str) -> str:
        """Another agent, through the sidecar, with an integer id."""
        message = {"messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": question}]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.gateway}/api/agents/{name}/message", json=body) as answer,
        ):
            said = await answer.json()
        result = said.get("result") or {}
        texts = [part.get("text", "") for one in result.get("artifacts", []) for part in one["parts"]]
        return "".join(texts) or json.dumps(said)

    async def _told(
        self, request: web.BaseRequest, ident: Any, events: AsyncIterator[Any], task: Task | None = None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        said = task.said if task else {}
        count = 0
        async for event in events:
            await response.write(b"data: " + json.dumps(told(ident, event)).encode() + b"\r\n\r\n")
            count += 1
            if count == FRAMES and said.keys() & BREAKS:
                if "end early" not in said and request.transport is not None:
                    request.transport.abort()
                return response
            if count == FRAMES and "error inside" in said:
                error = {"jsonrpc": "2.0", "id": ident, "error": {"code": -32603, "message": "Midway"}}
                named = b"event: error\r\n" if self.version == "1.0" else b""
                await response.write(named + b"data: " + json.dumps(error).encode() + b"\r\n\r\n")
                break
            if count == 1:
                await response.write(b": ping - now\r\n\r\n")
        await response.write_eof()
        return response


def a2a_card(version: str, url: str, place: str = "", *, streams: bool = True) -> dict[str, Any]:
    """A card of this version for an agent at `url`, whose endpoint is at `place`."""
    return tells.card(version, "echo", place or f"{url}/rpc", streams=streams)


def told(ident: Any, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": ident, "result": result}


async def once(event: Any) -> AsyncIterator[Any]:
    yield event


@asynccontextmanager
async def a2a(
    version: str = "0.3", skill: Skill = "echo", *, gateway: str = "", streams: bool = True
) -> AsyncIterator[A2AAgent]:
    """Starts one agent in the running loop, until the block is left.

    `version`  0.2, 0.3 or 1.0
    `skill`    echo; calculator; asks: asks back for a city, once; assistant: `<agent>: <question>` is asked of
               another agent through the sidecar at `gateway`
    `streams`  whether its card says that it does, and it does
    """
    one = A2AAgent(version, skill, gateway, streams)
    async with serving(one.answer) as one.port:
        try:
            yield one
        finally:
            running = [task.running for task in one.tasks.values() if task.running is not None]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
