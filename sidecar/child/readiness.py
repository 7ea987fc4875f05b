"""When the app is up: its port takes a connection, and then `GET /` is answered, whatever the status."""

import asyncio
from typing import Final

from policies.child import LOOPBACK

HOSTS: Final = (LOOPBACK, "::1")  # `localhost` is either, as the app's runtime likes it
EVERY: Final = 0.05  # seconds between two looks
ONE_ANSWER: Final = 60.0  # seconds for one `GET /`: development servers build the page while one waits


class Readiness:
    """Asks until there is an answer. `seen` tells how far it got: nothing, a connection, something else than HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = "nothing listened"

    async def url(self) -> str:
        """The app's address, as soon as it answers there."""
        while True:
            for host in HOSTS:
                if await self._answers(host):
                    return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
            await asyncio.sleep(EVERY)

    async def _answers(self, host: str) -> bool:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, self.port), 1)
        except (OSError, TimeoutError):
            return False
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
