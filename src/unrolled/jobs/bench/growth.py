"""How the time of a step grows with batch, length and vocabulary: curves, as a picture too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from unrolled.errors import InputError
from unrolled.jobs.bench.results import OURS, Record, Results
from unrolled.layers.product import PRECISIONS
from unrolled.plots.canvas import PALETTE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"N": "captions in a batch", "T": "words in a caption", "V": "words in the vocabulary"}
LOOKS = {"bfloat16": ("-", "o"), "float32": ("--", "s")}
"""Dash and marker by precision; a colour is somebody's."""
OTHER_LOOK = (":", "^")


class Curve(NamedTuple):
    """Somebody's medians along an axis.

    Attributes
    ----------
    cell, axis : str
        ``"lstm"`` or ``"rnn"``; of `AXES`.
    name : str
        A setting's; of a peer that has several of one precision, whose best at each place it is.
    seconds : dict of int to float
        By place, in rising order.
    """

    cell: str
    axis: str
    name: str
    seconds: dict[int, float]


def curves(results: Results) -> list[Curve]:
    """Give the medians of what was measured along the axes.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of Curve
        By cell, axis and name, each in the order in which it was measured.
    """
    found: dict[tuple[str, str, str], list[Record]] = {}
    for each in results.of("plot"):
        found.setdefault((each.cell, each.case, _curve_of(each.setting)), []).append(each)
    return [Curve(*key, _least(records)) for key, records in found.items()]


def _curve_of(setting: str) -> str:
    """Name the curve that a setting belongs to: a peer's layouts share that of a precision."""
    words = setting.split()
    several = words[-1] in PRECISIONS and not setting.startswith(OURS)
    return f"{words[0]}'s best {words[-1]}" if several else setting


def _least(records: Iterable[Record]) -> dict[int, float]:
    seconds: dict[int, float] = {}
    for each in sorted(records, key=lambda record: record.at[0]):
        seconds[each.at[0]] = min(each.middle, seconds.get(each.at[0], each.middle))
    return seconds


def figure(results: Results) -> Figure:
    """Draw the curves: a panel of each axis, a row of each cell, time and places logarithmic.

    Parameters
    ----------
    results : Results

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no such steps were measured.
    MissingExtraError
        If matplotlib is not installed.
    """
    found = curves(results)
    if not found:
        raise InputError("bench: nothing was measured to plot; measure it with --only plot")
    cells = list(dict.fromkeys(each.cell for each in found))
    axes = [axis for axis in AXES if any(each.axis == axis for each in found)]
    unit = "CPU milliseconds" if results.machine.get("clock") == "cpu" else "milliseconds"
    drawing = new_figure(3.1 * len(axes), 3.1 * len(cells) + 0.7)
    panels = drawing.subplots(len(cells), len(axes), sharey=True, squeeze=False)
    colors = dict(zip(dict.fromkeys(map(_who, found)), PALETTE, strict=False))
    for row, cell in zip(panels, cells, strict=True):
        for panel, axis in zip(row, axes, strict=True):
            here = [each for each in found if (each.cell, each.axis) == (cell, axis)]
            _draw(panel, here, colors)
            panel.set_xlabel(AXES[axis])
        row[0].set_ylabel(f"{unit} a step, {cell.upper()}")
    lines = {str(line.get_label()): line for panel in panels.flat for line in panel.get_lines()}
    drawing.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=3, frameon=False)
    return drawing


def _who(curve: Curve) -> str:
    """Say whose a curve is."""
    return curve.name.split()[0].removesuffix("'s")


def _draw(panel: Axes, curves: Iterable[Curve], colors: dict[str, str]) -> None:
    """Draw the curves of one axis."""
    from matplotlib.ticker import LogLocator

    places: set[int] = set()
    for each in curves:
        words = each.name.split()
        dash, marker = LOOKS.get(words[-1], OTHER_LOOK)
        panel.plot(
            list(each.seconds),
            [1e3 * seconds for seconds in each.seconds.values()],
            label=each.name,
            color=colors[_who(each)],
            linestyle=dash,
            marker=marker,
            markersize=4,
        )
        places |= each.seconds.keys()
    panel.set(xscale="log", yscale="log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:,g}")
    panel.minorticks_off()
    panel.set_xticks(sorted(places), labels=[f"{place:,}" for place in sorted(places)])
    tidy(panel)
