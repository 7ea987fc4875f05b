"""The one loader of what others bring: an installed entry point by name, an attribute of a file by path."""

import hashlib
import sys
from collections.abc import Collection
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple


class Unusable(Exception):
    """Why something of others cannot be used: one sentence for the operator."""


class Loaded(NamedTuple):
    name: str
    object: Any
    origin: str  # for people: a distribution and its version, or a file and its SHA-256


def load(member: str, group: str, known: Collection[str] = ()) -> Loaded:
    """What `member` names in a group of entry points, or, as `path/file.py:attribute`, in a file."""
    path, _, attribute = member.rpartition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), attribute)
    installed = entry_points(group=group)
    match tuple(installed.select(name=member)):
        case (only,):
            return _installed(only)
        case ():
            nearest = get_close_matches(member, [*known, *installed.names], 1)
            hint = (
                f"Did you mean {nearest[0]!r}?" if nearest else f"Nothing installed in {group} has this name."
            )
            raise Unusable(f"There is no {member!r}. {hint}")
        case several:
            raise Unusable(
                f"{member!r} is brought by {' and by '.join(map(_distribution, several))}: keep one."
            )


def _from_file(path: Path, attribute: str) -> Loaded:
    """Runs the very bytes whose hash is told, under a module name that stands before nobody's."""
    try:
        mode, source = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from error
    if mode & 0o022:
        raise Unusable(f"{path} may be written by others than its owner: chmod go-w {path}")
    digest = hashlib.sha256(source).hexdigest()
    module = ModuleType(f"_sidecar_plugin_{path.stem}_{digest[:12]}")
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)  # noqa: S102
    except Exception as error:
        raise Unusable(f"{path} cannot be loaded: {words(error)}") from error
    if not hasattr(module, attribute):
        raise Unusable(f"{path} has no {attribute!r}.")
    return Loaded(attribute, getattr(module, attribute), f"{path} sha256:{digest}")


def _installed(entry: EntryPoint) -> Loaded:
    try:
        return Loaded(entry.name, entry.load(), _distribution(entry))
    except Exception as error:
        raise Unusable(
            f"{entry.name!r} of {_distribution(entry)} cannot be loaded: {words(error)}"
        ) from error


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def words(error: Exception) -> str:
    """An error as an operator reads it."""
    return f"{type(error).__name__}: {error}"
