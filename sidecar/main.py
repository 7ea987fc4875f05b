"""One run of the process, from its settings to its exit code."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import uvloop

from sidecar.app import Sidecar
from sidecar.child.spawn import CannotStart
from sidecar.doors import CannotListen
from sidecar.loader import Unusable
from sidecar.pages import NO_GUIDE, Guide
from sidecar.settings import Settings

Staged = Callable[[Settings], AbstractAsyncContextManager[Settings]]


def main(
    settings: Settings,
    *,
    command: str = "serve",
    staged: Staged | None = None,
    guide: Guide = NO_GUIDE,
    beside: Sequence[str] = (),
) -> int:
    """Runs until a signal, and returns the exit code: 0, 1 where a door cannot open, 78 where a plug-in cannot.

    `staged` starts what the demo has behind it, and gives the settings with these agents; `guide` tells of them.
    `beside` is the command that `run` starts: its exit code is ours.
    """
    return uvloop.run(_main(settings, command, staged, guide, beside))


async def _main(
    settings: Settings, command: str, staged: Staged | None, guide: Guide, beside: Sequence[str]
) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        if staged is not None:
            settings = await stack.enter_async_context(staged(settings))
        sidecar = Sidecar(settings, guide=guide, reach=0 if staged is None else 20, beside=beside)
        stack.callback(sidecar.telemetry.listen())
        sidecar.lifetime.obey_signals()
        try:
            await sidecar.start()
        except Unusable as why:
            return complain(str(why), 78)
        except CannotListen as why:
            return complain(str(why), 1)
        except CannotStart as why:
            return complain(str(why), why.code)
        seconds = round(running() or time.monotonic() - began, 2)
        shows = "in a browser" if settings.page else "shows the app as soon as it answers" if beside else ""
        page = f": {sidecar.listeners['front'].address}/ {shows}" if shows else ""
        sys.stderr.write(f"{sidecar.announcement(command)}ready in {seconds} s{page}\n")
        sys.stderr.flush()
        sidecar.telemetry.say("info", "ready", front=sidecar.listeners["front"].address, seconds=seconds)
        sidecar.telemetry.flush()
        return await sidecar.serve()


def running() -> float | None:
    """Seconds since this process was started, imports included; None where /proc does not tell."""
    try:
        started = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        return None


def complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"sidecar: {sentence}\n")
    return code
