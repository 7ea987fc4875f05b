"""SIDECAR_DISABLED: `sidecar run -- <command>` becomes the command, untouched, before anything is looked at."""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from sidecar.child.spawn import why
from sidecar.settings.numbers import switch


def by(environ: Mapping[str, str]) -> bool:
    """Whether the environment says so. A value that is neither on nor off is left to the settings to refuse."""
    try:
        return switch(environ.get("SIDECAR_DISABLED", "").strip() or "off")
    except ValueError:
        return False


def become(command: tuple[str, ...]) -> NoReturn:
    """The very command, with the very environment, in this process; or a sentence, and a shell's exit code."""
    try:
        os.execvp(command[0], command)
    except (OSError, ValueError) as error:
        sentence, code = why(command[0], os.environ.get("PATH"), error)
        sys.stderr.write(f"sidecar: {sentence}\n")
        sys.exit(code)
