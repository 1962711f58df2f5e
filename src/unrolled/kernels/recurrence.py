"""The compiled twins of the packed layers, whole; see `unrolled.layers.rnn` and `.lstm`.

What the LSTM's way back needs, the kernels keep by strips of 16 hidden columns, so that what a step
touches follows each other in memory: gates (S, P, 4, 16) and c (S, P, 16), where S strips make up
the width H, the last one filled up. `unstripped` lays such an array out as the layers have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import counts, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]

_STRIP = 16


class RNNGrads(NamedTuple):
    """Derivatives by each of the forward's arguments."""

    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array


class LSTMGrads(NamedTuple):
    """Derivatives by each of the forward's arguments."""

    dx: Array
    dh0: Array
    dWx: Array
    dWh: Array
    db: Array
    dc0: Array


class LSTMStates(NamedTuple):
    """The states (P, H), and by strips the gates and cell states."""

    h: Array
    gates: Array
    c: Array


def unstripped(kept: Array, width: int) -> Array:
    """Lay out an array that is kept by strips as the layers have it.

    Parameters
    ----------
    kept : (S, P, 16) or (S, P, G, 16)
    width : int
        H.

    Returns
    -------
    (P, H) or (P, G H)
    """
    strips, tokens = kept.shape[:2]
    gates = 1 if kept.ndim == 3 else kept.shape[2]  # spelled out: without tokens, -1 says nothing
    apart = kept.reshape(strips, tokens, gates, _STRIP).transpose(1, 2, 0, 3)
    padded = apart.reshape(tokens, gates, strips * _STRIP)
    whole: Array = padded[:, :, :width].reshape(tokens, gates * width)
    return whole


def rnn_forward(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    batch_sizes: Sequence[int],
    *,
    precision: str,
) -> Array:
    """Tanh recurrence over packed sequences.

    Parameters
    ----------
    x : (P, D) float32
    h0 : (N, H) float32
    Wx : (D, H) float32
    Wh : (H, H) float32
    b : (H,) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    h : (P, H)
    """
    h = np.empty((len(x), h0.shape[1]), np.float32)
    arrays = rows(x), rows(Wx), rows(Wh), rows(b), rows(h0), h
    compiled().rnn_forward(counts(batch_sizes), *arrays, precision == "bfloat16")
    return h


def rnn_backward(
    dh: Array,
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    h: Array,
    batch_sizes: Sequence[int],
    *,
    precision: str,
) -> RNNGrads:
    """Go all the way back through `rnn_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    x : (P, D) float32
    h0 : (N, H) float32
    Wx : (D, H) float32
    Wh : (H, H) float32
    h : (P, H) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    RNNGrads
    """
    dx, dWx, dWh = (np.empty(a.shape, np.float32) for a in (x, Wx, Wh))
    db, dh0 = np.empty(Wh.shape[1], np.float32), np.empty(h0.shape, np.float32)
    arrays = rows(x), rows(Wx), rows(Wh), rows(h0), rows(h), rows(dh), dx, dWx, dWh, db, dh0
    compiled().rnn_backward(counts(batch_sizes), *arrays, precision == "bfloat16")
    return RNNGrads(dx, dh0, dWx, dWh, db)


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    batch_sizes: Sequence[int],
    *,
    precision: str,
) -> LSTMStates:
    """LSTM over packed sequences.

    Parameters
    ----------
    x : (P, D) float32
    h0, c0 : (N, H) float32
    Wx : (D, 4 H) float32
    Wh : (H, 4 H) float32
    b : (4 H,) float32
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    LSTMStates
    """
    P, H = len(x), h0.shape[1]
    strips = -(-H // _STRIP)
    h = np.empty((P, H), np.float32)
    gates = np.empty((strips, P, 4, _STRIP), np.float32)
    c = np.empty((strips, P, _STRIP), np.float32)
    arrays = rows(x), rows(Wx), rows(Wh), rows(b), rows(h0), rows(c0), h, gates, c
    compiled().lstm_forward(counts(batch_sizes), *arrays, precision == "bfloat16")
    return LSTMStates(h, gates, c)


def lstm_step(
    x: Array, h: Array, c: Array, Wx: Array, Wh: Array, b: Array, *, precision: str = "float32"
) -> tuple[Array, Array]:
    """One step of the LSTM, of which nothing is kept for a way back.

    Parameters
    ----------
    x : (N, D) float32
    h, c : (N, H) float32
    Wx : (D, 4 H) float32
    Wh : (H, 4 H) float32
    b : (4 H,) float32
    precision : "float32" or "bfloat16"

    Returns
    -------
    next_h, next_c : (N, H)
    """
    next_h, next_c = np.empty(h.shape, np.float32), np.empty(c.shape, np.float32)
    arrays = rows(x), rows(Wx), rows(Wh), rows(b), rows(h), rows(c), next_h, next_c
    compiled().lstm_step(*arrays, precision == "bfloat16")
    return next_h, next_c


def lstm_backward(
    dh: Array,
    dfinal_c: Array | None,
    x: Array,
    h0: Array,
    c0: Array,
    Wx: Array,
    Wh: Array,
    states: LSTMStates,
    batch_sizes: Sequence[int],
    *,
    precision: str,
) -> LSTMGrads:
    """Go all the way back through `lstm_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    dfinal_c : (N, H) float32, or None for zero
    x : (P, D) float32
    h0, c0 : (N, H) float32
    Wx : (D, 4 H) float32
    Wh : (H, 4 H) float32
    states : LSTMStates, from `lstm_forward`
    batch_sizes : T ints
    precision : "float32" or "bfloat16"

    Returns
    -------
    LSTMGrads
    """
    dx, dWx, dWh = (np.empty(a.shape, np.float32) for a in (x, Wx, Wh))
    db, dh0 = np.empty(Wh.shape[1], np.float32), np.empty(h0.shape, np.float32)
    dc0 = np.zeros(c0.shape, np.float32)
    if dfinal_c is not None:
        dc0[:] = dfinal_c
    weights = rows(x), rows(Wx), rows(Wh), rows(h0), rows(c0)
    grads = dx, dWx, dWh, db, dh0, dc0
    compiled().lstm_backward(
        counts(batch_sizes), *weights, *states, rows(dh), *grads, precision == "bfloat16"
    )
    return LSTMGrads(dx, dh0, dWx, dWh, db, dc0)
