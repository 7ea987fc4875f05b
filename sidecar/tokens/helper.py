"""One refresh: starts the helper process, reads its one line, and ends it, whatever state it is in."""

import asyncio
import math
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final

import orjson

from policies.credentials import Grant
from policies.faults import FAULTS, Fault
from policies.secret import Secret
from sidecar.tokens import credential as credentials
from sidecar.tokens.credential import Credential

LINE: Final = 256 << 10  # bytes; more is no answer of ours
COMMAND: Final = (sys.executable, "-P", "-m", "sidecar.tokens")


async def fetch(credential: Credential, deadline: float, command: Sequence[str] = COMMAND) -> Grant | Fault:
    """A new bearer, or why there is none, within `deadline` seconds and a moment for the kill."""
    if credential.static:
        return await asyncio.to_thread(credentials.grant, credential)
    environment = await asyncio.to_thread(credentials.environment, credential)
    if isinstance(environment, Fault):
        return environment
    try:
        helper = await asyncio.create_subprocess_exec(
            *command,
            str(deadline),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # the SDK's words may hold anything
            start_new_session=True,  # so that what it starts ends with it
            limit=LINE,
        )
    except OSError:
        return Fault("helper_died")
    try:
        async with asyncio.timeout(deadline):
            return read(await helper.stdout.readline())  # type: ignore[union-attr]
    except TimeoutError:
        return Fault("timeout")
    except ValueError:  # a line without an end
        return Fault("garbage")
    finally:
        await end(helper)


async def end(helper: asyncio.subprocess.Process) -> None:
    """Kill the helper with whatever it started, and take leave of it."""
    try:
        os.killpg(helper.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it has gone already
        pass
    await helper.communicate()


def read(line: bytes) -> Grant | Fault:
    """What the helper's line says; anything else than its two shapes is garbage."""
    if not line.strip():
        return Fault("helper_died")
    try:
        told: Any = orjson.loads(line)
        if "fault" in told:
            return Fault(told["fault"] if told["fault"] in FAULTS else "garbage", number(told["retry_after"]))
        return Grant(Secret(str(told["authorization"])), number(told["life"]))
    except (ValueError, KeyError, TypeError):
        return Fault("garbage")


def number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise ValueError
