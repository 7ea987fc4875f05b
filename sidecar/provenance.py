"""Are these three packages ours? `middleware` and `policies` are names that others use as well.

Installed, every source file of the three must be one that our distribution brought, and as long as it was
then: another distribution with a package of the same name writes into the same folder and says nothing.
From a checkout, all three must lie in it.
"""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import middleware
import policies
import sidecar

NAME = "agent-sidecar"
PACKAGES = (sidecar, middleware, policies)
REMEDY = f"Install {NAME} into an environment of its own."


def insist() -> None:
    """Ends the process with 78 where the packages are not ours: nothing it would do could be relied on."""
    if problems := check():
        sys.stderr.write("".join(f"sidecar: {problem} {REMEDY}\n" for problem in problems))
        sys.exit(78)


def check() -> list[str]:
    """What speaks against these packages being ours, each a sentence with both paths; empty is good."""
    try:
        ours = distribution(NAME)
    except PackageNotFoundError:
        home = _folder(sidecar)
        return (
            _elsewhere(home) if _is_checkout(home) else [f"{home} is no checkout of {NAME}, nor installed."]
        )
    if (checkout := _editable(ours)) is not None:
        return _elsewhere(checkout)
    home = Path(str(ours.locate_file("")))
    return _elsewhere(home) or _foreign(home, _record(ours))


def _folder(package: ModuleType) -> Path:
    return Path(package.__path__[0]).parent


def _elsewhere(home: Path) -> list[str]:
    return [
        f"The package {package.__name__} comes from {_folder(package)}, and {NAME} is at {home}."
        for package in PACKAGES
        if not _folder(package).samefile(home)
    ]


def _foreign(home: Path, record: dict[str, int]) -> list[str]:
    foreign = [str(home / name) for name, size in _sources(home) if record.get(name) != size]
    if not foreign:
        return []
    more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
    return [f"{foreign[0]}{more} is not what {NAME} brought to {home}: something else wrote there."]


def _sources(home: Path) -> Iterator[tuple[str, int]]:
    """Every file of the three packages but caches: (name, size)."""
    waiting = [package.__name__ for package in PACKAGES]
    while waiting:
        folder = waiting.pop()
        with os.scandir(home / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}"
                if entry.is_dir():
                    waiting += [] if entry.name == "__pycache__" else [name]
                elif not entry.name.endswith(".pyc"):
                    yield name, entry.stat().st_size


def _record(ours: Distribution) -> dict[str, int]:
    """The installer's list: name → size."""
    rows = (line.rsplit(",", 2) for line in (ours.read_text("RECORD") or "").splitlines())
    return {row[0]: int(row[2]) for row in rows if row[-1].isdigit()}


def _editable(ours: Distribution) -> Path | None:
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def _is_checkout(home: Path) -> bool:
    try:
        project = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(project.get("name") == NAME)
