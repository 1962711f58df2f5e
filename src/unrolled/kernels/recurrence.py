"""The compiled twins of the packed layers' time loops; see `unrolled.layers.rnn` and `.lstm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import counts, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]


class RNNLoopGrads(NamedTuple):
    """Derivatives by the pre-activations (P, H), by h0 and by b."""

    da: Array
    dh0: Array
    db: Array


class LSTMLoopGrads(NamedTuple):
    """Derivatives by the pre-activations (P, 4 H), by h0, by c0 and by b."""

    da: Array
    dh0: Array
    dc0: Array
    db: Array


def rnn_loop_forward(
    a: Array, Wh: Array, h0: Array, batch_sizes: Sequence[int], *, precision: str
) -> Array:
    """Turn the input's part of the pre-activations into states, in place.

    Parameters
    ----------
    a : (P, H) float32, C order
        ``x @ Wx + b``; overwritten.
    Wh : (H, H) float32
    h0 : (N, H) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    h : (P, H), which is ``a``
    """
    bf16 = precision == "bfloat16"
    compiled().rnn_forward(counts(batch_sizes), rows(Wh), rows(h0), a, bf16)
    return a


def rnn_loop_backward(
    dh: Array, Wh: Array, h: Array, h0: Array, batch_sizes: Sequence[int], *, precision: str
) -> RNNLoopGrads:
    """Go back through the steps of `rnn_loop_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    Wh : (H, H) float32
    h : (P, H) float32
    h0 : (N, H) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    RNNLoopGrads
    """
    da, dh0 = np.empty(h.shape, np.float32), np.empty(h0.shape, np.float32)
    db = np.empty(h.shape[1], np.float32)
    bf16 = precision == "bfloat16"
    compiled().rnn_backward(counts(batch_sizes), rows(Wh), rows(h), rows(dh), da, dh0, db, bf16)
    return RNNLoopGrads(da, dh0, db)


def lstm_loop_forward(
    gates: Array, Wh: Array, h0: Array, c0: Array, batch_sizes: Sequence[int], *, precision: str
) -> tuple[Array, Array]:
    """Turn the input's part of the pre-activations into gates, in place.

    Parameters
    ----------
    gates : (P, 4 H) float32, C order
        ``x @ Wx + b``; overwritten by the gates.
    Wh : (H, 4 H) float32
    h0, c0 : (N, H) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    h, c : (P, H)
    """
    h = np.empty((len(gates), h0.shape[1]), np.float32)
    c = np.empty_like(h)
    bf16 = precision == "bfloat16"
    compiled().lstm_forward(counts(batch_sizes), rows(Wh), rows(h0), rows(c0), gates, h, c, bf16)
    return h, c


def lstm_loop_backward(
    dh: Array,
    dfinal_c: Array | None,
    Wh: Array,
    gates: Array,
    h: Array,
    c: Array,
    c0: Array,
    batch_sizes: Sequence[int],
    *,
    precision: str,
) -> LSTMLoopGrads:
    """Go back through the steps of `lstm_loop_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    dfinal_c : (N, H) float32, or None for zero
    Wh : (H, 4 H) float32
    gates : (P, 4 H) float32
    h, c : (P, H) float32
    c0 : (N, H) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    LSTMLoopGrads
    """
    dc0 = np.zeros(c0.shape, np.float32)
    if dfinal_c is not None:
        dc0[:] = dfinal_c
    da = np.empty(gates.shape, np.float32)
    dh0, db = np.empty_like(dc0), np.empty(gates.shape[1], np.float32)
    compiled().lstm_backward(
        counts(batch_sizes),
        rows(Wh),
        rows(c0),
        rows(gates),
        rows(h),
        rows(c),
        rows(dh),
        da,
        dh0,
        dc0,
        db,
        precision == "bfloat16",
    )
    return LSTMLoopGrads(da, dh0, dc0, db)


class RecurrentGrads(NamedTuple):
    """Derivatives by the input and by the weights of a recurrence."""

    dx: Array
    dWx: Array
    dWh: Array


def recurrent_gradients(
    da: Array, x: Array, prev_h: Array, Wx: Array, *, precision: str
) -> RecurrentGrads:
    """Take the products that follow a loop's way back, all at once.

    Parameters
    ----------
    da : (P, G) float32
    x : (P, D) float32
    prev_h : (P, H) float32
    Wx : (D, G) float32
    precision : "float32" or "bfloat16"

    Returns
    -------
    RecurrentGrads
        ``da @ Wx.T``, ``x.T @ da`` and ``prev_h.T @ da``.
    """
    dx, dWx = np.empty(x.shape, np.float32), np.empty(Wx.shape, np.float32)
    dWh = np.empty((prev_h.shape[1], da.shape[1]), np.float32)
    arrays = rows(da), rows(x), rows(prev_h), rows(Wx), dx, dWx, dWh
    compiled().gradients(*arrays, precision == "bfloat16")
    return RecurrentGrads(dx, dWx, dWh)
