"""An app that has its work done by the agent of a builder app, whose address is BUILDER_APP_URL.

    GET  /             a page
    POST /ask          {"message", "conversation_id"?} → {"response", "execution_id", "conversation_id"}
    POST /invoke       {"message", "conversation_id"?} → {"execution_id", "conversation_id"}, at once
    GET  /stream/{id}  what the agent does, as an event stream that an EventSource reads; from the beginning
    GET  /health       {"status", "builder_app"}

`execution_id` and `conversation_id` are this app's own. It knows of no token, no window and no cursor.
"""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

BUILDER = web.AppKey("builder", aiohttp.ClientSession)
RUNS: web.AppKey[dict[str, "Run"]] = web.AppKey("runs", dict)
ABOUT_THE_USER = ("x-forwarded-access-token", "x-forwarded-email")
KEPT = 100  # runs that can be read; the oldest gives way
routes = web.RouteTableDef()


class Failed(Exception):
    """The agent did not answer; the text says why."""


class Run:
    """What came of one question so far."""

    def __init__(self, user: str, conversation: str) -> None:
        self.user, self.conversation = user, conversation
        self.frames: list[bytes] = []
        self.over = False
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def tell(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.news.set()
        self.news = asyncio.Event()

    async def told(self) -> AsyncIterator[bytes]:
        """Every frame, those that were there before and those that come."""
        nth = 0
        while True:
            while nth < len(self.frames):
                yield self.frames[nth]
                nth += 1
            if self.over:
                return
            await self.news.wait()


async def asked(request: web.Request) -> tuple[dict[str, Any], dict[str, str]]:
    """The question as the agent gets it, and for whom it is."""
    try:
        body = await request.json()
        message, conversation = body["message"], body.get("conversation_id") or str(uuid.uuid4())
    except (ValueError, TypeError, KeyError, AttributeError):
        detail = json.dumps({"detail": "The body is JSON with a `message`."})
        raise web.HTTPUnprocessableEntity(text=detail, content_type="application/json") from None
    user = {name: request.headers[name] for name in ABOUT_THE_USER if name in request.headers}
    return {"input": message, "conversation_id": conversation}, user


async def reason(answer: aiohttp.ClientResponse) -> str:
    text = await answer.text()
    try:
        said = json.loads(text)
        return str(said.get("detail") or said.get("error"))
    except (ValueError, AttributeError):
        return f"{answer.status} {text[:200]}"


@routes.get("/")
async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(__file__).with_name("index.html"))


@routes.post("/ask")
async def ask(request: web.Request) -> web.Response:
    question, user = await asked(request)
    try:
        async with request.app[BUILDER].post(
            "invocations", json={**question, "stream": False}, headers=user
        ) as answer:
            if answer.status != 200:
                return web.json_response({"detail": f"Agent error: {await reason(answer)}"}, status=502)
            told = await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        return web.json_response({"detail": f"Failed to invoke agent: {error}"}, status=502)
    texts = [part["text"] for item in told["output"] for part in item.get("content", []) if "text" in part]
    ids = {"execution_id": str(uuid.uuid4()), "conversation_id": question["conversation_id"]}
    return web.json_response({"response": "".join(texts), **ids})


@routes.post("/invoke")
async def invoke(request: web.Request) -> web.Response:
    question, user = await asked(request)
    runs, ident = request.app[RUNS], str(uuid.uuid4())
    run = runs[ident] = Run(user.get("x-forwarded-email", ""), question["conversation_id"])
    run.task = asyncio.create_task(work(request.app[BUILDER], run, question, user))
    while len(runs) > KEPT:
        forgotten = runs.pop(next(iter(runs)))
        if forgotten.task:
            forgotten.task.cancel()
    return web.json_response({"execution_id": ident, "conversation_id": run.conversation})


async def work(
    builder: aiohttp.ClientSession, run: Run, question: dict[str, Any], user: dict[str, str]
) -> None:
    """Follows the agent to its end. Whoever reads the run may come later, or leave and come again."""
    try:
        async with builder.post("invocations", json={**question, "stream": True}, headers=user) as answer:
            if answer.status != 200:
                raise Failed(await reason(answer))
            async for line in answer.content:
                if line.startswith(b"data: "):
                    run.tell(line.rstrip() + b"\n\n")
    except (aiohttp.ClientError, TimeoutError, Failed) as error:
        failed = {"type": "error", "error": f"Streaming failed: {error}"}
        run.tell(b"data: " + json.dumps(failed).encode() + b"\n\n")
    finally:
        if not run.frames or run.frames[-1] != b"data: [DONE]\n\n":
            run.tell(b"data: [DONE]\n\n")
        run.over = True
        run.tell(b"")


@routes.get("/stream/{id}")
async def stream(request: web.Request) -> web.StreamResponse:
    run = request.app[RUNS].get(request.match_info["id"])
    if run is None or run.user != request.headers.get("x-forwarded-email", ""):
        return web.json_response({"detail": f"Stream not found: {request.match_info['id']}"}, status=404)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    async for frame in run.told():
        if frame:
            await response.write(frame)
    await response.write_eof()
    return response


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        async with request.app[BUILDER].get("api/config/health", timeout=timeout) as answer:
            if answer.status != 200:
                raise Failed(await reason(answer))
            builder = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError, Failed) as error:
        builder = {"status": "unreachable", "error": str(error)}
    return web.json_response({"status": "healthy", "builder_app": builder})


async def connected(app: web.Application) -> AsyncIterator[None]:
    app[RUNS] = {}
    address = os.environ["BUILDER_APP_URL"].rstrip("/") + "/"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)  # a run takes as long as it takes
    async with aiohttp.ClientSession(address, timeout=timeout) as app[BUILDER]:
        yield
        for run in app[RUNS].values():
            if run.task:
                run.task.cancel()


def application() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(connected)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8001")))
