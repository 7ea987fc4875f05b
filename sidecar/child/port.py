"""A free port on loopback."""

import random
import socket
from typing import Final

# Below where Linux takes the ports of outgoing connections from: nobody's connection sits there by chance
# between our look and the app's own bind.
FROM: Final = range(20_000, 32_000)
TRIES: Final = 100


def free() -> int:
    """A port that nobody listens on, on any address of this machine."""
    for _ in range(TRIES):
        port = random.choice(FROM)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("", port))
            except OSError:
                continue
            return port
    with socket.socket() as any_free:
        any_free.bind(("127.0.0.1", 0))
        return int(any_free.getsockname()[1])
