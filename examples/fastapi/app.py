"""A chat page and the one route behind it: the question goes to the agent app at AGENT_APP_URL, for its user."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

ABOUT_THE_USER = ("x-forwarded-access-token", "x-forwarded-email")


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=os.environ["AGENT_APP_URL"], timeout=120) as app.state.agent:
        yield


app = FastAPI(lifespan=connected)


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@app.post("/api/chat")
async def chat(request: Request) -> Response:
    agent: httpx.AsyncClient = request.app.state.agent
    headers = {name: request.headers[name] for name in ABOUT_THE_USER if name in request.headers}
    asked = agent.build_request("POST", "/invocations", json=await request.json(), headers=headers)
    answer = await agent.send(asked, stream=True)

    async def told() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        finally:
            await answer.aclose()

    return StreamingResponse(told(), answer.status_code, media_type=answer.headers.get("content-type"))
