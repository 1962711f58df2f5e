"""The recurrent cells a model can be built from: one entry each, one mechanism for all.

A cell's state is a tuple whose first member is h; what else it carries (the LSTM's c) starts at
zero. Adding a cell is one file of layers and one entry in `CELLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.lstm import lstm_packed_backward, lstm_packed_forward, lstm_step_forward
from unrolled.layers.rnn import rnn_packed_backward, rnn_packed_forward, rnn_step_forward

State = tuple[Array, ...]


class Forward(Protocol):
    """A packed forward pass."""

    def __call__(
        self,
        x: Array,
        h0: Array,
        Wx: Array,
        Wh: Array,
        b: Array,
        batch_sizes: Sequence[int],
        *,
        precision: str = ...,
    ) -> tuple[Array, Any]:
        """Give the states and what the backward pass needs."""
        ...


class Cell(NamedTuple):
    """What a model asks of a recurrent cell.

    Attributes
    ----------
    gates : int
        Width of Wx, Wh and b, in units of H.
    forward : ``(x, h0, Wx, Wh, b, batch_sizes, *, precision) -> (h, cache)``, packed
    backward : ``(dh, cache) -> (dx, dh0, dWx, dWh, db)``, packed
    start : ``(h0) -> state``
    step : ``(x, state, Wx, Wh, b) -> state``
    """

    gates: int
    forward: Forward
    backward: Callable[[Array, Any], tuple[Array, Array, Array, Array, Array]]
    start: Callable[[Array], State]
    step: Callable[[Array, State, Array, Array, Array], State]


def _rnn_start(h0: Array) -> State:
    return (h0,)


def _rnn_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    return rnn_step_forward(x, state[0], Wx, Wh, b)[:1]


def _lstm_start(h0: Array) -> State:
    return h0, np.zeros_like(h0)


def _lstm_step(x: Array, state: State, Wx: Array, Wh: Array, b: Array) -> State:
    prev_h, prev_c = state
    return lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)[:2]


CELLS = {
    "rnn": Cell(1, rnn_packed_forward, rnn_packed_backward, _rnn_start, _rnn_step),
    "lstm": Cell(4, lstm_packed_forward, lstm_packed_backward, _lstm_start, _lstm_step),
}
