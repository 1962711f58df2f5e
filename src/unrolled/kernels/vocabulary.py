"""The vocabulary layer and its loss in one go, scores never held whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import integers, matrix, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]


class CrossEntropy(NamedTuple):
    """A loss in nats, and its derivatives by h, w and b."""

    loss: float
    dh: Array
    dw: Array
    db: Array


def cross_entropy(
    h: Array,
    w: Array,
    b: Array,
    y: Array,
    weights: Array,
    *,
    smoothing: float = 0.0,
    precision: str = "float32",
) -> CrossEntropy:
    r"""Softmax loss of the scores ``h @ w + b``, and its gradients.

    Parameters
    ----------
    h : (P, H) float32
    w : (H, V) float32
    b : (V,) float32
    y : (P,) int in [0, V)
    weights : (P,) float32
        What each row counts.
    smoothing : float in [0, 1)
        Part of each row's target that is spread evenly over all V words.
    precision : "float32" or "bfloat16"
        Of what products multiply; db is one of them, with ones.

    Returns
    -------
    CrossEntropy
    """
    (P, H), V = h.shape, w.shape[1]
    dh, dw = np.empty((P, H), np.float32), np.empty((H + 1, V), np.float32)
    stored, turned = matrix(w)
    loss = compiled().cross_entropy(
        rows(h),
        stored,
        turned,
        rows(b),
        integers(y),
        rows(weights),
        dh,
        dw,
        precision == "bfloat16",
        smoothing,
    )
    return CrossEntropy(loss, dh, dw[:-1], dw[-1])


def top_words(
    h: Array, w: Array, b: Array, penalty: Array, count: int, *, precision: str = "float32"
) -> tuple[Array, Array]:
    """Log-probabilities of the likeliest words under the scores ``h @ w + b``, likeliest first.

    Parameters
    ----------
    h : (P, H) float32
    w : (H, V) float32
    b : (V,) float32
    penalty : (V,) float32
        -inf for words that may not be chosen, otherwise 0.
    count : int
        Words to choose in each row, at least 1.
    precision : "float32" or "bfloat16"

    Returns
    -------
    log_p : (P, count) float32
        -inf where there is no further word.
    words : (P, count) int64
    """
    log_p = np.empty((len(h), count), np.float32)
    words = np.empty((len(h), count), np.int64)
    stored, turned = matrix(w)
    arrays = rows(b), rows(penalty), log_p, words
    compiled().top_words(rows(h), stored, turned, *arrays, precision == "bfloat16")
    return log_p, words
