"""The compiled twins of the packed layers, whole; see `unrolled.layers.rnn` and `.lstm`.

What the LSTM's way back needs, the kernels keep by strips of 16 hidden columns, so that what a step
touches follows each other in memory: gates (S, P, 4, 16) and c (S, P, 16), where S strips make up
the width H, the last one filled up. `unstripped` lays such an array out as the layers have it.

The way back multiplies by the weights' transposes. The way forward, which reads the weights anyway,
leaves these behind in the kernels' own layout: ``turned``, an array of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import counts, integers, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]

_STRIP, _LINE = 16, 64  # hidden columns; bytes of a line of the CPU's cache


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


class RNNStates(NamedTuple):
    """The states (P, H), and the weights for the way back."""

    h: Array
    turned: Array


class LSTMStates(NamedTuple):
    """The states (P, H), by strips the gates and cell states, and the weights for the way back."""

    h: Array
    gates: Array
    c: Array
    turned: Array


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
    tokens: Array | None,
    *,
    precision: str,
) -> RNNStates:
    """Tanh recurrence over packed sequences.

    Parameters
    ----------
    x : (P, D) float32, or (U, D) with tokens
    h0 : (N, H) float32
    Wx : (D, H) float32
    Wh : (H, H) float32
    b : (H,) float32
    batch_sizes : T ints
    tokens : (P,) int, or None
        The row of x that each token is.
    precision : "float32" or "bfloat16"

    Returns
    -------
    RNNStates
    """
    h = np.empty((len(x if tokens is None else tokens), h0.shape[1]), np.float32)
    room = _room(Wx.shape[0], h0.shape[1], lstm=False, precision=precision)
    arrays = rows(x), rows(Wx), rows(Wh), rows(b), rows(h0), h, room
    layout = _layout(batch_sizes, tokens)
    begin = compiled().rnn_forward(*layout, *arrays, precision == "bfloat16")
    return RNNStates(h, room[begin : begin + len(room) - _LINE])


def rnn_backward(
    dh: Array,
    x: Array,
    h0: Array,
    states: RNNStates,
    batch_sizes: Sequence[int],
    tokens: Array | None,
    *,
    precision: str,
) -> RNNGrads:
    """Go all the way back through `rnn_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    x : (P, D) float32, or (U, D)
    h0 : (N, H) float32
    states : RNNStates, from `rnn_forward`
    batch_sizes : T ints
    tokens : (P,) int, or None
    precision : "float32" or "bfloat16"

    Returns
    -------
    RNNGrads
    """
    grads = _room_for_grads(x, h0, gates=1)
    arrays = rows(x), rows(h0), *states, rows(dh)
    layout = _layout(batch_sizes, tokens)
    compiled().rnn_backward(*layout, *arrays, *grads, precision == "bfloat16")
    dx, dWx, dWh, db, dh0 = grads
    return RNNGrads(dx, dh0, dWx, dWh, db)


def lstm_forward(
    x: Array,
    h0: Array,
    c0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    batch_sizes: Sequence[int],
    tokens: Array | None,
    *,
    precision: str,
) -> LSTMStates:
    """LSTM over packed sequences.

    Parameters
    ----------
    x : (P, D) float32, or (U, D) with tokens
    h0, c0 : (N, H) float32
    Wx : (D, 4 H) float32
    Wh : (H, 4 H) float32
    b : (4 H,) float32
    batch_sizes : T ints
    tokens : (P,) int, or None
        The row of x that each token is.
    precision : "float32" or "bfloat16"

    Returns
    -------
    LSTMStates
    """
    P, H = len(x if tokens is None else tokens), h0.shape[1]
    strips = -(-H // _STRIP)
    h = np.empty((P, H), np.float32)
    gates = np.empty((strips, P, 4, _STRIP), np.float32)
    c = np.empty((strips, P, _STRIP), np.float32)
    room = _room(Wx.shape[0], H, lstm=True, precision=precision)
    arrays = rows(x), rows(Wx), rows(Wh), rows(b), rows(h0), rows(c0), h, gates, c, room
    layout = _layout(batch_sizes, tokens)
    begin = compiled().lstm_forward(*layout, *arrays, precision == "bfloat16")
    return LSTMStates(h, gates, c, room[begin : begin + len(room) - _LINE])


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
    states: LSTMStates,
    batch_sizes: Sequence[int],
    tokens: Array | None,
    *,
    precision: str,
) -> LSTMGrads:
    """Go all the way back through `lstm_forward`.

    Parameters
    ----------
    dh : (P, H) float32
    dfinal_c : (N, H) float32, or None for zero
    x : (P, D) float32, or (U, D)
    h0, c0 : (N, H) float32
    states : LSTMStates, from `lstm_forward`
    batch_sizes : T ints
    tokens : (P,) int, or None
    precision : "float32" or "bfloat16"

    Returns
    -------
    LSTMGrads
    """
    dc0 = np.zeros(c0.shape, np.float32)
    if dfinal_c is not None:
        dc0[:] = dfinal_c
    grads = _room_for_grads(x, h0, gates=4)
    arrays = rows(x), rows(h0), rows(c0), *states, rows(dh)
    layout = _layout(batch_sizes, tokens)
    compiled().lstm_backward(*layout, *arrays, *grads, dc0, precision == "bfloat16")
    dx, dWx, dWh, db, dh0 = grads
    return LSTMGrads(dx, dh0, dWx, dWh, db, dc0)


def _layout(batch_sizes: Sequence[int], tokens: Array | None) -> tuple[Array, Array | None]:
    """Give what the kernels call sizes and words."""
    return counts(batch_sizes), None if tokens is None else integers(tokens)


def _room(D: int, H: int, *, lstm: bool, precision: str) -> Array:
    """Give bytes for the turned weights and a line of the cache, to begin with a whole one."""
    size = compiled().turned_bytes(D, H, lstm, precision == "bfloat16")
    return np.empty(size + _LINE, np.uint8)


def _room_for_grads(x: Array, h0: Array, gates: int) -> tuple[Array, ...]:
    """Give dx, dWx, dWh, db and dh0, not filled."""
    D, (N, H) = x.shape[1], h0.shape
    shapes = x.shape, (D, gates * H), (H, gates * H), (gates * H,), (N, H)
    return tuple(np.empty(shape, np.float32) for shape in shapes)
