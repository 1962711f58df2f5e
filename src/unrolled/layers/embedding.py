"""Word embedding: a row of the table for every word id."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled import kernels
from unrolled.layers.arrays import Array, check_floats, check_gradient, check_ids, check_shapes
from unrolled.layers.product import runs_compiled


class EmbeddingCache(NamedTuple):
    """What `word_embedding_backward` needs."""

    x: Array
    W: Array
    out: Array


def word_embedding_forward(x: Array, W: Array) -> tuple[Array, EmbeddingCache]:
    r"""Word vectors, :math:`y_{nt} = W_{x_{nt}}`.

    Parameters
    ----------
    x : (N, T) int, or any other shape
        Word ids in [0, V).
    W : (V, D) float

    Returns
    -------
    out : (N, T, D), dtype of W
    cache : EmbeddingCache

    Raises
    ------
    ShapeError
        If W has not two axes, or x is no array.
    DTypeError
        If the ids are not integers, or W is not floating point.
    InputError
        If an id lies outside the vocabulary; negative ids do not count from the end.

    References
    ----------
    Bengio, Ducharme, Vincent & Jauvin (2003), section 2: the table C.
    """
    check_floats("word_embedding_forward", W=W)
    size = check_shapes("word_embedding_forward", W=(W, "V D"))
    check_ids("word_embedding_forward", x, size["V"])
    out = W[x]
    return out, EmbeddingCache(x, W, out)


def word_embedding_backward(dout: Array, cache: EmbeddingCache) -> Array:
    r"""Backward pass of `word_embedding_forward`, :math:`dW_v = \sum_{n,t:\,x_{nt}=v} dy_{nt}`.

    A word that stands in several places collects the gradient of each: the places are sorted by
    word and every run of equal words is summed, which is much faster than `numpy.add.at`.

    Parameters
    ----------
    dout : (N, T, D), dtype of the forward's output
    cache : EmbeddingCache, from `word_embedding_forward`

    Returns
    -------
    dW : (V, D), dtype of W

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Bengio, Ducharme, Vincent & Jauvin (2003), section 2.
    """
    x, W, out = cache
    check_gradient("word_embedding_backward", "dout", dout, out.shape, out.dtype)
    return add_up(dout.reshape(x.size, W.shape[1]), x.ravel(), len(W))


def add_up(rows: Array, ids: Array, count: int) -> Array:
    """Add up the rows that have the same id.

    Parameters
    ----------
    rows : (P, D) float
    ids : (P,) int in [0, count)
    count : int

    Returns
    -------
    (count, D), dtype of rows
        Zero for ids that none has; sums are taken in the order of the rows.
    """
    if runs_compiled(rows):
        return kernels.embedding_backward(ids, rows, count)
    sums: Array = np.zeros((count, rows.shape[1]), rows.dtype)
    if ids.size:
        order = np.argsort(ids, kind="stable")
        found, starts = np.unique(ids[order], return_index=True)
        sums[found] = np.add.reduceat(rows[order], starts, axis=0)
    return sums
