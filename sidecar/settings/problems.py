"""What can be wrong with the settings: all of it at once, a line each, never with a secret in it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

CODES: Final[dict[str, str]] = {
    "unknown_setting": "A variable begins with `SIDECAR_`, but there is no such setting.",
    "invalid_value": "A value is not what the setting accepts.",
    "invalid_agent_name": "What stands between `SIDECAR_AGENTS__` and the next `__` cannot name an agent.",
    "missing_value": "A setting is needed because of another one, or because of the command.",
    "unreadable_file": "The file that a `…_FILE` names is missing, empty or may not be read.",
    "conflict": "Two settings contradict each other.",
    "insecure": "A combination that would give a secret or an identity away.",
}


class Problem(NamedTuple):
    """One line: which variable, what is wrong with it, what would be right."""

    code: str
    variable: str
    wrong: str
    accepted: str = ""

    def __str__(self) -> str:
        variable = self.variable if self.variable.isprintable() else ascii(self.variable)
        return f"{variable}: {self.wrong}" + (f"; {self.accepted}" if self.accepted else "")


class SettingsError(Exception):
    """The settings cannot be used. Says all that is wrong with them; the command line exits with 78."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.variable)
        super().__init__("\n".join(map(str, self.problems)))
