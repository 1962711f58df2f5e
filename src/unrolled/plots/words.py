"""The softmax over words at each step of a caption, as a table of the likeliest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unrolled.laboratory import WordChoices
from unrolled.plots.canvas import new_figure, percent
from unrolled.plots.tables import draw_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FRAME = "#D55E00"


def words_figure(choices: WordChoices) -> Figure:
    """Draw a line for each step: the word said and its probability, and the likeliest words.

    The word said stands first, and is framed among the likeliest.

    Parameters
    ----------
    choices : WordChoices

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    T, K = choices.p.shape
    longest = max(len(word) for line in (choices.said, *choices.words) for word in line)
    wide = 0.75 + 0.075 * longest
    figure = new_figure(2.6 + (K + 1) * wide, 1.3 + 0.32 * T)
    from matplotlib.patches import Rectangle

    axes = figure.subplots()
    rows = [f"after {word}" for word in choices.read]
    words = [(said, *line) for said, line in zip(choices.said, choices.words, strict=True)]
    values = np.column_stack([choices.p_said, choices.p])
    image = draw_table(axes, rows, words, values, percent)
    for step, rank in enumerate(choices.rank_said.tolist()):
        if rank < K:
            frame = Rectangle((rank + 0.56, step - 0.45), 0.88, 0.9, fill=False, lw=2, ec=_FRAME)
            axes.add_patch(frame)
    axes.axvline(0.5, color="white", linewidth=6)
    axes.xaxis.tick_top()
    labels = ["said", *(f"{rank}. likeliest" for rank in range(1, K + 1))]
    axes.set_xticks(range(K + 1), labels)
    axes.set_xlabel(f"log-probability of the caption: {choices.log_prob:.2f} nats")
    figure.colorbar(image, ax=axes, label="Probability", fraction=0.03, pad=0.02)
    return figure
