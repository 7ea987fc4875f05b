"""What stands behind the front: where the frontend is, and whether it is up."""

import asyncio
from typing import Final, Literal
from urllib.parse import urlsplit

State = Literal["starting", "up", "gone"]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PATIENCE: Final = 1.0  # seconds for one connection
FRESH: Final = 1.0  # seconds for which one look is good
PORTS: Final = {"http": 80, "https": 443}
TROUBLES: Final[dict[State, str]] = {
    "starting": "the app is starting: it has not answered `GET /` yet",
    "gone": "the app has ended",
}


class Frontend:
    """The app behind the front. `url` is final once `state` is `up`; one that we did not start is always `up`.

    `url`  its origin and perhaps a base path, without a slash at the end
    `met`  whether it took a connection when it was last looked for
    """

    __slots__ = ("_fresh_until", "_looking", "met", "state", "url")

    def __init__(self, url: str, state: State = "up") -> None:
        self.url = url
        self.state: State = state
        self.met = True
        self._looking = asyncio.Lock()
        self._fresh_until = 0.0

    @property
    def up(self) -> bool:
        """Whether it can be asked, as far as is known."""
        return self.state == "up" and self.met

    def trouble(self) -> str | None:
        """Why nobody should come to the front now."""
        unmet = None if self.met else "the app behind the front takes no connection"
        return TROUBLES.get(self.state, unmet)

    async def look(self) -> None:
        """Sees whether it takes a connection, and sends nothing on it: once a second, however many want to know."""
        clock = asyncio.get_running_loop().time
        async with self._looking:
            if self.state != "up" or clock() < self._fresh_until:
                return
            parts = urlsplit(self.url)
            made = await connection(parts.hostname or "", parts.port or PORTS[parts.scheme])
            self.met = made is not None
            if made:
                made[1].close()
            self._fresh_until = clock() + FRESH


async def connection(host: str, port: int) -> Connection | None:
    """A connection to it; None where nobody takes one in time."""
    try:
        return await asyncio.wait_for(asyncio.open_connection(host, port), PATIENCE)
    except (OSError, TimeoutError):
        return None
