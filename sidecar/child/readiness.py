"""When the app is up: its port takes a connection, and then `GET /` is answered, whatever the status."""

import asyncio
from typing import Final

from policies.child import LOOPBACK
from sidecar.behind import connection

HOSTS: Final = (LOOPBACK, "::1")  # `localhost` is either, as the app's runtime likes it
EVERY: Final = 0.05  # seconds between two looks
AGAIN: Final = 3.0  # seconds without an answer, after which it is asked again beside
MOST: Final = 4  # questions that wait at once
ONE_ANSWER: Final = 60.0  # seconds for one `GET /`: development servers build the page while one waits


class Readiness:
    """Asks until there is an answer. `seen` tells how far it got: nothing, a connection, something else than HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = "nothing listened"

    async def url(self) -> str:
        """The app's address, as soon as it answers there.

        A question that waits is joined by another after a while: a server that takes connections a moment before it
        knows what to do with them may never answer the first.
        """
        clock = asyncio.get_running_loop().time
        asked: set[asyncio.Task[str | None]] = set()
        last = clock()
        try:
            while True:
                if not asked or (clock() - last >= AGAIN and len(asked) < MOST):
                    asked |= {asyncio.create_task(self._address(host)) for host in HOSTS}
                    last = clock()
                done, asked = await asyncio.wait(asked, timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
                for address in filter(None, [task.result() for task in done]):
                    return address
                if not asked:
                    await asyncio.sleep(EVERY)
        finally:
            for task in asked:
                task.cancel()

    async def _address(self, host: str) -> str | None:
        return (
            f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
            if await self._answers(host)
            else None
        )

    async def _answers(self, host: str) -> bool:
        made = await connection(host, self.port)
        if made is None:
            return False
        reader, writer = made
        self.seen = "connections were taken, and no `GET /` was answered"
        try:
            writer.write(
                f"GET / HTTP/1.1\r\nHost: {LOOPBACK}:{self.port}\r\nUser-Agent: agent-sidecar\r\n"
                "Accept: */*\r\nConnection: close\r\n\r\n".encode()
            )
            start = await asyncio.wait_for(reader.readexactly(5), ONE_ANSWER)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()
        self.seen = "what answered there did not speak HTTP"
        return start == b"HTTP/"
