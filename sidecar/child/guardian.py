"""A shell that waits for us to die without a word, and then ends the app's whole group.

The kernel signals the process that we started, and not what that one started: a killed sidecar would leave
the server behind `npm start` running. As PID 1 we need none, since the kernel ends everybody with us.
"""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

SHELL: Final = "/bin/sh"
SCRIPT: Final = 'read -r released || { kill -TERM "-$1"; sleep 2; kill -KILL "-$1"; } 2>/dev/null'


class Guardian:
    """`await guard(group)`; `await release()` when the group has ended, or is ended by us."""

    def __init__(self) -> None:
        self._shell: Process | None = None

    async def guard(self, group: int) -> None:
        if os.getpid() == 1 or not os.access(SHELL, os.X_OK):
            return
        self._shell = await asyncio.create_subprocess_exec(
            SHELL,
            "-c",
            SCRIPT,
            "sidecar-guardian",
            str(group),
            stdin=PIPE,  # its other end is ours alone, and closes with us
            stdout=DEVNULL,
            stderr=DEVNULL,
            env={"PATH": os.defpath},
            start_new_session=True,
        )

    async def release(self) -> None:
        if self._shell is not None and self._shell.returncode is None:
            await self._shell.communicate(b"released\n")
