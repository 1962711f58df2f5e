"""A table of words, each cell coloured by a number: what the softmax and the neighbours share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.plots.canvas import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


def draw_table(
    axes: Axes,
    rows: Sequence[str],
    words: Sequence[Sequence[str]],
    values: Array,
    form: Callable[[float], str],
) -> AxesImage:
    """Draw words as cells, coloured and with their numbers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    rows : sequence of R str
        Labels of the rows.
    words : R sequences of K str
    values : (R, K) float
        In [0, 1]; NaN leaves a cell empty.
    form : callable
        Writes a number.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, (line, numbers) in enumerate(zip(words, values.tolist(), strict=True)):
        for column, (word, number) in enumerate(zip(line, numbers, strict=True)):
            if not np.isnan(number):
                axes.text(
                    column,
                    row,
                    f"{plain(word)}  {form(number)}",
                    ha="center",
                    va="center",
                    fontsize="small",
                    color="black" if number > 0.5 else "white",
                )
    axes.set_yticks(range(len(rows)), [plain(row) for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # White lines between the cells, so that equal colours do not run together.
    axes.set_xticks(np.arange(values.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(values.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    return image
