"""The proxy that anybody would write with aiohttp in ten minutes: no feature, default loop. The measure of ours."""

import os
import sys

from aiohttp import ClientSession, web

AGENT = os.environ["AGENT_APP_URL"]
OPEN = web.AppKey("session", ClientSession)


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    async with request.app[OPEN].post(f"{AGENT}/invocations", json=body) as answer:
        if "text/event-stream" not in answer.headers["Content-Type"]:
            return web.Response(body=await answer.read(), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def session(app: web.Application):
    from aiohttp import TCPConnector

    async with ClientSession(connector=TCPConnector(limit=0)) as app[OPEN]:
        yield


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/api/chat", chat)
    app.cleanup_ctx.append(session)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
