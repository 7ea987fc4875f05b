"""The app's port: free, and likely to stay so until the app takes it."""

import random
import socket
from typing import Final

# Below where Linux takes the ports of outgoing connections from: nobody's connection sits there by chance
# between our look and the app's own bind.
FROM: Final = range(20_000, 32_000)
TRIES: Final = 100


def is_free(port: int) -> bool:
    """Whether nobody listens on it, on any address of this machine."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
        return True


def free() -> int:
    """A port that nobody listens on."""
    for _ in range(TRIES):
        if is_free(port := random.choice(FROM)):
            return port
    with socket.socket() as any_free:
        any_free.bind(("127.0.0.1", 0))
        return int(any_free.getsockname()[1])
