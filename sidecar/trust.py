"""Whom this process believes over TLS: the system's roots, and the authorities of one file beside them.

Told once, at start, like the file that OpenSSL itself is told of: everything that connects asks here.
"""

import ssl
from functools import cache
from pathlib import Path
from typing import Final

VARIABLE: Final = "SIDECAR_CA_FILE"  # by which the helper process is told of the file

_beside: list[Path] = []


def believe(file: Path | None) -> None:
    """From now on the authorities in this file, or nobody's beside the system's."""
    _beside[:] = [file] if file else []
    context.cache_clear()


@cache
def context() -> ssl.SSLContext:
    """For `ssl=` of whatever connects; one for all, because making it reads every root there is."""
    made = ssl.create_default_context()
    for file in _beside:
        made.load_verify_locations(file)
    made.set_alpn_protocols(["http/1.1"])
    return made


def environment() -> dict[str, str]:
    """What a helper process must be told to believe the same."""
    return {VARIABLE: str(_beside[0].absolute())} if _beside else {}
