"""Figures of all slices: medians with their quartiles, ratios inside pairs, and the table of them."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.rows import LIVES, Scenario
from bench.slices import Slice, ratios

Figures = dict[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return dict.fromkeys(("median", "low", "high"), values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def figures(
    names: Sequence[str],
    scenarios: Sequence[Scenario],
    slices: Mapping[str, Sequence[tuple[str, Slice]]],
    lives: Mapping[str, Sequence[Mapping[str, float]]],
) -> list[Figures]:
    """One entry per row: key, label, form, better; `values` by target, `ratios` of the first to each peer."""
    told = []
    for scenario in scenarios:
        for row in scenario.rows:
            series = [(name, row.value(one)) for name, one in slices[scenario.name]]
            values = {name: [value for other, value in series if other == name] for name in names}
            if row.most:
                values = {name: [max(some)] for name, some in values.items() if some}
            pairs = {
                peer: ratios(series, peer) if all(values.get(peer, ())) and not row.most else []
                for peer in names[1:]
            }
            told.append(entry(row.key, row.label, row.form, row.better, values, pairs))
    for key, label, form in LIVES:
        values = {name: [life[key] for life in lives[name]] for name in names}
        pairs = {
            peer: [a / b for a, b in zip(values[names[0]], values[peer], strict=True) if b]
            for peer in names[1:]
        }
        if any(values.values()):
            told.append(entry(key, label, form, "less", values, pairs))
    return told


def entry(
    key: str,
    label: str,
    form: str,
    better: str,
    values: Mapping[str, Sequence[float]],
    pairs: Mapping[str, Sequence[float]],
) -> Figures:
    return {
        "key": key,
        "label": label,
        "form": form,
        "better": better,
        "values": {name: spread(some) for name, some in values.items() if some},
        "ratios": {peer: spread(some) for peer, some in pairs.items() if some},
    }


def markdown(told: Figures) -> str:
    """The figures as a table; behind each ratio its quartiles."""
    first, *peers = told["targets"]
    heads = ["", first, *peers, *(f"{first} / {peer}" for peer in peers)]
    lines = ["|" + "|".join(heads) + "|", "|---|" + "---:|" * (len(heads) - 1)]
    for row in told["rows"]:
        cells = [row["label"]]
        for name in (first, *peers):
            value = row["values"].get(name)
            cells.append(format(value["median"], row["form"]) if value else "")
        for peer in peers:
            ratio = row["ratios"].get(peer)
            cells.append(f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})" if ratio else "")
        lines.append("|" + "|".join(cells) + "|")
    return "\n".join(lines)
