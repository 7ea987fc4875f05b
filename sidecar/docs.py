"""The pages of docs/ that are made from the code: this module writes them, and with `--check` compares."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from policies import header_table
from sidecar.settings import page as settings_page
from sidecar.telemetry import pages as telemetry_pages

PAGES: Final[dict[str, Callable[[], str]]] = {
    "errors.md": telemetry_pages.errors_page,
    "headers.md": header_table.page,
    "metrics.md": telemetry_pages.metrics_page,
    "settings.md": settings_page.page,
}
"""What makes each page. A page that is made is never edited."""

FOLDER: Final = Path(__file__).parent.parent / "docs"


def stale(folder: Path = FOLDER) -> list[str]:
    """The pages that are not what the code says."""
    return [name for name, make in PAGES.items() if _read(folder / name) != make()]


def write(folder: Path = FOLDER) -> list[str]:
    """Makes the stale pages anew, and says which those were."""
    names = stale(folder)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a page is stale.")
def main(check: bool) -> None:
    """Make the pages of docs/ that come from the code."""
    names = stale() if check else write()
    for name in names:
        click.echo(f"docs/{name} {'is stale: make docs' if check else 'written'}", err=check)
    sys.exit(1 if check and names else 0)


if __name__ == "__main__":
    main()
