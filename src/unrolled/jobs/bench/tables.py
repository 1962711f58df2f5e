"""A benchmark's tables for people: every setting of a work, the fastest marked by its ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unrolled.jobs.bench.growth import curves
from unrolled.jobs.bench.results import OURS, Record, Results, best


class Table(NamedTuple):
    """A table for people: a title, headings and rows."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


TITLES = {
    "step": "A training step: loss and all gradients",
    "decode": "Captions from features",
    "epoch": "A training epoch, loader and optimiser included",
}


def tables(results: Results) -> Iterator[Table]:
    """Make a table of every part that was measured.

    Parameters
    ----------
    results : Results

    Yields
    ------
    Table
    """
    if results.of("limit"):
        yield _limits(results)
    for part, title in TITLES.items():
        if results.of(part):
            yield Table(title, _headings(results), list(_times(results, part)))
    if results.of("plot"):
        yield growth(results)
    if results.of("memory"):
        yield _memory(results)


def _milliseconds(results: Results) -> str:
    return "CPU ms" if results.machine.get("clock") == "cpu" else "ms"


def _headings(results: Results) -> tuple[str, ...]:
    ms = _milliseconds(results)
    return ("case", "setting", ms, "least", "a second", "GFLOP/s", "of limit", "x best peer")


def _times(results: Results, part: str) -> Iterator[tuple[str, ...]]:
    """Give a row for every setting; ratios are of medians."""
    for case, cell in results.cases(part):
        records = results.of(part, case, cell)
        peer = best(records, lambda name: not name.startswith(OURS))
        name = f"{case} {cell}"
        for each in records:
            rate = each.flops / each.middle
            share = rate / results.limit(case, cell, each.precision)
            what = "captions" if part == "decode" else "tokens"
            yield (
                name,
                each.setting,
                f"{each.middle * 1e3:,.2f}",
                f"{min(each.values) * 1e3:,.2f}",
                f"{each.units / each.middle:,.0f} {what}",
                f"{rate / 1e9:,.0f}" if each.flops else "",
                "" if math.isnan(share) or not each.flops else f"{share:.0%}",
                f"{peer.middle / each.middle:.2f}" if peer else "",
            )
            name = ""


def growth(results: Results) -> Table:
    """Tell what the picture of growth draws: a row of each place, a column of each curve.

    Parameters
    ----------
    results : Results

    Returns
    -------
    Table
        Medians in milliseconds.
    """
    found = curves(results)
    names = list(dict.fromkeys(each.name for each in found))
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for each in found:
        for place, seconds in each.seconds.items():
            row = cells.setdefault((each.axis, each.cell, place), {})
            row[each.name] = f"{seconds * 1e3:,.1f}"
    rows = [
        (f"{axis} = {place:,}, {cell}", *(row.get(name, "") for name in names))
        for (axis, cell, place), row in cells.items()
    ]
    title = f"How a step's cost grows, in {_milliseconds(results)}"
    return Table(title, ("case", *names), rows)


def _limits(results: Results) -> Table:
    rows = []
    for case, cell in results.cases("limit"):
        for precision in ("float32", "bfloat16"):
            found = [r for r in results.of("limit", case, cell) if r.precision == precision]
            if found:
                top = max(found, key=lambda r: r.flops / r.middle)
                rows.append((f"{case} {cell}", precision, *_rate(top)))
    headings = ("case", "precision", "GFLOP/s", "by", "M x K x N")
    return Table("The machine's best matrix product at these shapes", headings, rows)


def _rate(record: Record) -> tuple[str, str, str]:
    rate = f"{record.flops / record.middle / 1e9:,.0f}"
    return rate, record.setting, " x ".join(map(str, record.at))


def _memory(results: Results) -> Table:
    rows = [
        (f"{each.case} {each.cell}", each.setting, f"{each.middle / 2**20:,.1f}")
        for each in results.of("memory")
    ]
    title = "Peak memory above weights, batch and libraries"
    return Table(title, ("case", "setting", "MiB"), rows)
