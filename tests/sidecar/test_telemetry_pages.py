"""The pages of the manual that are made from tables say what the tables say."""

import re
from pathlib import Path

import pytest

from policies.outcome import FINER, OUTCOMES, REFUSED_INPUT
from sidecar.telemetry import pages
from sidecar.telemetry.families import FAMILIES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "make"), [("errors.md", pages.errors_page), ("metrics.md", pages.metrics_page)]
)
def test_the_page_in_the_manual_is_in_step(name: str, make: object) -> None:
    assert callable(make)
    assert (DOCS / name).read_text(encoding="utf-8") == make(), "make docs"


def test_every_code_has_one_row_and_one_anchor() -> None:
    page = pages.errors_page()
    anchors = re.findall(r'^\| <a id="(\w+)"></a>`\1` \|', page, re.MULTILINE)
    assert anchors == [*OUTCOMES, *REFUSED_INPUT, *FINER]


def test_every_metric_has_one_row() -> None:
    page = pages.metrics_page()
    assert re.findall(r"^\| `(sidecar_\w+)` \|", page, re.MULTILINE) == list(FAMILIES)


def test_rows_have_as_many_cells_as_their_head() -> None:
    for page in (pages.errors_page(), pages.metrics_page()):
        for table in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1


def test_nothing_outside_of_code_would_be_taken_for_a_tag() -> None:
    for page in (pages.errors_page(), pages.metrics_page()):
        text = re.sub(r"`[^`]*`", "", page)
        assert re.findall(r"<(?!/?a[ >])", text) == []
