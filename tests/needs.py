"""What a test needs from the machine: with CI set its absence is a failure, elsewhere a skip, in one wording."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def need(name: str) -> Path:
    """Where the named thing is: a command of `.ci/packages`, or `peers…`, an environment of real peers.

    May be called in a test, in a fixture, or at the top of a module (then all of the module needs it).
    """
    path, sentence = _peers(name) if name.startswith("peers") else _command(name)
    if path is None:
        _refuse(f"needs {name}: {sentence}")
    return path


def packages() -> dict[str, str]:
    """Command → Debian package, as `.ci/packages` has them."""
    rows = (line.split("#")[0].split() for line in (ROOT / ".ci/packages").read_text().splitlines())
    return {row[0]: row[1] for row in rows if row}


def _command(name: str) -> tuple[Path | None, str]:
    found = shutil.which(name)
    return (Path(found) if found else None), f"apt-get install {packages()[name]}"


def _peers(name: str) -> tuple[Path | None, str]:
    place = ROOT / f".{name}"
    return (place / "bin/python" if (place / "made").exists() else None), "make peers"


def _refuse(sentence: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence, allow_module_level=True)
