"""A process of another program: in a session of its own, with nothing of ours open in it, not to outlive us."""

import asyncio
import errno
import shutil
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence

from sidecar.child.kernel import dies_with_us

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as a shell tells it


class CannotStart(Exception):
    """The command could not be started: one sentence, and the exit code that a shell would give."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


async def spawn(
    command: Sequence[str], environment: Mapping[str, str], stdout: int | None, stderr: int | None
) -> Process:
    """Starts it; standard input is ours. CannotStart with its exit code.

    A session, not only a group: who is in the background of a terminal's session is stopped when it reads.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=dies_with_us(),
        )
    except (OSError, ValueError) as error:
        raise CannotStart(*why(command[0], environment.get("PATH"), error)) from error


def why(name: str, path: str | None, error: OSError | ValueError) -> tuple[str, int]:
    """Why a command did not start, in one sentence; and the exit code for it."""
    if isinstance(error, FileNotFoundError):
        if shutil.which(name, path=path):
            return f"{name}: what its first line (#!) names is not there.", NOT_FOUND
        where = "there is no such file." if "/" in name else "there is no such command on the PATH."
        return f"{name}: {where} `sidecar run -- <command>` takes it as a shell would.", NOT_FOUND
    if isinstance(error, PermissionError):
        return f"{name}: it may not be executed.", NOT_EXECUTABLE
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return f"{name}: it is no program; a script begins with #!.", NOT_EXECUTABLE
    why = error.strerror if isinstance(error, OSError) else "a word of the command holds a null byte"
    return f"{name}: it could not be started: {why}.", NOT_EXECUTABLE
