"""The beam as a tree, from left to right: what was kept, and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unrolled.laboratory import BeamTree
from unrolled.layers.arrays import Array
from unrolled.plots.canvas import PALETTE, new_figure, percent, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BEST, _KEPT, _GIVEN_UP = PALETTE[1], PALETTE[0], "#8A8A8A"


def beam_figure(tree: BeamTree) -> Figure:
    """Draw every hypothesis that the beam held, a column a word.

    The best caption is drawn boldest, the others that the search ended with next, in grey what was
    given up on the way. Under each word stands its probability after those before it; behind a
    caption's end its rank and its log-probability.

    Parameters
    ----------
    tree : BeamTree

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    y = _lay_out(tree)
    steps = int(tree.step.max())
    wide = 0.55 + 0.075 * max(map(len, tree.words))
    figure = new_figure(1.6 + wide * (steps + 1), 1.0 + 0.42 * (y.max() + 1))
    axes = figure.subplots()
    best = _best(tree)
    for node in range(len(tree.words)):
        color = _BEST if best[node] else _KEPT if tree.kept[node] else _GIVEN_UP
        parent = int(tree.parent[node])
        if parent >= 0:
            ends = [tree.step[parent], tree.step[node]], [y[parent], y[node]]
            axes.plot(*ends, color=color, linewidth=2.5 if best[node] else 1.2, zorder=1)
        text = plain(tree.words[node])
        if parent >= 0:
            text += f"\n{percent(float(np.exp(tree.log_p[node])))}"
        axes.text(
            tree.step[node],
            y[node],
            text,
            ha="center",
            va="center",
            fontsize="small",
            color=color if tree.kept[node] else "#5A5A5A",
            weight="bold" if best[node] else "normal",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
            zorder=2,
        )
        if tree.rank[node] >= 0:
            ending = f"  {tree.rank[node] + 1}.  {tree.total[node]:.2f} nats"
            place = tree.step[node] + 0.35, y[node]
            axes.text(*place, ending, va="center", fontsize="small", color=color)
    axes.set_xlim(-0.5, steps + 1.6)
    axes.set_ylim(y.max() + 0.6, -0.6)
    axes.set_xticks(range(steps + 1))
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.set_xlabel(
        "Words said, each with its probability; at the end the caption's log-probability"
    )
    return figure


def _best(tree: BeamTree) -> Array:
    """Mark the nodes of the best caption."""
    marked = np.zeros(len(tree.words), bool)
    for node in np.flatnonzero(tree.rank == 0).tolist():
        marked[[0, *tree.path(node)]] = True
    return marked


def _lay_out(tree: BeamTree) -> Array:
    """Give each node its height: leaves take a line each, the others stand amid their children."""
    children: list[list[int]] = [[] for _ in tree.words]
    for node, parent in enumerate(tree.parent.tolist()):
        if parent >= 0:
            children[parent].append(node)
    y = np.zeros(len(tree.words))
    lines = 0
    waiting = [(0, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            own = y[children[node]]
            y[node] = (own.min() + own.max()) / 2
        elif children[node]:
            waiting += [(node, True), *((child, False) for child in reversed(children[node]))]
        else:
            y[node] = lines
            lines += 1
    return y
