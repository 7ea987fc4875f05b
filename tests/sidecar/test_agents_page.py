"""docs/agents.md names a test for each cell of its table, so these have to be there; and so has each kind."""

import re
from pathlib import Path

from middleware.dialects.spoken import KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
TABLE = re.compile(r"^\| kind \|.*\n\|-.*\n((?:\|.*\n)+)", re.MULTILINE)


def rows(table: str) -> dict[str, list[str]]:
    """kind → cells."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_kind_has_its_row_and_each_cell_its_test() -> None:
    said, proven = (rows(table) for table in TABLE.findall(PAGE))
    assert said.keys() == proven.keys() == KINDS
    tests = {
        name
        for folder in ("journeys", "peers")
        for file in (ROOT / "tests" / folder).glob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
    }
    for kind, cells in proven.items():
        assert len(cells) == len(said[kind])
        for cell, what in zip(cells, said[kind], strict=True):
            assert cell.strip("`") in tests or (cell == "none" and what.startswith("none")), (kind, cell)
