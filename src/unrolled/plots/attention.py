"""What a model looked at before each word, laid over the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unrolled.laboratory import AttentionMaps
from unrolled.layers.arrays import Array
from unrolled.plots.canvas import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 5
_DARKEST = 0.85


def attention_figure(maps: AttentionMaps, photo: Array) -> Figure:
    """Draw the photo once, and once for each word with what was looked at lit up.

    Each word's map is as bright as the others, however much its brightest place weighs.

    Parameters
    ----------
    maps : AttentionMaps
    photo : (height, width, 3) uint8

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    rows = -(-(len(maps.words) + 1) // _COLUMNS)
    height, width = photo.shape[:2]
    figure = new_figure(10, rows * (0.4 + 1.9 * height / width) + 0.6)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    panels[0, 0].imshow(photo)
    panels[0, 0].set_title("photo")
    edges = (-0.5, width - 0.5, height - 0.5, -0.5)
    for axes, word, weights in zip(panels.flat[1:], maps.words, maps.alphas, strict=False):
        axes.imshow(photo)
        night = np.zeros((*weights.shape, 4))
        night[:, :, 3] = _DARKEST * (1 - weights / weights.max())
        axes.imshow(night, extent=edges, interpolation="bilinear")
        _outline(axes, weights, width, height)
        axes.set_title(f"{plain(word)}  {weights.max():.0%}")
    Y, X = maps.alphas.shape[1:]
    figure.suptitle(
        f"Lit: where the model looks before each word, of {Y} x {X} places. Behind the word: the\n"
        f"largest weight of a place ({1 / (X * Y):.1%} if all were equal); the line: half of it.",
        fontsize="medium",
    )
    return figure


def _outline(axes: Axes, weights: Array, width: int, height: int) -> None:
    """Draw a line where weights are half the largest: what is dark in the photo cannot be lit."""
    from matplotlib.patheffects import withStroke

    half = weights.max() / 2
    if weights.min() >= half or min(weights.shape) < 2:
        return
    Y, X = weights.shape
    x, y = (np.arange(X) + 0.5) * width / X, (np.arange(Y) + 0.5) * height / Y
    line = axes.contour(x, y, weights, levels=[half], colors="white", linewidths=1.2)
    line.set(path_effects=[withStroke(linewidth=2.8, foreground="black")])
