"""Word vectors: a table of neighbours, and words on a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unrolled.laboratory import Neighbours, WordMap
from unrolled.layers.arrays import Array
from unrolled.plots.canvas import MARKERS, PALETTE, new_figure, plain, tidy
from unrolled.plots.tables import draw_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# Where a label is tried around its point: how far away, in points, and on which sides.
_NEAR = 12
_DISTANCES = (5, _NEAR, 20, 30, 42)
_AROUND = ((1, 0.3), (-1, 0.3), (0, 1), (0, -1), (0.8, 0.8), (0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8))


def vectors_figure(found: Neighbours, laid: WordMap) -> Figure:
    """Draw words and their neighbours: on a plane, and below in a table with their cosines.

    Parameters
    ----------
    found : Neighbours
    laid : WordMap

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    Q, K = found.cosine.shape
    longest = max(len(word) for line in found.near for word in line)
    width = max(8.5, 1.6 + K * (0.75 + 0.075 * longest))
    heights = [6.2, 0.6 + 0.32 * Q]
    figure = new_figure(width, sum(heights) + 0.6)
    plane, table = figure.subplots(2, 1, height_ratios=heights)
    _draw_plane(plane, laid)
    image = draw_table(table, found.words, found.near, np.clip(found.cosine, 0, 1), "{:.2f}".format)
    table.set_xticks(range(K), [f"{place}. nearest" for place in range(1, K + 1)])
    table.xaxis.tick_top()
    figure.colorbar(image, ax=table, label="Cosine", fraction=0.03, pad=0.02)
    figure.draw_without_rendering()  # now the plane has its size, and its labels can be placed
    _label(plane, laid)
    return figure


def _draw_plane(axes: Axes, laid: WordMap) -> None:
    for of, asked, (x, y) in zip(laid.of, laid.asked, laid.xy, strict=True):
        color, marker = PALETTE[of % len(PALETTE)], MARKERS[of % len(MARKERS)]
        axes.plot(x, y, marker=marker, color=color, markersize=7 if asked else 4, linestyle="")
    axes.margins(0.12, 0.08)
    first, second = (f"{share:.0%} of the variance" for share in laid.explained)
    axes.set_xlabel(f"First principal component ({first})")
    axes.set_ylabel(f"Second principal component ({second})")
    tidy(axes)


def _label(axes: Axes, laid: WordMap) -> None:
    """Write each word at the first place around its point that no other word and point has."""
    from matplotlib.transforms import Bbox

    points = axes.transData.transform(laid.xy)
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in points]
    for at in np.argsort(~laid.asked, kind="stable").tolist():  # the words asked for come first
        color, asked = PALETTE[laid.of[at] % len(PALETTE)], bool(laid.asked[at])
        label = axes.annotate(
            plain(laid.words[at]),
            laid.xy[at],
            xytext=(0, 0),
            textcoords="offset points",
            color=color,
            weight="bold" if asked else "normal",
            fontsize="medium" if asked else "small",
        )
        distance = _place(label, taken[:at] + taken[at + 1 :])
        taken.append(label.get_window_extent())
        if distance > _NEAR:  # a thin line says whose label it is
            x, y = label.get_position()
            end = axes.transData.inverted().transform(points[at] + _pixels(axes, x, y))
            axes.plot(*zip(laid.xy[at], end, strict=True), color=color, linewidth=0.5)


def _place(label: Annotation, taken: Sequence[Bbox]) -> int:
    """Move a label around its point, further and further away, until it covers nothing."""
    for distance in _DISTANCES:
        for x, y in _AROUND:
            label.set_position((distance * x, distance * y))
            label.set_horizontalalignment(("right", "center", "left")[round(x) + 1])
            label.set_verticalalignment(("top", "center", "bottom")[round(y) + 1])
            box = label.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                return distance
    return distance


def _pixels(axes: Axes, x: float, y: float) -> Array:
    """Turn points of 1/72 inch into pixels."""
    return np.array([x, y]) * axes.figure.dpi / 72
