"""One answer of a stand-in builder to `stream_progress`: events behind a stamp, for as long as a window is open."""

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from sidecar.sim import pages
from sidecar.sim.builder_runs import Run

SMALL: Final = 3  # events in a window of a run that is told in many
BREAKS: Final = 3  # events before a window breaks that is to break
FORGETS: Final = frozenset({"purge", "lag", "forget", "lose"})


async def tell(request: web.BaseRequest, run: Run, after: float | None, window: float) -> web.StreamResponse:
    run.windows += 1
    if run.windows == 2 and "expired" in run.said:
        return pages.PAGES["unauthorized"](0)
    if broken(run, "busy"):
        return pages.json_of_agent(503, {"detail": "Too many requests"})
    if broken(run, "dead"):
        return hung_up(request)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            **pages.AGENT,
        }
    )
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async with asyncio.timeout(window):
            if await _until_the_end(request, response, run, after):
                if request.transport is not None and not request.transport.is_closing():
                    await response.write_eof()
                return response
    except TimeoutError:
        pass
    about = {
        "execution_id": run.ident,
        "last_timestamp": run.shown_until or after,
        "message": "Reconnect to continue",
    }
    await write(response, {"type": "stream.reconnect", **about})
    await response.write_eof()
    return response


async def _until_the_end(
    request: web.BaseRequest, response: web.StreamResponse, run: Run, after: float | None
) -> bool:
    """Events as they come; whether that is all of the run, or all that is to be had of it here."""
    index = run.after(after)
    count = 0
    cuts = next((word for word in ("cut", "end early") if broken(run, word)), "")
    while True:
        while index < len(run.events):
            stamp, event = run.events[index]
            await write(response, event | {"_cursor": stamp})
            run.shown_until = stamp
            index, count = index + 1, count + (index >= run.shown)
            run.shown = max(run.shown, index)
            if count == BREAKS and cuts:
                if cuts == "cut":
                    hung_up(request)
                return True
            if count == BREAKS and run.said.keys() & FORGETS:
                run.forgotten = True
                return True
            if count == SMALL and "windows" in run.said and index < len(run.events):
                return False
        if run.status != "running":
            cancelled = run.status == "cancelled"
            end = {"type": "stream.completed", "is_error": run.status == "error", "is_cancelled": cancelled}
            await write(response, end)
            await response.write(b"data: [DONE]\n\n")
            return True
        await run.news.wait()


def hung_up(request: web.BaseRequest) -> web.Response:
    """The connection is gone; nobody gets this answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def broken(run: Run, word: str) -> bool:
    """Whether this window is one of those that go wrong so; each is counted."""
    if run.said.get(word, 0) <= 0:
        return False
    run.said[word] -= 1
    return True


async def write(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
