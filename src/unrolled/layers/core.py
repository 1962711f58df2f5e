"""What is left of a cell without its products: what it does number by number, and the way back.

Every cell multiplies what comes in and what went before with weights. What it makes of the two
products tells it from the others, and is what `unrolled.layers.composed` puts cells together from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from unrolled.layers.arrays import Array

Shapes: TypeAlias = dict[str, tuple[int, ...]]


class CoreStep(NamedTuple):
    """A step that a core has made.

    Attributes
    ----------
    gates : (n, G H)
    prev, state : sequences of (n, H)
        The state before the step and after it, h first.
    kept : anything
        What else the core's forward gave for the way back.
    """

    gates: Array
    prev: Sequence[Array]
    state: Sequence[Array]
    kept: Any


class CoreBack(NamedTuple):
    """What comes back through a core.

    Attributes
    ----------
    da : (n, G H)
        Derivative by ``x Wx + b``.
    drecurrent : (n, G H)
        By what the state gave; da itself where the two are only added up.
    dprev : tuple of (n, H)
        By each member of the state before, on other ways than through drecurrent; h's may be 0.
    dweights : tuple of arrays
        By the core's own weights.
    """

    da: Array
    drecurrent: Array
    dprev: tuple[Array | float, ...]
    dweights: tuple[Array, ...] = ()


class Core(NamedTuple):
    """A cell without its products.

    Attributes
    ----------
    gates : int
        G: both products are (n, G H).
    members : int
        Of its state, each (n, H), h first.
    forward : ``(gates, recurrent, prev, *weights) -> (state, kept)``
        gates comes as ``x Wx + b`` and becomes what the gates are, in place; recurrent is what the
        state before gave, prev that state itself.
    backward : ``(dstate, step, *weights) -> CoreBack``
        step is a `CoreStep`.
    shapes : ``H -> {name: shape}``
        The weights of its own.
    apart : bool
        Whether drecurrent may be another than da.
    """

    gates: int
    members: int
    forward: Callable[..., tuple[tuple[Array, ...], Any]]
    backward: Callable[..., CoreBack]
    shapes: Callable[[int], Shapes] = lambda _: {}
    apart: bool = False
