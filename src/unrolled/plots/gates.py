"""Gates and cell state over the words of a caption, as heat maps of some units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unrolled.laboratory import Gates, most_varied
from unrolled.laboratory.gates import GATES, SIGNED, check_units
from unrolled.layers.arrays import Array
from unrolled.plots.canvas import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class _Map(NamedTuple):
    """One heat map: (T, H) values, and the range that its colours stand for."""

    title: str
    values: Array
    low: float
    high: float


def gates_figure(gates: Gates, *, units: Sequence[int] | None = None, count: int = 24) -> Figure:
    """Draw what each gate, the cell state and h of some units do as words are read.

    Parameters
    ----------
    gates : Gates
    units : sequence of int, optional
        Which of the H; those whose cell state, or h, varies most unless given.
    count : int
        How many of those.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no such unit.
    MissingExtraError
        If matplotlib is not installed.
    """
    state = gates.h if gates.c is None else gates.c
    if units is None:
        units = most_varied(state, count).tolist()
    chosen = check_units(units, state.shape[1])
    maps = _maps(gates, chosen)
    columns, T = (3 if len(maps) > 4 else 2), len(gates.words)
    rows = -(-len(maps) // columns)
    width = columns * (1.1 + max(0.26 * T, 2.4))
    figure = new_figure(width, rows * (1.5 + 0.16 * len(chosen)))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, each in zip(panels.flat, maps, strict=False):
        _draw_map(axes, each, gates.words, chosen)
    for axes in panels.flat[len(maps) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("Unit of the layer")
    for axes in panels.flat[max(0, len(maps) - columns) : len(maps)]:
        axes.set_xlabel("Word that is read")
    figure.suptitle(f"Activations of the cell ({gates.cell}, layer {gates.layer}), dimensionless")
    return figure


def _maps(gates: Gates, chosen: Array) -> list[_Map]:
    maps = []
    for name, values, shut, opened in zip(
        gates.names, gates.gates, gates.shut, gates.open, strict=True
    ):
        low = -1.0 if name in SIGNED else 0.0
        shares = f"{shut:.0%} below {0.8 * low + 0.1 * (not low):g}, {opened:.0%} above "
        title = f"{GATES[name]}\n{shares}{0.8 if low else 0.9}, of all units"
        maps.append(_Map(title, values[:, chosen], low, 1.0))
    for title, state in (("cell state c", gates.c), ("hidden state h", gates.h)):
        if state is not None:
            most = float(np.abs(state[:, chosen]).max()) or 1.0
            maps.append(_Map(title, state[:, chosen], -most, most))
    return maps


def _draw_map(axes: Axes, drawn: _Map, words: Sequence[str], chosen: Array) -> None:
    # Both maps are read alike with every kind of colour vision; one has a middle, where 0 is.
    colours = "PuOr_r" if drawn.low < 0 else "cividis"
    image = axes.imshow(
        drawn.values.T,
        cmap=colours,
        vmin=drawn.low,
        vmax=drawn.high,
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_title(drawn.title, fontsize="small")
    axes.set_xticks(
        range(len(words)), [plain(word) for word in words], rotation=90, fontsize="small"
    )
    axes.set_yticks(range(len(chosen)), [str(unit) for unit in chosen], fontsize="x-small")
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize="x-small")
