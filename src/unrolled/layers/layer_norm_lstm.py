r"""The LSTM with layer normalisation in it, over packed sequences.

.. math::

    a_t &= N(x_t W_x; g_x, b) + N(h_{t-1} W_h; g_h) \\
    c_t &= f c_{t-1} + i g \qquad h_t = o \tanh N(c_t; g_c, b_c)

with the gates i, f, o, g of :math:`a_t` as in `unrolled.layers.lstm`, and N that of
`unrolled.layers.layer_norm`. The input's part is normalised before the time loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.layer_norm import LayerNormCache, layer_norm_backward, layer_norm_forward
from unrolled.layers.packing import check_batch_sizes, previous_states, step_slices
from unrolled.layers.product import check_precision, product
from unrolled.layers.sigmoid import sigmoid


class LayerNormLSTMCache(NamedTuple):
    """What `layer_norm_lstm_packed_backward` needs; steps holds two norms' caches a step."""

    x: Array
    h0: Array
    c0: Array
    Wx: Array
    Wh: Array
    gates: Array
    tanh_c: Array
    h: Array
    c: Array
    inputs: LayerNormCache
    steps: list[tuple[LayerNormCache, LayerNormCache]]
    batch_sizes: tuple[int, ...]
    precision: str


class LayerNormLSTMGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array
    dgx: Array
    dgh: Array
    dgc: Array
    dbc: Array


class LayerNormLSTMStepGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dprev_h: Array
    dprev_c: Array
    dWx: Array
    dWh: Array
    db: Array
    dgx: Array
    dgh: Array
    dgc: Array
    dbc: Array


def layer_norm_lstm_packed_forward(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    gx: Array,
    gh: Array,
    gc: Array,
    bc: Array,
    batch_sizes: Sequence[int],
    *,
    precision: str = "float32",
) -> tuple[Array, LayerNormLSTMCache]:
    r"""Layer-normalised LSTM over packed sequences (see `unrolled.layers.packing`), from c = 0.

    Parameters
    ----------
    x : (P, D) float
        The tokens, time first.
    h0 : (N, H) float
        In the order of the packing, longest sequence first.
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    b : (4 H,) float
    gx : (4 H,) float
    gh : (4 H,) float
    gc : (H,) float
    bc : (H,) float
    batch_sizes : T ints
        Sequences present at each step, never growing; they add up to P.
    precision : "float32" or "bfloat16"
        Of what products multiply where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    h : (P, H), dtype of x
    cache : LayerNormLSTMCache

    Raises
    ------
    ShapeError
        If D or H do not match, or the batch sizes do not fit.
    DTypeError
        If the arrays are not of one floating-point dtype, or the batch sizes are no integers.
    InputError
        If there is no such precision.

    References
    ----------
    Ba, Kiros & Hinton (2016), equations 20-22.
    """
    where, weights = "layer_norm_lstm_packed_forward", (Wx, Wh, b, gx, gh, gc, bc)
    size = _check(where, {"x": (x, "P D"), "h0": (h0, "N H")}, weights)
    check_batch_sizes(where, batch_sizes, size["N"], size["P"])
    check_precision(where, precision)
    cache = _forward(x, h0, np.zeros_like(h0), weights, tuple(map(int, batch_sizes)), precision)
    return cache.h, cache


def layer_norm_lstm_step_forward(
    x: Array,
    prev_h: Array,
    prev_c: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    gx: Array,
    gh: Array,
    gc: Array,
    bc: Array,
) -> tuple[Array, Array, LayerNormLSTMCache]:
    r"""One step, :math:`c' = f c + i g` and :math:`h' = o \tanh N(c'; g_c, b_c)`.

    Parameters
    ----------
    x : (N, D) float
    prev_h : (N, H) float
    prev_c : (N, H) float
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    b : (4 H,) float
    gx : (4 H,) float
    gh : (4 H,) float
    gc : (H,) float
    bc : (H,) float

    Returns
    -------
    next_h, next_c : (N, H), dtype of x
    cache : LayerNormLSTMCache
        Of a sequence of one step.

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Ba, Kiros & Hinton (2016), equations 20-22.
    """
    weights = (Wx, Wh, b, gx, gh, gc, bc)
    rows = {"x": (x, "N D"), "prev_h": (prev_h, "N H"), "prev_c": (prev_c, "N H")}
    _check("layer_norm_lstm_step_forward", rows, weights)
    cache = _forward(x, prev_h, prev_c, weights, (len(x),), "float32")
    return cache.h, cache.c, cache


def layer_norm_lstm_step_backward(
    dnext_h: Array, dnext_c: Array, cache: LayerNormLSTMCache
) -> LayerNormLSTMStepGrads:
    r"""Backward pass of one step.

    Parameters
    ----------
    dnext_h : (N, H), dtype of the forward's output
    dnext_c : (N, H), dtype of the forward's output
        What reaches c' from the next step; what reaches it through h' is added here.
    cache : LayerNormLSTMCache, from `layer_norm_lstm_step_forward`

    Returns
    -------
    LayerNormLSTMStepGrads

    Raises
    ------
    ShapeError, DTypeError
        If dnext_h or dnext_c is not shaped and typed as the forward's output.

    References
    ----------
    Ba, Kiros & Hinton (2016), equations 4 and 20-22.
    """
    where = "layer_norm_lstm_step_backward"
    check_gradient(where, "dnext_h", dnext_h, cache.h.shape, cache.h.dtype)
    check_gradient(where, "dnext_c", dnext_c, cache.c.shape, cache.c.dtype)
    (dx, dprev_h, *dweights), dprev_c = _backward(dnext_h, dnext_c, cache)
    return LayerNormLSTMStepGrads(dx, dprev_h, dprev_c, *dweights)


def _check(
    where: str, rows: dict[str, tuple[Array, str]], weights: tuple[Array, ...]
) -> dict[str, int]:
    """Hold the arguments to one dtype and to each other's shapes; return the sizes of the axes."""
    axes = {"Wx": "D 4H", "Wh": "H 4H", "b": "4H", "gx": "4H", "gh": "4H", "gc": "H", "bc": "H"}
    wanted = rows | {k: (w, axes[k]) for k, w in zip(axes, weights, strict=True)}
    check_floats(where, **{name: array for name, (array, _) in wanted.items()})
    return check_shapes(where, **wanted)


def _forward(
    x: Array,
    h0: Array,
    c0: Array,
    weights: tuple[Array, ...],
    batch_sizes: tuple[int, ...],
    precision: str,
) -> LayerNormLSTMCache:
    Wx, Wh, b, gx, gh, gc, bc = weights
    gates, inputs = layer_norm_forward(product(x, Wx, precision=precision), gx, b)
    H, none = h0.shape[1], np.zeros_like(b)
    h, c, tanh_c = (np.empty((len(x), H), x.dtype) for _ in range(3))
    steps, prev_h, prev_c = [], h0, c0
    for rows in step_slices(batch_sizes):
        n = rows.stop - rows.start
        a, of_h = layer_norm_forward(product(prev_h[:n], Wh, precision=precision), gh, none)
        gates[rows] += a
        i, f, o, g = np.split(gates[rows], 4, axis=1)
        for gate in (i, f, o):
            sigmoid(gate, out=gate)
        np.tanh(g, out=g)
        c[rows] = f * prev_c[:n] + i * g
        normal, of_c = layer_norm_forward(c[rows], gc, bc)
        tanh_c[rows] = np.tanh(normal)
        h[rows] = o * tanh_c[rows]
        prev_h, prev_c = h[rows], c[rows]
        steps.append((of_h, of_c))
    return LayerNormLSTMCache(
        x, h0, c0, Wx, Wh, gates, tanh_c, h, c, inputs, steps, batch_sizes, precision
    )


def layer_norm_lstm_packed_backward(dh: Array, cache: LayerNormLSTMCache) -> LayerNormLSTMGrads:
    r"""Backward pass of `layer_norm_lstm_packed_forward`.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : LayerNormLSTMCache, from `layer_norm_lstm_packed_forward`

    Returns
    -------
    LayerNormLSTMGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Ba, Kiros & Hinton (2016), equations 4 and 20-22.
    """
    check_gradient("layer_norm_lstm_packed_backward", "dh", dh, cache.h.shape, cache.h.dtype)
    return _backward(dh, np.zeros_like(cache.c0), cache)[0]


def _backward(
    dh: Array, dfinal_c: Array, cache: LayerNormLSTMCache
) -> tuple[LayerNormLSTMGrads, Array]:
    """Go back through the steps; return the gradients, and that of c0."""
    x, h0, c0, Wx, Wh, gates, tanh_c, h, c, inputs, steps, batch_sizes, precision = cache
    prev_c, H = previous_states(c, c0, batch_sizes), h.shape[1]
    da, dproduct = np.empty_like(gates), np.empty_like(gates)
    dprev_h, dprev_c = np.zeros_like(h0), dfinal_c.copy()
    dgh, dgc, dbc = (np.zeros(width, h.dtype) for width in (4 * H, H, H))
    for rows, (of_h, of_c) in reversed([*zip(step_slices(batch_sizes), steps, strict=True)]):
        n = rows.stop - rows.start
        i, f, o, g = np.split(gates[rows], 4, axis=1)
        di, df, do, dg = np.split(da[rows], 4, axis=1)
        dnext_h = dh[rows] + dprev_h[:n]
        through_h = layer_norm_backward(dnext_h * o * (1 - tanh_c[rows] ** 2), of_c)
        dc = dprev_c[:n] + through_h.dx
        di[:] = dc * g * i * (1 - i)  # sigmoid' and tanh' in terms of their outputs
        df[:] = dc * prev_c[rows] * f * (1 - f)
        do[:] = dnext_h * tanh_c[rows] * o * (1 - o)
        dg[:] = dc * i * (1 - g * g)
        dprev_c[:n] = dc * f
        recurrent = layer_norm_backward(da[rows], of_h)
        dproduct[rows] = recurrent.dx
        dprev_h[:n] = product(recurrent.dx, Wh.T, precision=precision)
        dgh += recurrent.dg
        dgc += through_h.dg
        dbc += through_h.db
    before = previous_states(h, h0, batch_sizes)
    dWh = product(before.T, dproduct, precision=precision)
    dinput, dgx, db = layer_norm_backward(da, inputs)
    dx = product(dinput, Wx.T, precision=precision)
    dWx = product(x.T, dinput, precision=precision)
    return LayerNormLSTMGrads(dx, dprev_h, dWx, dWh, db, dgx, dgh, dgc, dbc), dprev_c
