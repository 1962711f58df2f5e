"""Every cell step by step: a forward that keeps all there is to see, and its way back.

Training runs packed sequences, in loops that keep to themselves what passes between two steps. Here
a step is one call of the layers' own ``*_step_forward``, and one of its ``*_step_backward``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from unrolled import layers
from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS, Cell, State

LAYER_NORM = "lstm, layer norm"
"""The LSTM with layer normalisation in it, which is no cell type of its own."""


class Step(NamedTuple):
    """One step of one layer.

    Attributes
    ----------
    state : tuple of (N, H) arrays
        h, and c where the cell has one, after the step.
    gates : (N, G H) float or None
        After their nonlinearities, side by side in the order of `Stepping.gates`.
    alphas : (N, L) float or None
        What each location weighed, where the cell attends.
    cache : what the way back needs
    """

    state: tuple[Array, ...]
    gates: Array | None
    alphas: Array | None
    cache: Any


class Stepping(NamedTuple):
    """How a cell makes a step.

    Attributes
    ----------
    gates : tuple of str
        Their names in the layer's equations, in its order; none where the cell has no gates.
    forward : ``(x, state, A, weights) -> Step``
        A, (N, L, H), is what stands at the image's locations, or None.
    backward : ``(dstate, cache) -> (dx, dprev_state)``
        dstate is shaped as `Step.state`.
    """

    gates: tuple[str, ...]
    forward: Callable[[Array, tuple[Array, ...], Array | None, Sequence[Array]], Step]
    backward: Callable[[tuple[Array, ...], Any], tuple[Array, tuple[Array, ...]]]


def _rnn(x: Array, state: State, _: Array | None, weights: Sequence[Array]) -> Step:
    h, cache = layers.rnn_step_forward(x, *state, *weights)
    return Step((h,), None, None, cache)


def _rnn_back(dstate: State, cache: Any) -> tuple[Array, tuple[Array, ...]]:
    grads = layers.rnn_step_backward(dstate[0], cache)
    return grads.dx, (grads.dprev_h,)


def _gru(x: Array, state: State, _: Array | None, weights: Sequence[Array]) -> Step:
    h, cache = layers.gru_step_forward(x, *state, *weights)
    return Step((h,), cache.gates, None, cache)


def _gru_back(dstate: State, cache: Any) -> tuple[Array, tuple[Array, ...]]:
    grads = layers.gru_step_backward(dstate[0], cache)
    return grads.dx, (grads.dprev_h,)


def _lstm(x: Array, state: State, _: Array | None, weights: Sequence[Array]) -> Step:
    h, c, cache = layers.lstm_step_forward(x, *state, *weights)
    return Step((h, c), cache.gates, None, cache)


def _lstm_back(dstate: State, cache: Any) -> tuple[Array, tuple[Array, ...]]:
    grads = layers.lstm_step_backward(dstate[0], dstate[1], cache)
    return grads.dx, (grads.dprev_h, grads.dprev_c)


def _normed(x: Array, state: State, _: Array | None, weights: Sequence[Array]) -> Step:
    h, c, cache = layers.layer_norm_lstm_step_forward(x, *state, *weights)
    return Step((h, c), cache.gates, None, cache)


def _normed_back(dstate: State, cache: Any) -> tuple[Array, tuple[Array, ...]]:
    grads = layers.layer_norm_lstm_step_backward(dstate[0], dstate[1], cache)
    return grads.dx, (grads.dprev_h, grads.dprev_c)


def _attention(x: Array, state: State, A: Any, weights: Sequence[Array]) -> Step:
    prev_h, prev_c = state
    as_image = A.swapaxes(1, 2)[..., None]  # the layer takes the assignment's (N, H, Y, X)
    attn, looked = layers.attention_forward(prev_h, as_image)
    h, c, cache = layers.attention_lstm_step_forward(x, prev_h, prev_c, attn, *weights)
    return Step((h, c), cache.gates, looked.alphas[:, :, 0], (cache, looked))


def _attention_back(dstate: State, caches: Any) -> tuple[Array, tuple[Array, ...]]:
    cache, looked = caches
    grads = layers.attention_lstm_step_backward(dstate[0], dstate[1], cache)
    by_looking = layers.attention_backward(grads.dattn, looked).dprev_h
    return grads.dx, (grads.dprev_h + by_looking, grads.dprev_c)


def _additive(x: Array, state: State, A: Any, weights: Sequence[Array]) -> Step:
    prev_h, prev_c = state
    attn, looked = layers.additive_attention_forward(prev_h, A, *weights[4:])
    h, c, cache = layers.attention_lstm_step_forward(x, prev_h, prev_c, attn, *weights[:4])
    return Step((h, c), cache.gates, looked.alphas, (cache, looked))


def _additive_back(dstate: State, caches: Any) -> tuple[Array, tuple[Array, ...]]:
    cache, looked = caches
    grads = layers.attention_lstm_step_backward(dstate[0], dstate[1], cache)
    by_looking = layers.additive_attention_backward(grads.dattn, looked).dprev_h
    return grads.dx, (grads.dprev_h + by_looking, grads.dprev_c)


_IFOG = ("i", "f", "o", "g")

STEPS = {
    "rnn": Stepping((), _rnn, _rnn_back),
    "lstm": Stepping(_IFOG, _lstm, _lstm_back),
    LAYER_NORM: Stepping(_IFOG, _normed, _normed_back),
    "gru": Stepping(("r", "z", "n"), _gru, _gru_back),
    "attention": Stepping(_IFOG, _attention, _attention_back),
    "additive": Stepping(_IFOG, _additive, _additive_back),
}


def registered(kind: str) -> Cell:
    """Give the registry's cell of a kind.

    Parameters
    ----------
    kind : str
        One of `STEPS`.

    Returns
    -------
    Cell
    """
    normed = CELLS["lstm"].normed
    return normed if kind == LAYER_NORM and normed else CELLS[kind]


def layer_kinds(cell_type: str, num_layers: int = 1, *, layer_norm: bool = False) -> list[str]:
    """Name the cell of each layer of a model, lowest first.

    Parameters
    ----------
    cell_type : str
        One of `unrolled.layers.cells.CELLS`.
    num_layers : int
    layer_norm : bool

    Returns
    -------
    list of str
        Each one of `STEPS`.
    """
    lowest = LAYER_NORM if layer_norm else cell_type
    above = CELLS[cell_type].above
    higher = next((name for name, cell in CELLS.items() if cell is above), lowest)
    return [lowest] + [higher] * (num_layers - 1)
