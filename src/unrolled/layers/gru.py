r"""The gated recurrent unit: one step, whole sequences, and packed sequences.

.. math::

    r, z &= \sigma(x_t W_x + h_{t-1} W_h + b) \qquad
    n = \tanh(x_t W_x + b + r (h_{t-1} W_h + b_n)) \\
    h_t &= (1 - z) n + z h_{t-1}

The three gates stand side by side in Wx, Wh and b, in the order r, z, n. This is the variant of
`torch.nn.GRU` and of cuDNN: the reset gate r works on the product :math:`h_{t-1} W_h`, so that all
of that is one product, and has a bias of its own there, bn. In Cho et al. (2014), equation 8, r
works on the state before it, :math:`(r h_{t-1}) W_h`, and what is called z is our 1 - z in Chung et
al. (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.core import Core, CoreBack, CoreStep
from unrolled.layers.embedding import add_up
from unrolled.layers.packing import (
    batch_major,
    check_batch_sizes,
    last_states,
    previous_states,
    step_slices,
    time_major,
)
from unrolled.layers.product import check_precision, product
from unrolled.layers.sigmoid import sigmoid


class GRUStepCache(NamedTuple):
    """What `gru_step_backward` needs.

    ``gates`` is (N, 3 H), after their nonlinearities; ``recalled`` is h Wh + bn of the third.
    """

    x: Array
    prev_h: Array
    Wx: Array
    Wh: Array
    gates: Array
    recalled: Array


class GRUStepGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dprev_h: Array
    dWx: Array
    dWh: Array
    db: Array
    dbn: Array


class GRUCache(NamedTuple):
    """What `gru_packed_backward` needs; packed but for h0 and the weights, one row per token.

    With tokens, x is (U, D).
    """

    x: Array
    h0: Array
    Wx: Array
    Wh: Array
    gates: Array
    recalled: Array
    h: Array
    batch_sizes: tuple[int, ...]
    tokens: Array | None = None
    precision: str = "float32"

    @property
    def final_h(self) -> Array:
        """Hidden state after the last token of each sequence, (N, H)."""
        return last_states(self.h, self.h0, self.batch_sizes)


class GRUGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array
    dbn: Array


def gru_step_forward(
    x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array, bn: Array
) -> tuple[Array, GRUStepCache]:
    r"""One GRU step, :math:`h' = (1 - z) n + z h`.

    Parameters
    ----------
    x : (N, D) float
    prev_h : (N, H) float
    Wx : (D, 3 H) float
    Wh : (H, 3 H) float
    b : (3 H,) float
    bn : (H,) float

    Returns
    -------
    next_h : (N, H), dtype of x
    cache : GRUStepCache

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    check_floats("gru_step_forward", x=x, prev_h=prev_h, Wx=Wx, Wh=Wh, b=b, bn=bn)
    check_shapes(
        "gru_step_forward",
        x=(x, "N D"),
        prev_h=(prev_h, "N H"),
        Wx=(Wx, "D 3H"),
        Wh=(Wh, "H 3H"),
        b=(b, "3H"),
        bn=(bn, "H"),
    )
    gates = product(x, Wx, b)
    next_h, recalled = _cell_forward(gates, product(prev_h, Wh), bn, prev_h)
    return next_h, GRUStepCache(x, prev_h, Wx, Wh, gates, recalled)


def gru_step_backward(dnext_h: Array, cache: GRUStepCache) -> GRUStepGrads:
    r"""Backward pass of one GRU step.

    Parameters
    ----------
    dnext_h : (N, H), dtype of the forward's output
    cache : GRUStepCache, from `gru_step_forward`

    Returns
    -------
    GRUStepGrads

    Raises
    ------
    ShapeError, DTypeError
        If dnext_h is not shaped and typed as the forward's output.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    x, prev_h, Wx, Wh, gates, recalled = cache
    check_gradient("gru_step_backward", "dnext_h", dnext_h, prev_h.shape, prev_h.dtype)
    da, drecurrent = np.empty_like(gates), np.empty_like(gates)
    dprev_h = _cell_backward(dnext_h, gates, recalled, prev_h, da, drecurrent)
    return GRUStepGrads(
        dx=da @ Wx.T,
        dprev_h=dprev_h + drecurrent @ Wh.T,
        dWx=x.T @ da,
        dWh=prev_h.T @ drecurrent,
        db=da.sum(axis=0),
        dbn=drecurrent[:, 2 * prev_h.shape[1] :].sum(axis=0),
    )


def gru_forward(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, bn: Array
) -> tuple[Array, GRUCache]:
    r"""GRU over whole sequences, :math:`h_t = (1 - z) n + z h_{t-1}`.

    Parameters
    ----------
    x : (N, T, D) float
    h0 : (N, H) float
    Wx : (D, 3 H) float
    Wh : (H, 3 H) float
    b : (3 H,) float
    bn : (H,) float

    Returns
    -------
    h : (N, T, H), dtype of x
    cache : GRUCache
        Its ``final_h`` is the state after the last step, (N, H).

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    check_floats("gru_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b, bn=bn)
    size = check_shapes(
        "gru_forward",
        x=(x, "N T D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D 3H"),
        Wh=(Wh, "H 3H"),
        b=(b, "3H"),
        bn=(bn, "H"),
    )
    N, T = size["N"], size["T"]
    h, cache = gru_packed_forward(time_major(x), h0, Wx, Wh, b, bn, (N,) * T)
    return batch_major(h, (N, T)), cache


def gru_backward(dh: Array, cache: GRUCache) -> GRUGrads:
    r"""Backward pass of `gru_forward`: backpropagation through time.

    Parameters
    ----------
    dh : (N, T, H), dtype of the forward's output
        Derivative of the loss by each h_t where it left the recurrence.
    cache : GRUCache, from `gru_forward`

    Returns
    -------
    GRUGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    shape = cache.h0.shape[0], len(cache.batch_sizes)
    check_gradient("gru_backward", "dh", dh, (*shape, cache.h.shape[1]), cache.h.dtype)
    grads = gru_packed_backward(time_major(dh), cache)
    return grads._replace(dx=batch_major(grads.dx, shape))


def gru_packed_forward(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    bn: Array,
    batch_sizes: Sequence[int],
    *,
    tokens: Array | None = None,
    precision: str = "float32",
) -> tuple[Array, GRUCache]:
    r"""GRU over packed sequences (see `unrolled.layers.packing`).

    Parameters
    ----------
    x : (P, D) float
        The tokens, time first; with ``tokens``, the rows that they share, (U, D).
    h0 : (N, H) float
        In the order of the packing, longest sequence first.
    Wx : (D, 3 H) float
    Wh : (H, 3 H) float
    b : (3 H,) float
    bn : (H,) float
    batch_sizes : T ints
        Sequences present at each step, never growing; they add up to P.
    tokens : (P,) int in [0, U), optional
        The row of x that each token is, where x is (U, D); otherwise token p is row p.
    precision : "float32" or "bfloat16"
        Of what products multiply where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    h : (P, H), dtype of x
    cache : GRUCache

    Raises
    ------
    ShapeError
        If D or H do not match, or the batch sizes or tokens do not fit.
    DTypeError
        If the arrays are not of one floating-point dtype, or batch sizes or tokens no integers.
    InputError
        If a token is no row of x, or there is no such precision.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    check_floats("gru_packed_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b, bn=bn)
    size = check_shapes(
        "gru_packed_forward",
        x=(x, "P D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D 3H"),
        Wh=(Wh, "H 3H"),
        b=(b, "3H"),
        bn=(bn, "H"),
    )
    check_batch_sizes("gru_packed_forward", batch_sizes, size["N"], size["P"], tokens)
    check_precision("gru_packed_forward", precision)
    batch_sizes = tuple(map(int, batch_sizes))
    gates = product(x, Wx, b, precision=precision)
    gates = gates if tokens is None else gates[tokens]
    h, recalled = (np.empty((len(gates), size["H"]), x.dtype) for _ in range(2))
    prev_h = h0
    for rows in step_slices(batch_sizes):
        prev_h = prev_h[: rows.stop - rows.start]
        recurrent = product(prev_h, Wh, precision=precision)
        h[rows], recalled[rows] = _cell_forward(gates[rows], recurrent, bn, prev_h)
        prev_h = h[rows]
    return h, GRUCache(x, h0, Wx, Wh, gates, recalled, h, batch_sizes, tokens, precision)


def gru_packed_backward(dh: Array, cache: GRUCache) -> GRUGrads:
    r"""Backward pass of `gru_packed_forward`.

    Back through the steps, the gradients of both products' results, which differ in the third gate
    by its reset; then over all rows at once those of x and of the weights.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : GRUCache, from `gru_packed_forward`

    Returns
    -------
    GRUGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Cho et al. (2014), section 2.3, with the reset gate after the product.
    """
    x, h0, Wx, Wh, gates, recalled, h, batch_sizes, tokens, precision = cache
    check_gradient("gru_packed_backward", "dh", dh, h.shape, h.dtype)
    before = previous_states(h, h0, batch_sizes)
    da, drecurrent = np.empty_like(gates), np.empty_like(gates)
    dprev_h = np.zeros_like(h0)
    for rows in reversed([*step_slices(batch_sizes)]):
        n = rows.stop - rows.start
        dprev_h[:n] = _cell_backward(
            dh[rows] + dprev_h[:n],
            gates[rows],
            recalled[rows],
            before[rows],
            da[rows],
            drecurrent[rows],
        )
        dprev_h[:n] += product(drecurrent[rows], Wh.T, precision=precision)
    dinput = da if tokens is None else add_up(da, tokens, len(x))
    return GRUGrads(
        dx=product(dinput, Wx.T, precision=precision),
        dh0=dprev_h,
        dWx=product(x.T, dinput, precision=precision),
        dWh=product(before.T, drecurrent, precision=precision),
        db=da.sum(axis=0),
        dbn=drecurrent[:, 2 * h.shape[1] :].sum(axis=0),
    )


def _cell_forward(gates: Array, recurrent: Array, bn: Array, prev_h: Array) -> tuple[Array, Array]:
    """Turn x Wx + b (N, 3 H) into gates, in place; return next_h, and h Wh + bn of the third."""
    H = prev_h.shape[1]
    gates[:, : 2 * H] += recurrent[:, : 2 * H]
    sigmoid(gates[:, : 2 * H], out=gates[:, : 2 * H])
    r, z, n = _split(gates)
    recalled = recurrent[:, 2 * H :] + bn
    n += r * recalled
    np.tanh(n, out=n)
    return n + z * (prev_h - n), recalled


def _cell_backward(
    dnext_h: Array, gates: Array, recalled: Array, prev_h: Array, da: Array, drecurrent: Array
) -> Array:
    """Write the gradients of x Wx + b and of h Wh; return what goes straight to prev_h."""
    r, z, n = _split(gates)
    dr, dz, dn = _split(da)
    dn[:] = dnext_h * (1 - z) * (1 - n * n)  # tanh' and sigmoid' in terms of their outputs
    dr[:] = dn * recalled * r * (1 - r)
    dz[:] = dnext_h * (prev_h - n) * z * (1 - z)
    drecurrent[:] = da
    _split(drecurrent)[2][:] *= r
    straight: Array = dnext_h * z
    return straight


def _split(gates: Array) -> tuple[Array, Array, Array]:
    """View (N, 3 H) as r, z, n, (N, H) each."""
    H = gates.shape[1] // 3
    return gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H :]


def _core_forward(
    gates: Array, recurrent: Array, prev: Sequence[Array], bn: Array
) -> tuple[tuple[Array], Array]:
    next_h, recalled = _cell_forward(gates, recurrent, bn, prev[0])
    return (next_h,), recalled


def _core_backward(dstate: Sequence[Array], step: CoreStep, bn: Array) -> CoreBack:
    gates, (prev_h,), _, recalled = step
    da, drecurrent = np.empty_like(gates), np.empty_like(gates)
    straight = _cell_backward(dstate[0], gates, recalled, prev_h, da, drecurrent)
    dbn = drecurrent[:, 2 * len(bn) :].sum(axis=0)
    return CoreBack(da, drecurrent, (straight,), (dbn,))


CORE = Core(3, 1, _core_forward, _core_backward, lambda H: {"bn": (H,)}, apart=True)
"""The cell without its products."""
