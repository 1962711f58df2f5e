"""Every cell step by step: a forward that keeps all there is to see, and its way back.

Training runs packed sequences, in loops that keep to themselves what passes between two steps. Here
a step is a sequence of one, from any state, through the pieces that the layers are composed of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS, Cell, variant
from unrolled.model import CaptioningRNN

GATES = {
    "rnn": (),
    "lstm": ("i", "f", "o", "g"),
    "gru": ("r", "z", "n"),
    "attention": ("i", "f", "o", "g"),
    "additive": ("i", "f", "o", "g"),
}
"""The names of each cell's gates in its layer's equations, in its order."""

_CHOICE, _GATED = (False, True), "attention_gate"
_OPTIONS = {"layer_norm": "layer norm", _GATED: "gated"}


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
        Their names, of `GATES`; none where the cell has no gates.
    cell : Cell
    """

    gates: tuple[str, ...]
    cell: Cell

    def forward(
        self, x: Array, state: Sequence[Array], A: Array | None, weights: Sequence[Array]
    ) -> Step:
        """Make a step.

        Parameters
        ----------
        x : (N, D) float
        state : sequence of (N, H) float
        A : (N, L, H) float, or None
            What stands at the image's locations, where the cell attends.
        weights : sequence of array

        Returns
        -------
        Step
        """
        cache = self.cell.pieces.read(x, state, A, weights, (len(x),))
        gates = cache.steps.gates if self.gates else None
        alphas = cache.alphas if self.cell.attends else None
        return Step(cache.steps.states, gates, alphas, cache)

    def backward(self, dstate: Sequence[Array], cache: Any) -> tuple[Array, tuple[Array, ...]]:
        """Go back through a step.

        Parameters
        ----------
        dstate : sequence of (N, H) float
            Shaped as `Step.state`.
        cache : what `Step.cache` holds

        Returns
        -------
        dx : (N, D)
        dprev_state : tuple of (N, H)
        """
        back = self.cell.pieces.unread(dstate[0], dstate[1:], cache)
        return back.dx, back.dstart


def _kind(cell_type: str, options: dict[str, bool]) -> str:
    return ", ".join([cell_type, *(said for name, said in _OPTIONS.items() if options[name])])


def _steppings() -> Iterator[tuple[str, Stepping]]:
    for (name, cell), normed, gated in itertools.product(CELLS.items(), _CHOICE, _CHOICE):
        if cell.attends or not gated:
            options = {"layer_norm": normed, _GATED: gated}
            yield _kind(name, options), Stepping(GATES[name], variant(cell, **options))


STEPS = dict(_steppings())
"""Every cell with each of its options, by a name that says them."""


def layer_kinds(model: CaptioningRNN) -> list[str]:
    """Name the cell of each layer of a model, lowest first.

    Parameters
    ----------
    model : CaptioningRNN

    Returns
    -------
    list of str
        Each one of `STEPS`.
    """
    options = {name: getattr(model, name) for name in _OPTIONS}
    above = CELLS[model.cell_type].above
    higher = next((name for name, cell in CELLS.items() if cell is above), model.cell_type)
    lowest, others = _kind(model.cell_type, options), _kind(higher, options | {_GATED: False})
    return [lowest] + [others] * (model.num_layers - 1)
