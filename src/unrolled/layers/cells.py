"""The recurrent cells a model can be built from: one entry each, one mechanism for all.

A cell is told of its image by one array: h0 (N, H), or where it attends the image's locations
(N, L, H). Its state is a tuple whose first member is h; every member has a row for each caption and
can be indexed and repeated by rows. Adding a cell is one file of layers and one entry in `CELLS`;
with the core that it names it also has layer normalisation, and a gate on what it attends to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from unrolled import kernels
from unrolled.errors import InputError
from unrolled.layers import additive, attention_lstm, gru, lstm, normed_lstm, rnn
from unrolled.layers.additive import (
    NETWORK,
    additive_lstm_packed_backward,
    additive_lstm_packed_forward,
)
from unrolled.layers.arrays import Array
from unrolled.layers.attending import Scorer
from unrolled.layers.attention_lstm import (
    DOT_PRODUCT,
    attention_lstm_packed_backward,
    attention_lstm_packed_forward,
    attention_lstm_step_forward,
)
from unrolled.layers.composed import Composed
from unrolled.layers.core import Core, Shapes
from unrolled.layers.gru import gru_packed_backward, gru_packed_forward, gru_step_forward
from unrolled.layers.lstm import lstm_packed_backward, lstm_packed_forward, lstm_step_forward
from unrolled.layers.product import runs_compiled
from unrolled.layers.rnn import rnn_packed_backward, rnn_packed_forward, rnn_step_forward

State: TypeAlias = tuple[Any, ...]


class Cell(NamedTuple):
    """What a model asks of a recurrent cell; ``*weights`` are those of `shapes`, in its order.

    Attributes
    ----------
    shapes : ``(D, H) -> {name: shape}``
        Names that begin with b are biases and start at 0, with g gains that start at 1; others are
        weights with the fan-in first.
    forward : ``(x, image, *weights, batch_sizes, *, tokens, precision) -> (h, cache)``, packed
    backward : ``(dh, cache) -> (dx, dimage, *dweights)``, packed
        Where the cell attends, its cache has ``alphas`` and backward takes their ``dalphas=``.
    start : ``(image, *weights) -> state``
    step : ``(x, state, *weights) -> state``
    members : int
        Of its state.
    pieces : Composed
        What it is composed of, for `variant`.
    forgets : bool
        Whether ``b[H:2 * H]`` is that of a forget gate.
    above : Cell, optional
        What stands above it in a stack, where that is another cell.
    normed_core : Core, optional
        The core with layer normalisation, where that is another.
    read : ``(W_embed, *weights, *, precision) -> (words, state) -> state``, optional
        Lays out float32 weights for many compiled steps, where there are kernels for them.
    """

    shapes: Callable[[int, int], Shapes]
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., tuple[Array, ...]]
    start: Callable[..., State]
    step: Callable[..., State]
    members: int
    pieces: Composed
    forgets: bool = False
    above: Cell | None = None
    normed_core: Core | None = None
    read: Callable[..., Callable[[Array, State], State]] | None = None

    @property
    def attends(self) -> bool:
        """Whether the image is (N, L, H) locations instead of (N, H)."""
        return self.pieces.scorer is not None


def variant(cell: Cell, *, layer_norm: bool = False, attention_gate: bool = False) -> Cell:
    """Give a cell with options.

    Parameters
    ----------
    cell : Cell
    layer_norm : bool
        Normalise inside the cell (Ba et al. 2016), and in what stands above it.
    attention_gate : bool
        Gate what it attends to (Xu et al. 2015, section 4.2.1).

    Returns
    -------
    Cell
        The cell itself without options.

    Raises
    ------
    InputError
        If the cell attends to nothing that could be gated.
    """
    core, scorer = cell.pieces.core, cell.pieces.scorer
    if attention_gate and scorer is None:
        raise InputError("attention_gate: the cell attends to nothing that could be gated")
    if not (layer_norm or attention_gate):
        return cell
    if layer_norm and cell.normed_core is not None:
        core = cell.normed_core
    return _composed(
        Composed(core, scorer, gated=attention_gate, normed=layer_norm),
        forgets=cell.forgets,
        above=cell.above and variant(cell.above, layer_norm=layer_norm),
    )


def _composed(pieces: Composed, **own: Any) -> Cell:
    """Take from its pieces what a cell has not in a text of its own."""
    taken = {
        "shapes": pieces.shapes,
        "forward": pieces.forward,
        "backward": pieces.backward,
        "start": pieces.start,
        "step": pieces.step,
        "members": pieces.members,
    }
    return Cell(**{**taken, **own}, pieces=pieces)


def _rnn_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    return rnn_step_forward(x, state[0], Wx, Wh, b)[:1]


def _lstm_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    prev_h, prev_c = state
    if runs_compiled(x):
        return kernels.lstm_step(x, prev_h, prev_c, Wx, Wh, b)
    return lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[:2]


def _gru_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array, bn: Array) -> State:
    return gru_step_forward(x, state[0], Wx, Wh, b, bn)[:1]


def _attention_step(x: Array, state: State, Wx: Array, Wh: Array, Wattn: Array, b: Array) -> State:
    prev_h, prev_c, memory = state
    attn = DOT_PRODUCT.glance(prev_h, memory)
    h, c, _ = attention_lstm_step_forward(x, prev_h, prev_c, attn, Wx, Wh, Wattn, b)
    return h, c, memory


def _additive_step(x: Array, state: State, *weights: Array) -> State:
    prev_h, prev_c, memory = state
    Wx, Wh, Wattn, b, *scoring = weights
    attn = NETWORK.glance(prev_h, memory, *scoring)
    h, c, _ = attention_lstm_step_forward(x, prev_h, prev_c, attn, Wx, Wh, Wattn, b)
    return h, c, memory


def _read(
    W_embed: Array, Wx: Array, Wh: Array, b: Array, *, gates: int, precision: str
) -> Callable[[Array, State], State]:
    cell = kernels.WordCell(W_embed, Wx, Wh, b, gates=gates, precision=precision)
    return lambda words, state: cell.step(words, *state)


def _attending_read(
    W_embed: Array,
    Wx: Array,
    Wh: Array,
    Wattn: Array,
    b: Array,
    *scoring: Array,
    scorer: Scorer,
    precision: str,
) -> Callable[[Array, State], State]:
    both = np.concatenate([Wh, Wattn])
    cell = kernels.WordCell(W_embed, Wx, both, b, gates=4, precision=precision)

    def read(words: Array, state: State) -> State:
        h, c, memory = state
        attn = scorer.glance(h, memory, *scoring)
        return *cell.step(words, np.concatenate([h, attn], axis=1), c), memory

    return read


_LSTM = _composed(
    Composed(lstm.CORE),
    forward=lstm_packed_forward,
    backward=lstm_packed_backward,
    step=_lstm_step,
    forgets=True,
    normed_core=normed_lstm.CORE,
    read=partial(_read, gates=4),
)

CELLS = {
    "rnn": _composed(
        Composed(rnn.CORE),
        forward=rnn_packed_forward,
        backward=rnn_packed_backward,
        step=_rnn_step,
        read=partial(_read, gates=1),
    ),
    "lstm": _LSTM,
    "gru": _composed(
        Composed(gru.CORE), forward=gru_packed_forward, backward=gru_packed_backward, step=_gru_step
    ),
    "attention": _composed(
        attention_lstm.ATTENTION,
        forward=attention_lstm_packed_forward,
        backward=attention_lstm_packed_backward,
        step=_attention_step,
        forgets=True,
        above=_LSTM,
        normed_core=normed_lstm.CORE,
        read=partial(_attending_read, scorer=DOT_PRODUCT),
    ),
    "additive": _composed(
        additive.ADDITIVE,
        forward=additive_lstm_packed_forward,
        backward=additive_lstm_packed_backward,
        step=_additive_step,
        forgets=True,
        above=_LSTM,
        normed_core=normed_lstm.CORE,
        read=partial(_attending_read, scorer=NETWORK),
    ),
}
