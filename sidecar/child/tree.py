"""The processes of one group, as /proc tells of them; nothing where there is no /proc."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from policies.child import is_launcher

PROC: Final = Path("/proc")


class Member(NamedTuple):
    pid: int
    parent: int


def members(group: int) -> list[Member]:
    """Those of the group that live: a zombie does nothing any more."""
    return list(_members(group))


def _members(group: int) -> Iterator[Member]:
    for name in os.listdir(PROC) if _is_ours() else ():
        if name.isdigit() and (stat := _read(f"{name}/stat")):
            state, parent, its, *_ = stat.rpartition(b")")[2].split()  # the name before it may hold anything
            if int(its) == group and state not in (b"Z", b"X"):
                yield Member(int(name), int(parent))


def _is_ours() -> bool:
    """Whether /proc is there, and counts as we do: in a new namespace it may still be that of the old one."""
    try:
        return os.readlink(PROC / "self") == str(os.getpid())
    except OSError:
        return False


def workers(leader: int) -> list[int]:
    """Who has to hear of an end, and hears of it from nobody: the leader, or what stands behind launchers.

    Without /proc it is all of the group, in the way `os.kill` writes that.
    """
    if not _is_ours():
        return [-leader]
    below: dict[int, list[int]] = {}
    for member in members(leader):
        below.setdefault(member.parent, []).append(member.pid)
    found, waiting = [], [leader]
    while waiting:
        pid = waiting.pop()
        started = below.get(pid, [])
        if started and is_launcher(argv(pid)):
            waiting += started
        else:
            found.append(pid)
    return found


def argv(pid: int) -> list[str]:
    return [word.decode(errors="replace") for word in _read(f"{pid}/cmdline").rstrip(b"\0").split(b"\0")]


def _read(name: str) -> bytes:
    try:
        return (PROC / name).read_bytes()
    except OSError:  # it has gone meanwhile
        return b""
