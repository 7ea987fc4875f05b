"""The real MCP client, doing whatever it is told to: a line of JSON in, a line of JSON out, until stdin ends.

In: `{"url": …, "transport": "http" | "sse", "mode": "auto" | "legacy" | "2026-07-28", "headers": {}}`.
Out: `{"version": …, "tools": […], "sum": …, "steps": …, "progress": [[1, 3], …], "headers": {…}, "error": null}`.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def used(url, transport, mode, headers):
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, total])

    async with httpx2.AsyncClient(headers=headers) as http:
        way = (
            sse_client(url, headers=headers)
            if transport == "sse"
            else streamable_http_client(url, http_client=http)
        )
        async with Client(way, mode=mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            total = await client.call_tool("add", {"a": 20, "b": 1})
            steps = await client.call_tool("steps", {"count": 3}, progress_callback=on_progress)
            who = await client.call_tool("whoami", {})
            return {
                "version": client.protocol_version,
                "tools": tools,
                "sum": total.content[0].text,
                "steps": steps.content[0].text,
                "progress": progress,
                "headers": json.loads(who.content[0].text),
                "error": None,
            }


def reason(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def asked(question):
    try:
        async with asyncio.timeout(20):
            return await used(**question)
    except Exception as error:
        return {"error": reason(error)}


for line in sys.stdin:
    sys.stdout.write(json.dumps(asyncio.run(asked(json.loads(line)))) + "\n")
    sys.stdout.flush()
