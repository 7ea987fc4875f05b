"""Writes the pages of docs/ that are made from the code; with --check, says which are out of date."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from policies import header_table
from sidecar.settings import page as settings
from sidecar.telemetry import pages

DOCS: Final = Path(__file__).resolve().parent
PAGES: Final[dict[str, Callable[[], str]]] = {
    "errors.md": pages.errors_page,
    "headers.md": header_table.page,
    "metrics.md": pages.metrics_page,
    "settings.md": settings.page,
}


def stale() -> list[str]:
    """The pages that differ from what the code would write."""
    return [
        name
        for name, page in PAGES.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text() != page()
    ]


def main() -> None:
    names = stale()
    if "--check" in sys.argv[1:]:
        if names:
            sys.exit(f"Not up to date: {', '.join(f'docs/{name}' for name in names)}. Run: make docs")
        return
    for name in names:
        (DOCS / name).write_text(PAGES[name]())
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
