"""Figures of all slices: medians with their quartiles, ratios inside pairs, and the table of them."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.rows import LIVES, Scenario
from bench.slices import Slice, pairs

Figures = dict[str, Any]
OVER: Final = "over"  # the slices that another load takes on the same target


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
            some = {} if row.most else {peer: ratios(pairs(series, peer)) for peer in names[1:]}
            told.append(entry(row.key, row.label, row.form, row.better, values, some))
        if scenario.over:
            row = scenario.rows[0]
            series = [(name, row.value(one)) for name, one in slices[scenario.name]]
            more = [mean - value for mean, value in pairs(series, OVER)]
            told.append(entry(f"{row.key}_more", scenario.more, row.form, row.better, {names[0]: more}, {}))
    for key, label, form in LIVES:
        values = {name: [life[key] for life in lives[name]] for name in names}
        starts = {peer: list(zip(values[names[0]], values[peer], strict=True)) for peer in names[1:]}
        if any(values.values()):
            some = {peer: ratios(both) for peer, both in starts.items()}
            told.append(entry(key, label, form, "less", values, some))
    return told


def ratios(both: Sequence[tuple[float, float]]) -> list[float]:
    """None where the peer has none of it."""
    return [first / other for first, other in both] if all(other for _, other in both) else []


def entry(
    key: str,
    label: str,
    form: str,
    better: str,
    values: Mapping[str, Sequence[float]],
    ratios: Mapping[str, Sequence[float]],
) -> Figures:
    return {
        "key": key,
        "label": label,
        "form": form,
        "better": better,
        "values": {name: spread(some) for name, some in values.items() if some},
        "ratios": {peer: spread(some) for peer, some in ratios.items() if some},
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
