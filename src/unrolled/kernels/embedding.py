"""The word vectors' gradient; the twin of `unrolled.layers.word_embedding_backward`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import integers, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]


def embedding_backward(ids: Array, dout: Array, words: int) -> Array:
    """Sum the rows of every word.

    Parameters
    ----------
    ids : (P,) int in [0, V)
    dout : (P, D) float32
    words : int
        V.

    Returns
    -------
    dW : (V, D) float32
        Zero for words that do not occur; sums are taken in the order of the rows.
    """
    dW = np.empty((words, dout.shape[1]), np.float32)
    compiled().embedding_backward(integers(ids), rows(dout), dW)
    return dW
