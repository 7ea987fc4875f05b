"""A real MCP server with three tools, on both transports at once: /mcp and /sse, and below /p as an app mounts it.

It believes only its own Host and Origin, as the mcp package has it for a server on this machine.
"""

import asyncio
import contextlib
import socket
import sys
import threading

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.routing import Mount

server = MCPServer("weather")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@server.tool()
def whoami(ctx: Context) -> dict[str, str]:
    """Which headers reached the server with this call."""
    return dict(ctx.headers or {})


@server.tool()
async def steps(count: int, ctx: Context) -> str:
    """Tells how far it is, then that it is done: an answer that becomes a stream."""
    for step in range(count):
        await ctx.report_progress(step + 1, count)
    return "done"


def app():
    streamable, sse, mounted = server.streamable_http_app(), server.sse_app(), server.sse_app()

    @contextlib.asynccontextmanager
    async def lifespan(_):
        async with server.session_manager.run():
            yield

    return Starlette(routes=[*streamable.routes, *sse.routes, Mount("/p", app=mounted)], lifespan=lifespan)


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    serving = uvicorn.Server(uvicorn.Config(app(), log_level="warning"))

    def watch():
        sys.stdin.read()
        serving.should_exit = serving.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await serving.serve(sockets=[listener])


asyncio.run(main())
