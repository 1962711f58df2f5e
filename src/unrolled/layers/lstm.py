r"""The long short-term memory: one step, whole sequences, and packed sequences.

.. math::

    i, f, o &= \sigma(x_t W_x + h_{t-1} W_h + b) \qquad g = \tanh(x_t W_x + h_{t-1} W_h + b) \\
    c_t &= f c_{t-1} + i g \qquad h_t = o \tanh c_t

The four gates stand side by side in Wx, Wh and b, in the order i, f, o, g. Only
:math:`h_{t-1} W_h` and the gates have to wait for the step before: the input product is one product
before the time loop, and the gradients of x, Wx, Wh and b are products after it.
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
    last_states,
    previous_states,
    step_slices,
    time_major,
)
from unrolled.layers.product import check_precision, product, runs_compiled
from unrolled.layers.sigmoid import sigmoid


class LSTMStepCache(NamedTuple):
    """What `lstm_step_backward` needs; gates is (N, 4 H), after their nonlinearities."""

    x: Array
    prev_h: Array
    prev_c: Array
    Wx: Array
    Wh: Array
    gates: Array
    next_h: Array
    next_c: Array


class LSTMStepGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dprev_h: Array
    dprev_c: Array
    dWx: Array
    dWh: Array
    db: Array


class LSTMCache(NamedTuple):
    """What `lstm_packed_backward` needs; h is packed, and so is x unless there are tokens.

    So are gates (P, 4 H) and c (P, H) where NumPy's text ran; compiled kernels keep them by strips,
    and in ``turned`` the weights as the way back reads them, see `unrolled.kernels.recurrence`: it
    does not see what becomes of Wx and Wh after the way forward.
    """

    x: Array
    h0: Array
    c0: Array
    Wx: Array
    Wh: Array
    gates: Array
    h: Array
    c: Array
    batch_sizes: tuple[int, ...]
    tokens: Array | None = None
    precision: str = "float32"
    turned: Array | None = None

    @property
    def final_h(self) -> Array:
        """Hidden state after the last token of each sequence, (N, H)."""
        return last_states(self.h, self.h0, self.batch_sizes)

    @property
    def final_c(self) -> Array:
        """Cell state after the last token of each sequence, (N, H)."""
        by_strips = self.c.ndim == 3
        c = kernels.unstripped(self.c, self.h.shape[1]) if by_strips else self.c
        return last_states(c, self.c0, self.batch_sizes)


class _LSTMGrads(NamedTuple):
    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array


class LSTMGrads(_LSTMGrads):
    """Gradients of the loss, each shaped as the forward's argument.

    Unpacks to the assignment's five, ``dx, dh0, dWx, dWh, db``; ``dc0`` is an attribute beside
    them, since c0 is a keyword of the forward.
    """

    dc0: Array

    def __new__(
        cls, dx: Array, dh0: Array, dWx: Array, dWh: Array, db: Array, dc0: Array
    ) -> LSTMGrads:
        """Hold five gradients as the tuple and dc0 beside it."""
        self = super().__new__(cls, dx, dh0, dWx, dWh, db)
        self.dc0 = dc0
        return self

    def __getnewargs__(self) -> tuple[Array, ...]:
        """Copy and pickle with dc0."""
        return (*self, self.dc0)

    def _replace(self, **changes: Array) -> LSTMGrads:
        """Copy with some gradients changed; the tuple's own method would know five."""
        return LSTMGrads(**{**self._asdict(), "dc0": self.dc0, **changes})

    __replace__ = _replace  # what copy.replace asks for, from Python 3.13


def lstm_step_forward(
    x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, Array, LSTMStepCache]:
    r"""One LSTM step, :math:`c' = f c + i g` and :math:`h' = o \tanh c'`.

    Parameters
    ----------
    x : (N, D) float
    prev_h : (N, H) float
    prev_c : (N, H) float
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    b : (4 H,) float

    Returns
    -------
    next_h : (N, H), dtype of x
    next_c : (N, H), dtype of x
    cache : LSTMStepCache

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000).
    """
    check_floats("lstm_step_forward", x=x, prev_h=prev_h, prev_c=prev_c, Wx=Wx, Wh=Wh, b=b)
    check_shapes(
        "lstm_step_forward",
        x=(x, "N D"),
        prev_h=(prev_h, "N H"),
        prev_c=(prev_c, "N H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        b=(b, "4H"),
    )
    gates = product(x, Wx, b) + product(prev_h, Wh)
    next_h, next_c = _cell_forward(gates, prev_c)
    return next_h, next_c, LSTMStepCache(x, prev_h, prev_c, Wx, Wh, gates, next_h, next_c)


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: LSTMStepCache) -> LSTMStepGrads:
    r"""Backward pass of one LSTM step.

    Parameters
    ----------
    dnext_h : (N, H), dtype of the forward's output
    dnext_c : (N, H), dtype of the forward's output
        What reaches c' from the next step; what reaches it through h' is added here.
    cache : LSTMStepCache, from `lstm_step_forward`

    Returns
    -------
    LSTMStepGrads

    Raises
    ------
    ShapeError, DTypeError
        If dnext_h or dnext_c is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes.
    """
    x, prev_h, prev_c, Wx, Wh, gates, next_h, next_c = cache
    check_gradient("lstm_step_backward", "dnext_h", dnext_h, next_h.shape, next_h.dtype)
    check_gradient("lstm_step_backward", "dnext_c", dnext_c, next_c.shape, next_c.dtype)
    da = np.empty_like(gates)
    dprev_c = _cell_backward(dnext_h, dnext_c, gates, prev_c, np.tanh(next_c), da)
    return LSTMStepGrads(da @ Wx.T, da @ Wh.T, dprev_c, x.T @ da, prev_h.T @ da, da.sum(axis=0))


def lstm_forward(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, *, c0: Array | None = None
) -> tuple[Array, LSTMCache]:
    r"""LSTM over whole sequences, :math:`c_t = f c_{t-1} + i g`, :math:`h_t = o \tanh c_t`.

    Parameters
    ----------
    x : (N, T, D) float
    h0 : (N, H) float
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    b : (4 H,) float
    c0 : (N, H) float, optional
        Cell state before the first step; zero unless given.

    Returns
    -------
    h : (N, T, H), dtype of x
    cache : LSTMCache
        Its ``final_h`` and ``final_c`` are the states after the last step, (N, H) each.

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000).
    """
    c0 = np.zeros_like(h0) if c0 is None else c0
    check_floats("lstm_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b, c0=c0)
    size = check_shapes(
        "lstm_forward",
        x=(x, "N T D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        b=(b, "4H"),
        c0=(c0, "N H"),
    )
    N, T = size["N"], size["T"]
    h, cache = lstm_packed_forward(time_major(x), h0, Wx, Wh, b, (N,) * T, c0=c0)
    return batch_major(h, (N, T)), cache


def lstm_backward(dh: Array, cache: LSTMCache, *, dfinal_c: Array | None = None) -> LSTMGrads:
    r"""Backward pass of `lstm_forward`: backpropagation through time.

    Parameters
    ----------
    dh : (N, T, H), dtype of the forward's output
        Derivative of the loss by each h_t where it left the recurrence.
    cache : LSTMCache, from `lstm_forward`
    dfinal_c : (N, H), optional
        Derivative of the loss by the final cell state; zero unless given.

    Returns
    -------
    LSTMGrads
        Unpacks to ``dx, dh0, dWx, dWh, db``; ``dc0`` is an attribute.

    Raises
    ------
    ShapeError, DTypeError
        If dh or dfinal_c is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes.
    """
    shape = cache.h0.shape[0], len(cache.batch_sizes)
    check_gradient("lstm_backward", "dh", dh, (*shape, cache.h.shape[1]), cache.h.dtype)
    if dfinal_c is not None:
        check_gradient("lstm_backward", "dfinal_c", dfinal_c, cache.c0.shape, cache.c0.dtype)
    grads = lstm_packed_backward(time_major(dh), cache, dfinal_c=dfinal_c)
    return LSTMGrads(batch_major(grads.dx, shape), *grads[1:], dc0=grads.dc0)


def lstm_packed_forward(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    batch_sizes: Sequence[int],
    *,
    c0: Array | None = None,
    tokens: Array | None = None,
    precision: str = "float32",
) -> tuple[Array, LSTMCache]:
    r"""LSTM over packed sequences (see `unrolled.layers.packing`).

    Parameters
    ----------
    x : (P, D) float
        The tokens, time first; with ``tokens``, the rows that they share, (U, D).
    h0 : (N, H) float
        In the order of the packing, longest sequence first.
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    b : (4 H,) float
    batch_sizes : T ints
        Sequences present at each step, never growing; they add up to P.
    c0 : (N, H) float, optional
        Cell state before the first step; zero unless given.
    tokens : (P,) int in [0, U), optional
        The row of x that each token is, where x is (U, D); otherwise token p is row p.
    precision : "float32" or "bfloat16"
        Of what products multiply where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    h : (P, H), dtype of x
    cache : LSTMCache

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
    Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000).
    """
    c0 = np.zeros_like(h0) if c0 is None else c0
    check_floats("lstm_packed_forward", x=x, h0=h0, Wx=Wx, Wh=Wh, b=b, c0=c0)
    size = check_shapes(
        "lstm_packed_forward",
        x=(x, "P D"),
        h0=(h0, "N H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        b=(b, "4H"),
        c0=(c0, "N H"),
    )
    check_batch_sizes("lstm_packed_forward", batch_sizes, size["N"], size["P"], tokens)
    check_precision("lstm_packed_forward", precision)
    batch_sizes = tuple(map(int, batch_sizes))
    turned = None
    if runs_compiled(x):
        h, gates, c, turned = kernels.lstm_forward(
            x, h0, c0, Wx, Wh, b, batch_sizes, tokens, precision=precision
        )
    else:
        # Every step's input at once; each step turns its rows into gates.
        gates = product(x, Wx, b, precision=precision)
        gates = gates if tokens is None else gates[tokens]
        h = np.empty((len(gates), size["H"]), x.dtype)
        c = np.empty_like(h)
        prev_h, prev_c = h0, c0
        for rows in step_slices(batch_sizes):
            n = rows.stop - rows.start
            gates[rows] += product(prev_h[:n], Wh, precision=precision)
            h[rows], c[rows] = _cell_forward(gates[rows], prev_c[:n])
            prev_h, prev_c = h[rows], c[rows]
    return h, LSTMCache(x, h0, c0, Wx, Wh, gates, h, c, batch_sizes, tokens, precision, turned)


def lstm_packed_backward(
    dh: Array, cache: LSTMCache, *, dfinal_c: Array | None = None
) -> LSTMGrads:
    r"""Backward pass of `lstm_packed_forward`.

    Back through the steps, the gates' gradients :math:`da_t`; then over all rows at once
    :math:`dx = da W_x^T`, :math:`dW_x = x^T da`, :math:`dW_h = \sum_t h_{t-1}^T da_t`.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : LSTMCache, from `lstm_packed_forward`
    dfinal_c : (N, H), optional
        Derivative of the loss by each sequence's final cell state; zero unless given.

    Returns
    -------
    LSTMGrads
        Unpacks to ``dx, dh0, dWx, dWh, db``; ``dc0`` is an attribute.

    Raises
    ------
    ShapeError, DTypeError
        If dh or dfinal_c is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes.
    """
    x, h0, c0, Wx, _, gates, h, c, batch_sizes, tokens, precision, turned = cache
    check_gradient("lstm_packed_backward", "dh", dh, h.shape, h.dtype)
    if dfinal_c is not None:
        check_gradient("lstm_packed_backward", "dfinal_c", dfinal_c, c0.shape, c0.dtype)
    if turned is not None:
        states = kernels.LSTMStates(h, gates, c, turned)
        return LSTMGrads(
            *kernels.lstm_backward(
                dh, dfinal_c, x, h0, c0, states, batch_sizes, tokens, precision=precision
            )
        )
    da, dprev_h, dprev_c = _loop_backward(dh, dfinal_c, cache)
    dinput = da if tokens is None else add_up(da, tokens, len(x))
    dx = product(dinput, Wx.T, precision=precision)
    dWx = product(x.T, dinput, precision=precision)
    dWh = product(previous_states(h, h0, batch_sizes).T, da, precision=precision)
    return LSTMGrads(dx, dprev_h, dWx, dWh, da.sum(axis=0), dc0=dprev_c)


def _loop_backward(
    dh: Array, dfinal_c: Array | None, cache: LSTMCache
) -> tuple[Array, Array, Array]:
    """Go back through the steps; return da (P, 4 H), dh0 and dc0."""
    _, h0, c0, _, Wh, gates, _, c, batch_sizes, _, precision, _ = cache
    prev_c, tanh_c, da = previous_states(c, c0, batch_sizes), np.tanh(c), np.empty_like(gates)
    dprev_h = np.zeros_like(h0)
    dprev_c = np.zeros_like(c0) if dfinal_c is None else dfinal_c.copy()
    for rows in reversed([*step_slices(batch_sizes)]):
        n = rows.stop - rows.start
        dprev_c[:n] = _cell_backward(
            dh[rows] + dprev_h[:n], dprev_c[:n], gates[rows], prev_c[rows], tanh_c[rows], da[rows]
        )
        dprev_h[:n] = product(da[rows], Wh.T, precision=precision)
    return da, dprev_h, dprev_c


def _cell_forward(gates: Array, prev_c: Array) -> tuple[Array, Array]:
    """Turn pre-activations (N, 4 H) into gates, in place, and return next_h and next_c."""
    next_c = _next_c(gates, prev_c)
    return _split(gates)[2] * np.tanh(next_c), next_c


def _cell_backward(
    dnext_h: Array, dnext_c: Array, gates: Array, prev_c: Array, tanh_c: Array, da: Array
) -> Array:
    """Write the gradient of the pre-activations to da (N, 4 H) and return dprev_c."""
    o = _split(gates)[2]
    dc = dnext_c + dnext_h * o * (1 - tanh_c * tanh_c)  # from the next step, and through h
    return _gates_backward(dnext_h, dc, gates, prev_c, tanh_c, da)


def _next_c(gates: Array, prev_c: Array) -> Array:
    """Turn pre-activations (N, 4 H) into gates, in place, and return f c + i g."""
    H = prev_c.shape[1]
    sigmoid(gates[:, : 3 * H], out=gates[:, : 3 * H])
    np.tanh(gates[:, 3 * H :], out=gates[:, 3 * H :])
    i, f, _, g = _split(gates)
    next_c: Array = f * prev_c + i * g
    return next_c


def _gates_backward(
    dnext_h: Array, dc: Array, gates: Array, prev_c: Array, tanh_c: Array, da: Array
) -> Array:
    """Write the gradient of the pre-activations, given all that reaches c'; return dprev_c."""
    i, f, o, g = _split(gates)
    di, df, do, dg = _split(da)
    di[:] = dc * g * i * (1 - i)  # sigmoid' and tanh' in terms of their outputs
    df[:] = dc * prev_c * f * (1 - f)
    do[:] = dnext_h * tanh_c * o * (1 - o)
    dg[:] = dc * i * (1 - g * g)
    dprev_c: Array = dc * f
    return dprev_c


def _split(gates: Array) -> tuple[Array, Array, Array, Array]:
    """View (N, 4 H) as i, f, o, g, (N, H) each."""
    H = gates.shape[1] // 4
    return gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H : 3 * H], gates[:, 3 * H :]


def _core_forward(
    gates: Array, recurrent: Array, prev: Sequence[Array]
) -> tuple[tuple[Array, Array], None]:
    gates += recurrent
    return _cell_forward(gates, prev[1]), None


def _core_backward(dstate: Sequence[Array], step: CoreStep) -> CoreBack:
    (dnext_h, dnext_c), (gates, (_, prev_c), (_, c), _) = dstate, step
    da = np.empty_like(gates)
    dprev_c = _cell_backward(dnext_h, dnext_c, gates, prev_c, np.tanh(c), da)
    return CoreBack(da, da, (0.0, dprev_c))


CORE = Core(4, 2, _core_forward, _core_backward)
"""The cell without its products."""
