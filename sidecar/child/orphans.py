"""Zombies that nobody else will take: whoever lost its parent below us, as PID 1 and everywhere else."""

import os


class Orphans:
    """Looks with the sweep. What the loop started itself it takes itself, at once: two looks later it is nobody's."""

    def __init__(self) -> None:
        self._seen = 0

    def tick(self, now: float) -> None:
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid != self._seen:  # the loop may not have heard of it yet
                    self._seen = found.si_pid
                    return
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:  # we have no children
            pass
        self._seen = 0
