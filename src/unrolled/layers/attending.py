r"""The time loop of the LSTMs that attend, whatever scores the locations.

.. math::

    \alpha_t = \mathrm{softmax}(e(A, h_{t-1})) \qquad v_t = \alpha_t^T A \qquad
    a_t = x_t W_x + [h_{t-1}, v_t] W + b

with the LSTM's gates of :math:`a_t`, from :math:`h_0 = c_0` = the mean of A's locations. An
attention says :math:`e` of the sequences that a step has, and gives :math:`dh` for :math:`de`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.attention import location_products, softmax, softmax_gradient, weighted_sum
from unrolled.layers.lstm import _cell_backward, _cell_forward
from unrolled.layers.packing import last_states, pad_rows, previous_states, step_slices
from unrolled.layers.product import product


class AttentionLSTMCache(NamedTuple):
    """What `attention_lstm_packed_backward` needs; packed but for A and W, one row per token.

    ``W`` is Wh above Wattn, ``seen`` what it was multiplied with, ``alphas`` is (P, L).
    """

    x: Array
    A: Array
    Wx: Array
    W: Array
    gates: Array
    seen: Array
    alphas: Array
    h: Array
    c: Array
    batch_sizes: tuple[int, ...]
    precision: str = "float32"

    @property
    def prev_h(self) -> Array:
        """Hidden state before each token, (P, H)."""
        return self.seen[:, : self.h.shape[1]]

    @property
    def final_h(self) -> Array:
        """Hidden state after the last token of each sequence, (N, H)."""
        return last_states(self.h, self._start, self.batch_sizes)

    @property
    def final_c(self) -> Array:
        """Cell state after the last token of each sequence, (N, H)."""
        return last_states(self.c, self._start, self.batch_sizes)

    @property
    def _start(self) -> Array:
        """Mean of the locations, (N, H): they are (N, L, H), or the assignment's (N, H, Y, X)."""
        mean: Array = self.A.mean(axis=1 if self.A.ndim == 3 else (2, 3))
        return mean


class StepsBack(NamedTuple):
    """What `unread_steps` found.

    Derivatives by the pre-activations, (P, 4 H), by the scores, (P, L), and by A but for what goes
    through the scores, (N, L, H).
    """

    da: Array
    de: Array
    dA: Array


def read_steps(
    x: Array,
    A: Array,
    Wx: Array,
    W: Array,
    b: Array,
    score: Callable[[Array], Array],
    batch_sizes: Sequence[int],
    precision: str,
) -> AttentionLSTMCache:
    """Go through the steps.

    Parameters
    ----------
    x : (P, D) float
    A : (N, L, H) float
    Wx : (D, 4 H) float
    W : (2 H, 4 H) float
        Wh above Wattn.
    b : (4 H,) float
    score : callable
        Takes h of a step's n sequences, (n, H); returns (n, L).
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    AttentionLSTMCache
    """
    batch_sizes = tuple(map(int, batch_sizes))
    P, H = len(x), A.shape[2]
    gates = product(x, Wx, b, precision=precision)
    seen, alphas = np.empty((P, 2 * H), x.dtype), np.empty((P, A.shape[1]), x.dtype)
    h, c = np.empty((P, H), x.dtype), np.empty((P, H), x.dtype)
    prev_h = prev_c = A.mean(axis=1)
    for rows in step_slices(batch_sizes):
        n = rows.stop - rows.start
        alphas[rows] = softmax(score(prev_h[:n]))
        seen[rows, :H], seen[rows, H:] = prev_h[:n], weighted_sum(alphas[rows], A[:n])
        gates[rows] += product(seen[rows], W, precision=precision)
        h[rows], c[rows] = _cell_forward(gates[rows], prev_c[:n])
        prev_h, prev_c = h[rows], c[rows]
    return AttentionLSTMCache(x, A, Wx, W, gates, seen, alphas, h, c, batch_sizes, precision)


def unread_steps(
    dh: Array,
    dalphas: Array | None,
    cache: AttentionLSTMCache,
    score_gradient: Callable[[slice, Array], Array],
) -> StepsBack:
    """Go back through the steps of `read_steps`.

    Parameters
    ----------
    dh : (P, H)
    dalphas : (P, L), optional
        Derivative of the loss by the alphas on other ways than h; zero unless given.
    cache : AttentionLSTMCache
    score_gradient : callable
        Takes the packed rows of a step and the derivative by its scores, (n, L); returns that by
        the h that they were made with, (n, H).

    Returns
    -------
    StepsBack
    """
    _, A, _, W, gates, _, alphas, h, c, batch_sizes, precision = cache
    H, start = h.shape[1], A.mean(axis=1)
    prev_c, tanh_c, da = previous_states(c, start, batch_sizes), np.tanh(c), np.empty_like(gates)
    dattn, de = np.empty_like(h), np.empty_like(alphas)
    dprev_h, dprev_c = np.zeros_like(start), np.zeros_like(start)
    for rows in reversed([*step_slices(batch_sizes)]):
        n = rows.stop - rows.start
        dprev_c[:n] = _cell_backward(
            dh[rows] + dprev_h[:n], dprev_c[:n], gates[rows], prev_c[rows], tanh_c[rows], da[rows]
        )
        dseen = product(da[rows], W.T, precision=precision)
        dattn[rows] = dseen[:, H:]
        dweights = location_products(A[:n], dattn[rows])
        if dalphas is not None:
            dweights += dalphas[rows]
        de[rows] = softmax_gradient(dweights, alphas[rows])
        dprev_h[:n] = dseen[:, :H] + score_gradient(rows, de[rows])
    dA = by_image(alphas, dattn, cache)
    dA += ((dprev_h + dprev_c) / A.shape[1])[:, None, :]  # h0 and c0 are the mean
    return StepsBack(da, de, dA)


def by_image(weights: Array, values: Array, cache: AttentionLSTMCache) -> Array:
    """Add up over an image's steps the products of what locations weighed and a vector.

    Parameters
    ----------
    weights : (P, L)
    values : (P, H)
    cache : AttentionLSTMCache

    Returns
    -------
    (N, L, H)
    """
    sizes, total = cache.batch_sizes, np.zeros_like(cache.A, order="C")
    weighed, came = pad_rows(weights, sizes), pad_rows(values, sizes)
    np.matmul(weighed.transpose(1, 2, 0), came.swapaxes(0, 1), out=total[: weighed.shape[1]])
    return total


def weight_gradients(da: Array, cache: AttentionLSTMCache) -> tuple[Array, Array, Array, Array]:
    """Take the products that follow the way back, over all rows at once.

    Parameters
    ----------
    da : (P, 4 H)
    cache : AttentionLSTMCache

    Returns
    -------
    dx, dWx, dW, db
    """
    x, precision = cache.x, cache.precision
    return (
        product(da, cache.Wx.T, precision=precision),
        product(x.T, da, precision=precision),
        product(cache.seen.T, da, precision=precision),
        da.sum(axis=0),
    )
