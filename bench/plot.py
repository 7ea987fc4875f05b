"""Bars of a figures file, as SVG: `python -m bench.plot figures.json [front.json …] docs/performance.svg`."""

import json
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

CHOSEN: Final = (
    *("requests", "cpu_request", "p50_1", "first", "cpu_event", "events", "kib_stream"),
    *("pages", "download", "upload", "echo"),
)
COLORS: Final = {
    "sidecar": "#0b7285",
    "bare": "#868e96",
    "express": "#adb5bd",
    "nginx": "#ced4da",
    "envoy": "#dee2e6",
}
WIDTH, LEFT, RIGHT, BAR, HEAD, GAP = 760, 80, 210, 16, 24, 14


def panel(row: dict[str, Any], top: float) -> Iterator[str]:
    """One row of the table: a bar for each target, its quartiles as a line, its value behind it."""
    values = row["values"]
    longest = max(value["high"] for value in values.values()) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    better = "more is better" if row["better"] == "more" else "less is better"
    note = f'<tspan class="note"> · {better}</tspan>'
    yield f'<text x="0" y="{top + 14}" class="head">{escape(row["label"])}{note}</text>'
    for number, (name, value) in enumerate(values.items()):
        y = top + HEAD + number * BAR
        middle, long = y + BAR / 2, value["median"] * scale
        yield f'<text x="{LEFT - 8}" y="{middle + 4}" class="name">{escape(name)}</text>'
        yield (
            f'<rect x="{LEFT}" y="{y + 2}" width="{long:.1f}" height="{BAR - 4}" fill="{COLORS.get(name, "#adb5bd")}"/>'
        )
        low, high = (LEFT + value[end] * scale for end in ("low", "high"))
        yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" class="spread"/>'
        told = format(value["median"], row["form"])
        if ratio := row["ratios"].get(name):
            told += f"   (sidecar {ratio['median']:.2f} times)"
        yield f'<text x="{max(LEFT + long, high) + 8:.1f}" y="{middle + 4}">{told}</text>'


def svg(rows: Sequence[dict[str, Any]]) -> str:
    told: list[str] = []
    top = 0.0
    for row in rows:
        if row["key"] in CHOSEN and len(row["values"]) > 1:
            told += panel(row, top)
            top += HEAD + len(row["values"]) * BAR + GAP
    style = (
        "text{font:12px system-ui,sans-serif;fill:#343a40}.head{font-weight:600}"
        ".note{font-weight:400;fill:#868e96}.name{text-anchor:end}.spread{stroke:#212529;stroke-width:1.5}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}" role="img">'
    back = f'<rect width="{WIDTH}" height="{top:.0f}" fill="#fff"/>'
    return "\n".join([head, f"<style>{style}</style>", back, *told, "</svg>\n"])


def main(*files: str) -> None:
    *figures, into = map(Path, files)
    into.write_text(svg([row for file in figures for row in json.loads(file.read_text())["rows"]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
