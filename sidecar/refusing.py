"""Stops a server from accepting, and loses nobody who has just been accepted."""

import asyncio
from typing import Final

TURNS: Final = 3  # of the loop, until whoever was accepted before has become a connection


def refuse(server: asyncio.Server) -> None:
    """No further connection is accepted from now on; the server is closed in the loop's next turn.

    CPython 3.11 neither serves nor closes a connection that it accepted in the turn before `Server.close`
    (gh-109564), and the caller would wait for ever.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    loop.call_soon(server.close)


async def accepted() -> None:
    """Returns when every connection that was accepted before is known to its protocol."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
