"""Performs an answer on one connection: its pauses, its holds, and the way it ends."""

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from aiohttp import web

from sidecar.sim.pages import AGENT
from sidecar.sim.script import Scene
from sidecar.sim.visits import Visit

LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # close() then sends RST, not FIN


async def dawdle(visit: Visit, scene: Scene) -> None:
    """What passes before anything is answered."""
    if scene.hold == -1:
        await visit.held()
    if scene.delay:
        await asyncio.sleep(scene.delay)


async def play(
    request: web.BaseRequest,
    visit: Visit,
    scene: Scene,
    response: web.StreamResponse,
    frames: Iterable[bytes],
) -> web.StreamResponse:
    """Sends `frames` behind the headers of `response`, as the scene directs."""
    response.headers.update(AGENT)
    if scene.content_type:
        response.headers["Content-Type"] = scene.content_type
    if scene.after == -1:
        return broken(request, response)
    await response.prepare(request)
    for nth, frame in enumerate(cut(frames, int(scene.split))):
        if scene.step or nth == scene.hold:
            await visit.held()
        if scene.gap and nth:
            await asyncio.sleep(scene.gap)
        await response.write(frame)
        await asyncio.sleep(0)  # a write that fits into the socket's buffer does not let anyone else run
    if scene.breaks == "reset":
        return broken(request, response)
    if scene.breaks == "hang up" or unfinished(scene, response):
        return hung_up(request, response)
    return response


def cut(frames: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, where one is given."""
    for frame in frames:
        yield from (frame[at : at + size] for at in range(0, len(frame), size)) if size else (frame,)


def unfinished(scene: Scene, response: web.StreamResponse) -> bool:
    """Whether a promised length was not kept: only closing the connection can tell that."""
    return scene.breaks == "truncate" and response.content_length is not None


def broken(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Ends the connection so that the other side reads `connection reset`."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO
        )
        request.transport.abort()
    return response


def hung_up(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Ends the connection in order, the answer not."""
    if request.transport is not None:
        request.transport.close()
    return response
