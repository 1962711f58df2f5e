r"""Scaled dot-product attention of one state over an image's locations.

`attention_forward` takes A as EECS 498 has it, (N, H, 4, 4) or any other grid. What stands below
it works on (N, L, H), a location a row, and is what the cells that attend are built from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import ShapeError
from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.packing import check_batch_sizes, pad_rows, step_slices


class AttentionCache(NamedTuple):
    """What `attention_backward` needs; alphas is (N, Y, X), what each location weighed."""

    prev_h: Array
    A: Array
    alphas: Array


class AttentionGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dprev_h: Array
    dA: Array


def attention_forward(prev_h: Array, A: Array) -> tuple[Array, AttentionCache]:
    r"""Scaled dot-product attention, :math:`v = \alpha^T A`, :math:`\alpha = softmax(A h/\sqrt H)`.

    Parameters
    ----------
    prev_h : (N, H) float
    A : (N, H, Y, X) float
        What stands at each location of the image.

    Returns
    -------
    attn : (N, H), dtype of prev_h
    cache : AttentionCache
        Its ``alphas`` add up to one over an image's Y X locations.

    Raises
    ------
    ShapeError
        If N or H do not match, or there is no location.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Vaswani et al. (2017), equation 1, of one query; University of Michigan EECS 498-007 (2020),
    assignment 4.
    """
    check_floats("attention_forward", prev_h=prev_h, A=A)
    check_shapes("attention_forward", prev_h=(prev_h, "N H"), A=(A, "N H Y X"))
    locations = by_location("attention_forward", A)
    alphas = dot_weights(prev_h, locations)
    attn = weighted_sum(alphas, locations)
    return attn, AttentionCache(prev_h, A, alphas.reshape(len(A), *A.shape[2:]))


def attention_backward(dattn: Array, cache: AttentionCache) -> AttentionGrads:
    r"""Backward pass of `attention_forward`.

    With :math:`d\alpha = A\,dv` and :math:`de = \alpha (d\alpha - \alpha^T d\alpha) / \sqrt H`:
    :math:`dh = A^T de` and :math:`dA = \alpha\,dv^T + de\,h^T`.

    Parameters
    ----------
    dattn : (N, H), dtype of the forward's output
    cache : AttentionCache, from `attention_forward`

    Returns
    -------
    AttentionGrads

    Raises
    ------
    ShapeError, DTypeError
        If dattn is not shaped and typed as the forward's output.

    References
    ----------
    Vaswani et al. (2017), equation 1.
    """
    prev_h, A, alphas = cache
    check_gradient("attention_backward", "dattn", dattn, prev_h.shape, prev_h.dtype)
    locations = by_location("attention_backward", A)
    alphas = alphas.reshape(locations.shape[:2])
    de = softmax_gradient(location_products(locations, dattn), alphas) * scale_of(locations)
    dA = alphas[:, :, None] * dattn[:, None, :] + de[:, :, None] * prev_h[:, None, :]
    return AttentionGrads(weighted_sum(de, locations), as_grid(dA, A.shape))


def dot_weights(h: Array, A: Array) -> Array:
    """Weigh each location by its product with h: (N, H) and (N, L, H) to (N, L)."""
    return softmax(location_products(A, h) * scale_of(A))


class DoublyStochasticLoss(NamedTuple):
    """The loss, and its derivative by the weights, (P, L)."""

    loss: np.floating
    dalphas: Array


def doubly_stochastic_loss(alphas: Array, batch_sizes: Sequence[int]) -> DoublyStochasticLoss:
    r"""Penalty on locations looked at too seldom or too often, :math:`\sum_{nl} (1 - a_{nl})^2`.

    :math:`a_{nl} = \sum_t \alpha_{ntl}` is all that location l weighed in caption n.

    Parameters
    ----------
    alphas : (P, L) float
        Packed (see `unrolled.layers.packing`).
    batch_sizes : T ints

    Returns
    -------
    DoublyStochasticLoss
        Summed over the sequences that have a token.

    Raises
    ------
    ShapeError
        If alphas has not two axes, or the batch sizes do not add up to P.
    DTypeError
        If alphas is not floating point, or the batch sizes are no integers.

    References
    ----------
    Xu et al. (2015), equation 14.
    """
    where = "doubly_stochastic_loss"
    check_floats(where, alphas=alphas)
    size = check_shapes(where, alphas=(alphas, "P L"))
    check_batch_sizes(where, batch_sizes, max(batch_sizes, default=0), size["P"])
    excess = pad_rows(alphas, batch_sizes).sum(axis=0) - 1
    dalphas = np.empty_like(alphas)
    for rows in step_slices(batch_sizes):
        dalphas[rows] = 2 * excess[: rows.stop - rows.start]
    return DoublyStochasticLoss((excess * excess).sum(), dalphas)


def location_products(A: Array, v: Array) -> Array:
    """Multiply a vector with each location: (N, L, H) and (N, H) to (N, L)."""
    products: Array = np.matmul(A, v[:, :, None])[:, :, 0]
    return products


def weighted_sum(weights: Array, A: Array) -> Array:
    """Add up the locations: (N, L) and (N, L, H) to (N, H)."""
    total: Array = np.matmul(weights[:, None, :], A)[:, 0]
    return total


def softmax(scores: Array) -> Array:
    """Turn scores (..., L) into weights that add up to one over the last axis."""
    weights: Array = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def softmax_gradient(dweights: Array, weights: Array) -> Array:
    """Go back through `softmax`, with arrays shaped as its scores."""
    mean = (dweights * weights).sum(axis=-1, keepdims=True)
    dscores: Array = weights * (dweights - mean)
    return dscores


def check_locations(where: str, A: Array) -> None:
    """Hold an image (N, L, H) to having a location."""
    if A.shape[1] == 0:
        raise ShapeError(f"{where}: A must have a location or more to attend to, got none")


def scale_of(A: Array) -> float:
    """Give what products of vectors of A's width are multiplied with: one over its root."""
    return float(max(A.shape[2], 1) ** -0.5)


def by_location(where: str, A: Array) -> Array:
    """View (N, H, Y, X) as (N, L, H), a row a location."""
    N, H, Y, X = A.shape
    locations: Array = A.reshape(N, H, Y * X).swapaxes(1, 2)
    if Y * X == 0:
        raise ShapeError(f"{where}: A must have a location or more to attend to, got {A.shape}")
    return locations


def as_grid(A: Array, shape: tuple[int, ...]) -> Array:
    """Undo `by_location`, contiguous."""
    return np.ascontiguousarray(A.swapaxes(1, 2)).reshape(shape)
