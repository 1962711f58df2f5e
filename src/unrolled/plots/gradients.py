"""The gradient on its way back through the steps: vanishing and exploding made visible."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.errors import InputError
from unrolled.laboratory import GradientNorms, RadiusNorms
from unrolled.layers.arrays import Array
from unrolled.plots.canvas import DASHES, MARKERS, PALETTE, new_figure, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENOUGH = 0.25
"""A step that fewer captions have is left out: its median would be that of the longest few."""
_LEAST = 1e-12
"""Smaller shares are drawn at the lower edge."""


def gradients_figure(norms: Sequence[GradientNorms]) -> Figure:
    """Draw the norm of the gradient that reaches each step, a line a model.

    Of the last word's loss, as a share of what entered there, by the steps gone back; of all words'
    losses, as it is, by the step. Lines are medians over the captions, bands half of them.

    Parameters
    ----------
    norms : sequence of GradientNorms
        Of one loss.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is none, or they are of both losses.
    MissingExtraError
        If matplotlib is not installed.
    """
    if len({each.loss for each in norms}) != 1:
        raise InputError("gradients_figure: expected norms of one loss, the last word's or all's")
    back = norms[0].loss == "last"
    figure = new_figure(8, 4.8)
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    for number, each in enumerate(norms):
        values = each.relative if back else each.state
        steps = np.arange(values.shape[1]) + (not back)
        _draw_line(axes, number, steps, values, plain(each.name))
    axes.set_yscale("log")
    captions = "1 caption" if len(norms[0].lengths) == 1 else f"{len(norms[0].lengths)} captions"
    if back:
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_xlabel("Steps back from the last word")
        axes.set_ylabel("Gradient by the state, as a share\nof what enters at the last word")
        axes.set_title(f"How much of the last word's gradient comes through ({captions})")
    else:
        axes.set_xlabel("Time step (word of the caption)")
        axes.set_ylabel("Norm of the gradient by the state\n(nats per unit of the state)")
        axes.set_title(f"The gradient that reaches each step, of all words ({captions})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small")
    tidy(axes)
    return figure


def _draw_line(axes: Axes, number: int, steps: Array, values: Array, label: str) -> None:
    low, middle, high = _quartiles(values)
    color = PALETTE[number % len(PALETTE)]
    axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(
        steps,
        middle,
        color=color,
        marker=MARKERS[number % len(MARKERS)],
        linestyle=DASHES[number % len(DASHES)],
        markersize=4,
        label=label,
    )


def _quartiles(values: Array) -> Array:
    """Give the quartiles of each step, (3, T), over the captions that have it."""
    counted = np.isfinite(values).mean(axis=0) >= _ENOUGH
    kept = np.where(counted, np.maximum(values, _LEAST), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a step that is left out: all NaN
        quartiles: Array = np.nanquantile(kept, [0.25, 0.5, 0.75], axis=0)
    return quartiles


def radius_figure(norms: Sequence[RadiusNorms]) -> Figure:
    """Draw how the gradient fades or grows as Wh is scaled, a panel a model.

    Parameters
    ----------
    norms : sequence of RadiusNorms

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
    if not norms:
        raise InputError("radius_figure: there is nothing to draw")
    figure = new_figure(1.6 + 4.2 * len(norms), 4.8)
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    radii = np.concatenate([each.radii for each in norms])
    scale = LogNorm(radii.min(), radii.max() if radii.max() > radii.min() else 2 * radii.min())
    colours = ScalarMappable(scale, "viridis")
    panels = figure.subplots(1, len(norms), sharex=True, sharey=True, squeeze=False)[0]
    for axes, each in zip(panels, norms, strict=True):
        for radius, relative in zip(each.radii.tolist(), each.relative, strict=True):
            middle = _quartiles(relative)[1]
            axes.plot(middle, color=colours.to_rgba(radius), marker="o", markersize=3)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_title(f"{plain(each.name)}\nits own radius: {each.own:.2f}", fontsize="medium")
        axes.set_yscale("log")
        axes.set_xlabel("Steps back from the last word")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        tidy(axes)
    panels[0].set_ylabel("Gradient by the state, as a share\nof what enters at the last word")
    bar = figure.colorbar(colours, ax=list(panels), label="Spectral radius of Wh, scaled to")
    ticks = sorted(set(radii.tolist()))
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.ax.minorticks_off()
    return figure
