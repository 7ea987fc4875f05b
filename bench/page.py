"""Puts figures into docs/performance.md, and their bars beside it: `python -m bench.page chats.json front.json`."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from bench import plot, table

PAGE: Final = Path(__file__).parent.parent / "docs/performance.md"


def how(told: dict[str, Any]) -> str:
    """Where and how these were measured."""
    machine = told["machine"]
    pinned = "targets on the first, agent and load on the last" if machine["pinned"] else "nothing pinned"
    return (
        f"{machine['system']}, {machine['cores']} cores ({pinned}), Python {machine['python']}, load in "
        f"{machine['load']}; {told['rounds']} rounds of {told['seconds']:g} s; load average before it: "
        f"{machine['busy']}."
    )


def filled(page: str, name: str, told: dict[str, Any]) -> str:
    """The page with these figures between the marks of that name."""
    between = f"<!-- {name} -->\n{how(told)}\n\n{table.markdown(told)}\n<!-- end of {name} -->"
    return re.sub(rf"<!-- {name} -->.*<!-- end of {name} -->", lambda _: between, page, flags=re.S)


def main(*files: str) -> None:
    page = PAGE.read_text()
    for file in files:
        told = json.loads(Path(file).read_text())
        page = filled(page, "front" if told["front"] else "chats", told)
    PAGE.write_text(page)
    plot.main(*files, str(PAGE.with_suffix(".svg")))


if __name__ == "__main__":
    main(*sys.argv[1:])
