r"""The tanh recurrent network: one step, whole sequences, and packed sequences.

.. math:: h_t = \tanh(x_t W_x + h_{t-1} W_h + b)

Only :math:`h_{t-1} W_h` has to wait for the step before. The input product is one product before
the time loop, and the gradients of x, Wx, Wh and b are products after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled import kernels
from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.core import Core, CoreBack, CoreStep
from unrolled.layers.embedding import add_up
from unrolled.layers.packing import (
    batch_major,
    check_batch_sizes,
    previous_states,
    step_slices,
    time_major,
)
from unrolled.layers.product import check_precision, product, runs_compiled


class RNNStepCache(NamedTuple):
    """What `rnn_step_backward` needs."""

    x: Array
    prev_h: Array
    Wx: Array
    Wh: Array
    next_h: Array


class RNNStepGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dprev_h: Array
    dWx: Array
    dWh: Array
    db: Array


class RNNCache(NamedTuple):
    """What `rnn_packed_backward` needs; h is packed, and so is x unless there are tokens.

    Compiled kernels leave in ``turned`` the weights as the way back reads them, see
    `unrolled.kernels.recurrence`: it does not see what becomes of Wx and Wh after the way forward.
    """

    x: Array
    h0: Array
    Wx: Array
    Wh: Array
    h: Array
    batch_sizes: tuple[int, ...]
    tokens: Array | None = None
    precision: str = "float32"
    turned: Array | None = None


class RNNGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array


def rnn_step_forward(
    x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, RNNStepCache]:
    r"""One tanh step, :math:`h' = \tanh(x W_x + h W_h + b)`.

    Parameters
    ----------
    x : (N, D) float
    prev_h : (N, H) float
    Wx : (D, H) float
    Wh : (H, H) float
    b : (H,) float

    Returns
    -------
    next_h : (N, H), dtype of x
    cache : RNNStepCache

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), equations 10.8 and 10.9.
    """
    check_floats("rnn_step_forward", x=x, prev_h=prev_h, Wx=Wx, Wh=Wh, b=b)
    check_shapes(
        "rnn_step_forward",
        x=(x, "N D"),
        prev_h=(prev_h, "N H"),
        Wx=(Wx, "D H"),
        Wh=(Wh, "H H"),
        b=(b, "H"),
    )
    next_h = np.tanh(product(x, Wx, b) + product(prev_h, Wh))
    return next_h, RNNStepCache(x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h: Array, cache: RNNStepCache) -> RNNStepGrads:
    r"""Backward pass of one tanh step.

    With :math:`a = x W_x + h W_h + b` and :math:`h' = \tanh a`: :math:`da = dh' (1 - h'^2)`.

    Parameters
    ----------
    dnext_h : (N, H), dtype of the forward's output
    cache : RNNStepCache, from `rnn_step_forward`

    Returns
    -------
    RNNStepGrads

    Raises
    ------
    ShapeError, DTypeError
        If dnext_h is not shaped and typed as the forward's output.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 10.2.2.
    """
    x, prev_h, Wx, Wh, next_h = cache
    check_gradient("rnn_step_backward", "dnext_h", dnext_h, next_h.shape, next_h.dtype)
    da = dnext_h * (1 - next_h * next_h)  # tanh' in terms of its output
    return RNNStepGrads(da @ Wx.T, da @ Wh.T, x.T @ da, prev_h.T @ da, da.sum(axis=0))


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, RNNCache]:
    r"""Tanh recurrence over whole sequences, :math:`h_t = \tanh(x_t W_x + h_{t-1} W_h + b)`.

    Parameters
    ----------
    x : (N, T, D) float
    h0 : (N, H) float
    Wx : (D, H) float
    Wh : (H, H) float
    b : (H,) float

    Returns
    -------
    h : (N, T, H), dtype of x
    cache : RNNCache

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), equations 10.8 and 10.9.
    """
    check_floats("rnn_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b)
    size = check_shapes(
        "rnn_forward",
        x=(x, "N T D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D H"),
        Wh=(Wh, "H H"),
        b=(b, "H"),
    )
    N, T = size["N"], size["T"]
    h, cache = rnn_packed_forward(time_major(x), h0, Wx, Wh, b, (N,) * T)
    return batch_major(h, (N, T)), cache


def rnn_backward(dh: Array, cache: RNNCache) -> RNNGrads:
    r"""Backward pass of `rnn_forward`: backpropagation through time.

    Parameters
    ----------
    dh : (N, T, H), dtype of the forward's output
        Derivative of the loss by each h_t where it left the recurrence.
    cache : RNNCache, from `rnn_forward`

    Returns
    -------
    RNNGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Werbos (1990), equations 10 to 12; Goodfellow, Bengio & Courville (2016), section 10.2.2.
    """
    shape = cache.h0.shape[0], len(cache.batch_sizes)
    check_gradient("rnn_backward", "dh", dh, (*shape, cache.h.shape[1]), cache.h.dtype)
    dx, dh0, dWx, dWh, db = rnn_packed_backward(time_major(dh), cache)
    return RNNGrads(batch_major(dx, shape), dh0, dWx, dWh, db)


def rnn_packed_forward(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    batch_sizes: Sequence[int],
    *,
    tokens: Array | None = None,
    precision: str = "float32",
) -> tuple[Array, RNNCache]:
    r"""Tanh recurrence over packed sequences (see `unrolled.layers.packing`).

    Parameters
    ----------
    x : (P, D) float
        The tokens, time first; with ``tokens``, the rows that they share, (U, D).
    h0 : (N, H) float
        In the order of the packing, longest sequence first.
    Wx : (D, H) float
    Wh : (H, H) float
    b : (H,) float
    batch_sizes : T ints
        Sequences present at each step, never growing; they add up to P.
    tokens : (P,) int in [0, U), optional
        The row of x that each token is, where x is (U, D); otherwise token p is row p.
    precision : "float32" or "bfloat16"
        Of what products multiply where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    h : (P, H), dtype of x
    cache : RNNCache

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
    Goodfellow, Bengio & Courville (2016), equations 10.8 and 10.9.
    """
    check_floats("rnn_packed_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b)
    size = check_shapes(
        "rnn_packed_forward",
        x=(x, "P D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D H"),
        Wh=(Wh, "H H"),
        b=(b, "H"),
    )
    check_batch_sizes("rnn_packed_forward", batch_sizes, size["N"], size["P"], tokens)
    check_precision("rnn_packed_forward", precision)
    batch_sizes = tuple(map(int, batch_sizes))
    turned = None
    if runs_compiled(x):
        h, turned = kernels.rnn_forward(x, h0, Wx, Wh, b, batch_sizes, tokens, precision=precision)
    else:
        # Every step's input at once; each step turns its rows into states.
        h = product(x, Wx, b, precision=precision)
        h = h if tokens is None else h[tokens]
        prev_h = h0
        for rows in step_slices(batch_sizes):
            h[rows] += product(prev_h[: rows.stop - rows.start], Wh, precision=precision)
            prev_h = np.tanh(h[rows], out=h[rows])
    return h, RNNCache(x, h0, Wx, Wh, h, batch_sizes, tokens, precision, turned)


def rnn_packed_backward(dh: Array, cache: RNNCache) -> RNNGrads:
    r"""Backward pass of `rnn_packed_forward`.

    Back through the steps, :math:`da_t = (dh_t + da_{t+1} W_h^T)(1 - h_t^2)`; then over all rows
    at once :math:`dx = da W_x^T`, :math:`dW_x = x^T da`, :math:`dW_h = \sum_t h_{t-1}^T da_t`.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : RNNCache, from `rnn_packed_forward`

    Returns
    -------
    RNNGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Werbos (1990), equations 10 to 12; Goodfellow, Bengio & Courville (2016), section 10.2.2.
    """
    x, h0, Wx, Wh, h, batch_sizes, tokens, precision, turned = cache
    check_gradient("rnn_packed_backward", "dh", dh, h.shape, h.dtype)
    if turned is not None:
        states = kernels.RNNStates(h, turned)
        return RNNGrads(
            *kernels.rnn_backward(dh, x, h0, states, batch_sizes, tokens, precision=precision)
        )
    da = 1 - h * h  # tanh' in terms of its output; each step multiplies by what reaches it
    dprev_h = np.zeros_like(h0)
    for rows in reversed([*step_slices(batch_sizes)]):
        n = rows.stop - rows.start
        da[rows] *= dh[rows] + dprev_h[:n]
        dprev_h[:n] = product(da[rows], Wh.T, precision=precision)
    dinput = da if tokens is None else add_up(da, tokens, len(x))
    dx = product(dinput, Wx.T, precision=precision)
    dWx = product(x.T, dinput, precision=precision)
    dWh = product(previous_states(h, h0, batch_sizes).T, da, precision=precision)
    return RNNGrads(dx, dprev_h, dWx, dWh, da.sum(axis=0))


def _core_forward(
    gates: Array,
    recurrent: Array,
    prev: Sequence[Array],  # noqa: ARG001
) -> tuple[tuple[Array], None]:
    gates += recurrent
    return (np.tanh(gates, out=gates),), None


def _core_backward(dstate: Sequence[Array], step: CoreStep) -> CoreBack:
    h = step.gates
    da = dstate[0] * (1 - h * h)
    return CoreBack(da, da, (0.0,))


CORE = Core(gates=1, members=1, forward=_core_forward, backward=_core_backward)
"""The cell without its products."""
