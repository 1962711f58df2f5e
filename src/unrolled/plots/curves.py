"""Loss curves of several runs on shared axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.errors import InputError
from unrolled.laboratory import LossCurve
from unrolled.plots.canvas import DASHES, MARKERS, PALETTE, new_figure, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves_figure(curves: Sequence[LossCurve]) -> Figure:
    """Draw the smoothed loss of every step on the left, the dev split's by epoch on the right.

    Both panels share their axes. Behind each smoothed line stands the loss of every step.

    Parameters
    ----------
    curves : sequence of LossCurve

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is none.
    MissingExtraError
        If matplotlib is not installed.
    """
    if not curves:
        raise InputError("curves_figure: there is nothing to draw")
    figure = new_figure(10, 4.8)
    training, dev = figure.subplots(1, 2, sharex=True, sharey=True)
    for number, curve in enumerate(curves):
        look = {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)]}
        training.plot(curve.steps, curve.loss, color=look["color"], alpha=0.2, linewidth=0.6)
        training.plot(curve.steps, curve.smoothed, label=plain(curve.name), **look)
        marker = MARKERS[number % len(MARKERS)]
        dev.plot(
            curve.epochs,
            curve.val_loss,
            marker=marker,
            markersize=4,
            label=plain(curve.name),
            **look,
        )
    _frame(training, curves)
    training.set_title("training, each step and smoothed", fontsize="medium")
    dev.set_title("dev split, after each epoch", fontsize="medium")
    training.set_ylabel("Loss (nats per token)")
    training.legend(fontsize="small")
    for axes in (training, dev):
        axes.set_xlabel("Training step")
        tidy(axes)
    return figure


def _frame(axes: Axes, curves: Sequence[LossCurve]) -> None:
    """Let the axes end where the lines do: single steps that leap out are cut off."""
    lines = [part for curve in curves for part in (curve.smoothed, curve.val_loss)]
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    if len(values):
        room = 0.05 * (values.max() - values.min()) or 0.1
        axes.set_ylim(values.min() - 2 * room, values.max() + room)
