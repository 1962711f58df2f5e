"""Where a model looks: what each place of the photo weighed, word by word."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError, ShapeError
from unrolled.laboratory.gates import check_one
from unrolled.laboratory.unrolling import unroll
from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN


class AttentionMaps(NamedTuple):
    """What the model looked at before it said each word.

    Attributes
    ----------
    words : tuple of T str
        Said at each step, ``<END>`` among them.
    alphas : (T, Y, X) float64
        What each place weighed, from the photo's upper left corner; each map adds up to 1.
    """

    words: tuple[str, ...]
    alphas: Array


def attention_maps(
    model: CaptioningRNN,
    features: Array,
    captions: Array,
    *,
    grid: tuple[int, int] | None = None,
) -> AttentionMaps:
    """Keep what a model that attends looks at, for each word of a caption.

    Parameters
    ----------
    model : CaptioningRNN
    features : (1, L, D) or (1, Y, X, D) float
    captions : (1, T + 1) int
        Without padding.
    grid : (Y, X), optional
        How the L locations lie, row by row; a square unless given.

    Returns
    -------
    AttentionMaps

    Raises
    ------
    InputError
        If the model does not attend, or there are several captions.
    ShapeError, DTypeError
        If features, grid or the caption do not fit.

    References
    ----------
    Xu et al. (2015), "Show, attend and tell", section 5.4.
    """
    if not CELLS[model.cell_type].attends:
        attending = ", ".join(name for name, cell in CELLS.items() if cell.attends)
        raise InputError(
            f"attention_maps: the cell {model.cell_type} looks at no places of the photo; choose a "
            f"model that was trained with a cell that does: {attending}"
        )
    if grid is None and features.ndim == 4:
        grid = features.shape[1], features.shape[2]
    run = unroll(model, features, captions)
    check_one(run.counts, "attention_maps")
    alphas = np.array([step[0].alphas for step in run.steps])[:, 0]
    L = alphas.shape[1]
    Y, X = grid or (math.isqrt(L), math.isqrt(L))
    if Y * X != L:
        raise ShapeError(f"attention_maps: {L} locations do not lie in a grid of {Y} x {X}")
    words = tuple(model.idx_to_word[word] for word in run.words_out[0].tolist())
    return AttentionMaps(words, alphas.reshape(len(words), Y, X))
