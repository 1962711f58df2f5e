"""Cells one above the other: what a layer says is what the layer above it hears.

A stack is a cell itself, so that a model knows no difference. Every layer starts from the image.
Where the cell attends, its lowest layer does and the layers above are of the cell it names for
that, started from the mean of the locations: what was looked at goes up as part of h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from unrolled.layers.arrays import Array
from unrolled.layers.cells import Cell, State
from unrolled.layers.core import Shapes
from unrolled.layers.dropout import dropout_backward

Drop: TypeAlias = Callable[[Array], tuple[Array, Any]]


class StackCache(NamedTuple):
    """What the backward pass needs of each layer, lowest first, and of the dropout below it."""

    layers: list[Any]
    drops: list[Any]

    @property
    def alphas(self) -> Array:
        """What each location weighed, (P, L)."""
        alphas: Array = self.layers[0].alphas
        return alphas

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Sequences present at each step."""
        sizes: tuple[int, ...] = self.layers[0].batch_sizes
        return sizes


def stacked(cell: Cell, layers: int) -> Cell:
    """Put layers of a cell above each other.

    Parameters
    ----------
    cell : Cell
    layers : int
        1 or more; 1 gives the cell as it is.

    Returns
    -------
    Cell
        Weights of the second layer are called ``Wx_2`` and so on. Its state holds the highest
        layer's first, and ``forward`` takes ``drop=``, which is done to what goes up from a layer:
        `unrolled.layers.dropout_forward` with its parameters, or gives (x, None).
    """
    if layers == 1:
        return cell
    stack = _Stack([cell] + [cell.above or cell] * (layers - 1))
    return cell._replace(
        shapes=stack.shapes,
        forward=stack.forward,
        backward=stack.backward,
        start=stack.start,
        step=stack.step,
        members=sum(layer.members for layer in stack.cells),
        read=None,
    )


class _Stack:
    """The functions of a cell, over several, lowest first."""

    def __init__(self, cells: list[Cell]) -> None:
        self.cells = cells
        self.counts = [len(cell.shapes(1, 1)) for cell in cells]

    def shapes(self, D: int, H: int) -> Shapes:
        shapes = self.cells[0].shapes(D, H)
        for layer, cell in enumerate(self.cells[1:], 2):
            shapes |= {f"{name}_{layer}": shape for name, shape in cell.shapes(H, H).items()}
        return shapes

    def forward(
        self, x: Array, image: Array, *arguments: Any, tokens: Array | None = None,
        precision: str = "float32", drop: Drop = lambda x: (x, None),
    ) -> tuple[Array, StackCache]:  # fmt: skip
        *weights, batch_sizes = arguments
        cache = StackCache([], [])
        for cell, own in zip(self.cells, self._split(weights, self.counts), strict=True):
            if cache.layers:
                x, dropped = drop(x)
                cache.drops.append(dropped)
                tokens = None  # a row for each
            start = self._start_of(cell, image)
            x, kept = cell.forward(x, start, *own, batch_sizes, tokens=tokens, precision=precision)
            cache.layers.append(kept)
        return x, cache

    def backward(self, dh: Array, cache: StackCache, **dalphas: Array) -> tuple[Array, ...]:
        dweights: list[Array] = []
        dstart: Any = 0
        for cell, kept, dropped in zip(
            self.cells[:0:-1], cache.layers[:0:-1], cache.drops[::-1], strict=True
        ):
            dh, dh0, *own = cell.backward(dh, kept)
            dh = dropout_backward(dh, dropped) if dropped else dh
            dweights = [*own, *dweights]
            dstart = dstart + dh0
        dx, dimage, *own = self.cells[0].backward(dh, cache.layers[0], **dalphas)
        if self.cells[0].attends:
            dstart = (dstart / dimage.shape[1])[:, None, :]
        return dx, dimage + dstart, *own, *dweights

    def start(self, image: Array, *weights: Array) -> State:
        parts = zip(self.cells, self._split(weights, self.counts), strict=True)
        states = [cell.start(self._start_of(cell, image), *own) for cell, own in parts]
        return tuple(member for state in reversed(states) for member in state)

    def step(self, x: Array, state: State, *weights: Array) -> State:
        members = [cell.members for cell in reversed(self.cells)]
        states = reversed(self._split(state, members))
        new: State = ()
        for cell, own, before in zip(
            self.cells, self._split(weights, self.counts), states, strict=True
        ):
            after = cell.step(x, before, *own)
            x, new = after[0], (*after, *new)
        return new

    def _start_of(self, cell: Cell, image: Array) -> Array:
        """Give a layer the image: one that does not attend is started from the mean."""
        if self.cells[0].attends and not cell.attends:
            mean: Array = image.mean(axis=1)
            return mean
        return image

    @staticmethod
    def _split(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
        ends = [sum(counts[: i + 1]) for i in range(len(counts))]
        return [values[end - count : end] for end, count in zip(ends, counts, strict=True)]
