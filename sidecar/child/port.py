"""The app's port: free, and likely to stay so until the app takes it."""

import random
import socket
from typing import Final

# Below where Linux takes the ports of outgoing connections from: nobody's connection sits there by chance
# between our look and the app's own bind.
FROM: Final = range(20_000, 32_000)
TRIES: Final = 100


def is_free(port: int, *, reused: bool = True) -> bool:
    """Whether nobody listens on it, on any address of this machine.

    `reused`: ended connections of an earlier run do not count, as to a server that says SO_REUSEADDR.
    """
    with socket.socket() as tried:
        if reused:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
        return True


def free() -> int:
    """A port that nobody listens on, and that an app may bind whatever it says."""
    for _ in range(TRIES):
        if is_free(port := random.choice(FROM), reused=False):
            return port
    with socket.socket() as any_free:
        any_free.bind(("127.0.0.1", 0))
        return int(any_free.getsockname()[1])
