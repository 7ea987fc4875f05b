"""Ratios between slices that alternate, and what is made of them."""

import pytest

from bench import page, plot, table
from bench.rows import Row, Scenario
from bench.slices import Load, Slice, alternated, pairs

LOAD = Load("ask", 1, lambda _: b"")


def one(count: int, cpu: float = 1.0) -> Slice:
    return Slice(count, 1.0, 0.001, 0.002, 0.001, cpu, 0.0)


def test_each_peer_stands_between_two_slices_of_the_first() -> None:
    assert "".join(alternated("abc", 2)) == "abacabaca"
    assert "".join(alternated("a", 2)) == "aaa"


def test_a_ratio_does_not_feel_a_machine_that_becomes_slower() -> None:
    slower = [(name, value / (10 + at)) for at, (name, value) in enumerate([("a", 4.0), ("b", 2.0)] * 4)]
    assert table.ratios(pairs(slower, "b")) == pytest.approx([2.0] * 3, rel=0.02)
    assert pairs(slower, "c") == []


def test_medians_are_told_with_their_quartiles_and_the_most_where_that_is_asked_for() -> None:
    rate = Row("rate", "requests/s", ",.0f", "more", lambda s: s.rate)
    peak = Row("peak", "… memory", ".1f", "less", lambda s: s.cpu, most=True)
    slices = [("a", one(2000, 1.0)), ("b", one(1000, 7.0)), ("a", one(4000, 3.0))]
    rows = table.figures(["a", "b"], [Scenario("s", LOAD, (rate, peak))], {"s": slices}, {"a": [], "b": []})
    figures = {"targets": ["a", "b"], "rows": rows}
    assert table.markdown(figures).splitlines()[2:] == [
        "|requests/s|3,000|1,000|3.00 (3.00–3.00)|",
        "|… memory|3.0|7.0||",
    ]
    assert table.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == {"median": 3.0, "low": 2.0, "high": 4.0}


def test_what_one_load_costs_more_than_another_is_told_between_their_slices() -> None:
    cost = Row("cost", "cost", ".0f", "less", lambda s: s.cost)
    scenario = Scenario("s", LOAD, (cost,), ("a",), LOAD, "more")
    slices = [("a", one(1, 5e-6)), ("over", one(1, 2e-6)), ("a", one(1, 7e-6))]
    told, more = table.figures(["a", "b"], [scenario], {"s": slices}, {"a": [], "b": []})
    assert (told["values"]["a"]["median"], told["ratios"]) == (6, {})
    assert (more["label"], more["values"]["a"]["median"]) == ("more", 4)


def test_the_page_takes_new_figures_for_old_ones_and_the_bars_show_them() -> None:
    machine = {"system": "Linux", "cores": 2, "pinned": True, "python": "3.11", "load": "C", "busy": 0.1}
    value = {"median": 2.0, "low": 1.0, "high": 4.0}
    row = {"key": "requests", "label": "a < b", "form": ".1f", "better": "more"}
    rows = [row | {"values": {"sidecar": value, "bare": value}, "ratios": {"bare": value}}]
    told = {"machine": machine, "rounds": 3, "seconds": 0.7, "targets": ["sidecar", "bare"], "rows": rows}
    old = "# Page\n<!-- chats -->\nold\n<!-- end of chats -->\nrest"
    new = page.filled(old, "chats", told)
    assert new.startswith("# Page\n<!-- chats -->\nLinux, 2 cores")
    assert "|a < b|2.0|2.0|2.00 (1.00–4.00)|" in new
    assert "old" not in new
    assert new.endswith("<!-- end of chats -->\nrest")
    bars = plot.svg(rows)
    assert "a &lt; b" in bars
    assert bars.count("<rect") == 3
