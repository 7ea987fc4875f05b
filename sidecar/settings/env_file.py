"""An env file, where one is asked for: `NAME=value` lines, as literal text."""

from pathlib import Path

from dotenv.parser import parse_stream

from sidecar.settings.problems import Problem, SettingsError


def read(path: Path) -> dict[str, str]:
    """The variables of the file. Quotes and comments are as dotenv has them; `$NAME` is not replaced.

    SettingsError names every line that is none, and never shows it.
    """
    try:
        with path.open(encoding="utf-8") as opened:
            lines = list(parse_stream(opened))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError([Problem("unreadable_file", str(path), f"it cannot be read ({why})")]) from None
    wrong = [line.original.line for line in lines if line.error or (line.key and line.value is None)]
    if wrong:
        raise SettingsError(
            Problem("invalid_value", str(path), f"line {number} is not `NAME=value`") for number in wrong
        )
    return {line.key: line.value for line in lines if line.key and line.value is not None}
