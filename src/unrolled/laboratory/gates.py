"""What the gates and the cell state do over the words of a caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.laboratory.cells import STEPS
from unrolled.laboratory.unrolling import unroll
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

GATES = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "g": "candidate g",
    "r": "reset gate r",
    "z": "update gate z",
    "n": "candidate n",
}
SIGNED = ("g", "n")
"""Those that a tanh keeps in [-1, 1]; the others are in [0, 1] by a sigmoid."""


class Gates(NamedTuple):
    """Activations of one layer over one caption of T steps.

    Attributes
    ----------
    cell : str
    layer : int
        1 for the lowest.
    words : tuple of T str
        The word that is read at each step.
    names : tuple of G str
        Keys of `GATES`, in the layer's order.
    gates : (G, T, H) float64
    h : (T, H) float64
        The hidden state after each step.
    c : (T, H) float64 or None
        The cell state, where there is one.
    shut, open : (G,) float64
        Share of a gate's activations in the lowest and in the highest tenth of its range, over all
        units and steps: there its gradient almost vanishes.
    """

    cell: str
    layer: int
    words: tuple[str, ...]
    names: tuple[str, ...]
    gates: Array
    h: Array
    c: Array | None
    shut: Array
    open: Array


def gate_activations(
    model: CaptioningRNN, features: Array, captions: Array, *, layer: int | None = None
) -> Gates:
    """Keep what the gates of a layer do over a caption.

    Parameters
    ----------
    model : CaptioningRNN
    features : (1, D) or (1, L, D) float
    captions : (1, T + 1) int
        Without padding.
    layer : int, optional
        1 for the lowest; the highest unless given.

    Returns
    -------
    Gates

    Raises
    ------
    InputError
        If the cell has no gates, there is no such layer, or there are several captions.
    ShapeError, DTypeError
        If features or the caption do not fit the model.

    References
    ----------
    Karpathy, Johnson & Fei-Fei (2015), "Visualizing and understanding recurrent networks",
    section 4.2, for the saturated tenths.
    """
    run = unroll(model, features, captions)
    check_one(run.counts, "gate_activations")
    layer = len(run.kinds) if layer is None else layer
    if not 1 <= layer <= len(run.kinds):
        raise InputError(
            f"gate_activations: layer must be from 1, the lowest, to {len(run.kinds)}, got {layer}"
        )
    kind = run.kinds[layer - 1]
    names = STEPS[kind].gates
    if not names:
        raise InputError(
            f"gate_activations: the cell {kind} has no gates, its h goes through a tanh alone; "
            "choose a model whose cell is lstm, gru, attention or additive"
        )
    steps = [step[layer - 1] for step in run.steps]
    side_by_side = np.array([step.gates for step in steps])[:, 0]
    gates = np.array(np.split(side_by_side, len(names), axis=1))
    states = [np.array(member)[:, 0] for member in zip(*(s.state for s in steps), strict=True)]
    low = np.array([-1.0 if name in SIGNED else 0.0 for name in names])[:, None, None]
    place = (gates - low) / (1 - low)
    return Gates(
        kind,
        layer,
        tuple(model.idx_to_word[word] for word in run.words_in[0].tolist()),
        names,
        gates,
        states[0],
        states[1] if len(states) > 1 else None,
        (place < 0.1).mean(axis=(1, 2)),
        (place > 0.9).mean(axis=(1, 2)),
    )


def most_varied(values: Array, count: int) -> Array:
    """Choose the units that vary most over the steps.

    Parameters
    ----------
    values : (T, H) float
    count : int
        H at most are chosen.

    Returns
    -------
    (count,) int
        Of the largest variance first.
    """
    chosen: Array = np.argsort(-values.var(axis=0), kind="stable")[:count]
    return chosen


def check_units(units: Sequence[int], H: int) -> Array:
    """Hold chosen units to being among those there are.

    Parameters
    ----------
    units : sequence of int
    H : int

    Returns
    -------
    (U,) int

    Raises
    ------
    InputError
        If there is none, or one lies outside ``[0, H)``.
    """
    if not units or not all(0 <= unit < H for unit in units):
        raise InputError(f"units are numbered from 0 to {H - 1}, got {list(units)}")
    return np.array(units)


def check_one(counts: Array, where: str) -> None:
    """Hold a batch to being one caption without padding.

    Parameters
    ----------
    counts : (N, T) bool
    where : str
        The function that asks, for the message.

    Raises
    ------
    InputError
        If it is not.
    """
    if len(counts) != 1 or not counts.all():
        raise InputError(f"{where}: expected one caption without padding, got {len(counts)}")
