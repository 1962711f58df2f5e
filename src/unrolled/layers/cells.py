"""The recurrent cells a model can be built from: one entry each, one mechanism for all.

A cell is told of its image by one array: h0 (N, H), or where it attends the image's locations
(N, L, H). Its state is a tuple whose first member is h; every member has a row for each caption and
can be indexed and repeated by rows. Adding a cell is one file of layers and one entry in `CELLS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from unrolled import kernels
from unrolled.layers.additive import additive_lstm_packed_backward, additive_lstm_packed_forward
from unrolled.layers.arrays import Array
from unrolled.layers.attention import scale_of, softmax
from unrolled.layers.attention_lstm import (
    attention_lstm_packed_backward,
    attention_lstm_packed_forward,
    attention_lstm_step_forward,
)
from unrolled.layers.gru import gru_packed_backward, gru_packed_forward, gru_step_forward
from unrolled.layers.layer_norm_lstm import (
    layer_norm_lstm_packed_backward,
    layer_norm_lstm_packed_forward,
    layer_norm_lstm_step_forward,
)
from unrolled.layers.lstm import lstm_packed_backward, lstm_packed_forward, lstm_step_forward
from unrolled.layers.memory import Memory
from unrolled.layers.product import steps_compiled
from unrolled.layers.rnn import rnn_packed_backward, rnn_packed_forward, rnn_step_forward

State: TypeAlias = tuple[Any, ...]
Shapes: TypeAlias = dict[str, tuple[int, ...]]


class Cell(NamedTuple):
    """What a model asks of a recurrent cell; ``*weights`` are those of `shapes`, in its order.

    Attributes
    ----------
    shapes : ``(D, H) -> {name: shape}``
        Names that begin with b are biases and start at 0, with g gains that start at 1; others are
        weights with the fan-in first.
    forward : ``(x, image, *weights, batch_sizes, *, precision) -> (h, cache)``, packed
    backward : ``(dh, cache) -> (dx, dimage, *dweights)``, packed
        Where the cell attends, its cache has ``alphas`` and backward takes their ``dalphas=``.
    start : ``(image, *weights) -> state``
    step : ``(x, state, *weights) -> state``
    members : int
        Of its state.
    attends : bool
        Whether the image is (N, L, H) locations instead of (N, H).
    forgets : bool
        Whether ``b[H:2 * H]`` is that of a forget gate.
    above : Cell, optional
        What stands above it in a stack, where that is another cell.
    normed : Cell, optional
        The same with layer normalisation in it, where there is such.
    read : ``(W_embed, *weights, *, precision) -> (words, state) -> state``, optional
        Lays out float32 weights for many compiled steps, where there are kernels for them.
    """

    shapes: Callable[[int, int], Shapes]
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., tuple[Array, ...]]
    start: Callable[..., State]
    step: Callable[..., State]
    members: int
    attends: bool = False
    forgets: bool = False
    above: Cell | None = None
    normed: Cell | None = None
    read: Callable[..., Callable[[Array, State], State]] | None = None


def _rnn_shapes(D: int, H: int) -> Shapes:
    return {"Wx": (D, H), "Wh": (H, H), "b": (H,)}


def _only_h(h0: Array, *_: Array) -> State:
    return (h0,)


def _rnn_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    return rnn_step_forward(x, state[0], Wx, Wh, b)[:1]


def _read(
    W_embed: Array, Wx: Array, Wh: Array, b: Array, *, precision: str
) -> Callable[[Array, State], State]:
    cell = kernels.WordCell(W_embed, Wx, Wh, b, precision=precision)
    return lambda words, state: cell.step(words, *state)


def _lstm_shapes(D: int, H: int) -> Shapes:
    return {"Wx": (D, 4 * H), "Wh": (H, 4 * H), "b": (4 * H,)}


def _lstm_start(h0: Array, *_: Array) -> State:
    return h0, np.zeros_like(h0)


def _lstm_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    prev_h, prev_c = state
    if steps_compiled(x):
        return kernels.lstm_step(x, prev_h, prev_c, Wx, Wh, b)
    return lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[:2]


def _gru_shapes(D: int, H: int) -> Shapes:
    return {"Wx": (D, 3 * H), "Wh": (H, 3 * H), "b": (3 * H,), "bn": (H,)}


def _gru_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array, bn: Array) -> State:
    return gru_step_forward(x, state[0], Wx, Wh, b, bn)[:1]


def _attention_shapes(D: int, H: int) -> Shapes:
    return {"Wx": (D, 4 * H), "Wh": (H, 4 * H), "Wattn": (H, 4 * H), "b": (4 * H,)}


def _attention_start(A: Array, *_: Array) -> State:
    mean = A.mean(axis=1)
    return mean, mean, Memory((A,))


def _attention_step(x: Array, state: State, Wx: Array, Wh: Array, Wattn: Array, b: Array) -> State:
    prev_h, prev_c, memory = state
    (A,) = memory.parts
    alphas = softmax(memory.by_image(prev_h) @ A.swapaxes(1, 2) * scale_of(A))
    attn = memory.by_caption(alphas @ A)
    h, c, _ = attention_lstm_step_forward(x, prev_h, prev_c, attn, Wx, Wh, Wattn, b)
    return h, c, memory


def _additive_shapes(D: int, H: int) -> Shapes:
    return {**_attention_shapes(D, H), "Wa": (H, H), "Ua": (H, H), "wa": (H,)}


def _additive_start(A: Array, *weights: Array) -> State:
    mean, Wa = A.mean(axis=1), weights[4]
    return mean, mean, Memory((A, A @ Wa))


def _additive_step(x: Array, state: State, *weights: Array) -> State:
    prev_h, prev_c, memory = state
    Wx, Wh, Wattn, b, _, Ua, wa = weights
    A, keys = memory.parts
    queries = memory.by_image(prev_h @ Ua)[:, :, None]
    alphas = softmax(np.tanh(keys[:, None] + queries) @ wa)
    attn = memory.by_caption(alphas @ A)
    h, c, _ = attention_lstm_step_forward(x, prev_h, prev_c, attn, Wx, Wh, Wattn, b)
    return h, c, memory


def _normed_shapes(D: int, H: int) -> Shapes:
    gains = {"gx": (4 * H,), "gh": (4 * H,), "gc": (H,), "bc": (H,)}
    return {**_lstm_shapes(D, H), **gains}


def _normed_step(x: Array, state: State, *weights: Array) -> State:
    return layer_norm_lstm_step_forward(x, *state, *weights)[:2]


_NORMED_LSTM = Cell(
    _normed_shapes,
    layer_norm_lstm_packed_forward,
    layer_norm_lstm_packed_backward,
    _lstm_start,
    _normed_step,
    members=2,
    forgets=True,
)

_LSTM = Cell(
    _lstm_shapes,
    lstm_packed_forward,
    lstm_packed_backward,
    _lstm_start,
    _lstm_step,
    members=2,
    forgets=True,
    normed=_NORMED_LSTM,
    read=_read,
)

CELLS = {
    "rnn": Cell(
        _rnn_shapes,
        rnn_packed_forward,
        rnn_packed_backward,
        _only_h,
        _rnn_step,
        members=1,
        read=_read,
    ),
    "lstm": _LSTM,
    "gru": Cell(_gru_shapes, gru_packed_forward, gru_packed_backward, _only_h, _gru_step, 1),
    "attention": Cell(
        _attention_shapes,
        attention_lstm_packed_forward,
        attention_lstm_packed_backward,
        _attention_start,
        _attention_step,
        members=3,
        attends=True,
        forgets=True,
        above=_LSTM,
    ),
    "additive": Cell(
        _additive_shapes,
        additive_lstm_packed_forward,
        additive_lstm_packed_backward,
        _additive_start,
        _additive_step,
        members=3,
        attends=True,
        forgets=True,
        above=_LSTM,
    ),
}
