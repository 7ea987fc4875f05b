"""The agent behind the targets and the load before them: compiled where there is a C compiler, else in Python."""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
MADE: Final = HERE.parent / ".bench"  # what the bench makes for itself: binaries, peers


@cache
def program(name: str) -> tuple[str, ...]:
    """The command of `agent` or `load`."""
    source = HERE / f"{name}.c"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return sys.executable, str(HERE / f"{name}.py")
    binary = MADE / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not binary.exists():
        MADE.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", binary, source], check=True)
    return (str(binary),)


def language() -> str:
    return "Python" if len(program("load")) > 1 else "C"
