"""Two things that only Linux offers, and only by prctl: a signal when the parent dies, and other people's orphans."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36


def adopt_orphans() -> None:
    """From now on who loses its parent below us becomes our child, as it does where we are PID 1."""
    if sys.platform == "linux":
        _prctl()(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with_us() -> Callable[[], None] | None:
    """What a new process runs before it becomes the command; None where there is nothing to run.

    It runs between fork and exec: the library is loaded here, and nothing is allocated there.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = _prctl(), os.getpid()

    def dies() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # we died first
            os._exit(128 + signal.SIGTERM)

    return dies


def _prctl() -> Callable[..., int]:
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    return prctl
