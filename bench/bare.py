"""The proxy that anybody would write with aiohttp in ten minutes: no feature, default loop. The measure of ours.

`python bare.py PORT AGENT`: `/api/chat` goes to the agent's `/invocations`, any other path where it is.
"""

import asyncio
import sys

from aiohttp import ClientSession, TCPConnector, WSMsgType, web

AGENT = sys.argv[2]
OPEN = web.AppKey("session", ClientSession)
HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"}


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


async def page(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await socket(request)
    headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
    if request.content_length is not None:
        headers.append(("Content-Length", str(request.content_length)))
    data = request.content if request.body_exists else None
    async with request.app[OPEN].request(
        request.method, AGENT + request.raw_path, headers=headers, data=data, allow_redirects=False
    ) as answer:
        response = web.StreamResponse(status=answer.status)
        response.headers.extend((k, v) for k, v in answer.headers.items() if k.lower() not in HOP)
        response.content_length = answer.content_length
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    ours = web.WebSocketResponse()
    await ours.prepare(request)
    async with request.app[OPEN].ws_connect(AGENT + request.raw_path) as theirs:

        async def passed(come, go) -> None:
            async for message in come:
                if message.type == WSMsgType.TEXT:
                    await go.send_str(message.data)
                else:
                    await go.send_bytes(message.data)
            await go.close()

        await asyncio.gather(passed(ours, theirs), passed(theirs, ours))
    return ours


async def session(app: web.Application):
    async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=False) as app[OPEN]:
        yield


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/chat", chat)
    app.router.add_route("*", "/{path:.*}", page)
    app.cleanup_ctx.append(session)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
