r"""Cells composed of pieces: a core, and as wanted an attention, a gate on it, and norms.

.. math::

    a_t = x_t W_x + b \qquad r_t = [h_{t-1}, z_t] [W_h; W_{attn}] \qquad
    z_t = \beta_t \textstyle\sum_l \alpha_{tl} A_l

of which the core makes the next state: the RNN's, the GRU's or the LSTM's. With layer normalisation
:math:`a_t = N(x_t W_x; g_x, b)` and :math:`r_t = N([h_{t-1}, z_t] [W_h; W_{attn}]; g_h)` (Ba et al.
2016). A cell that says what its core is has all of this; see `unrolled.layers.cells`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.attending import Scorer, looking, unlooking
from unrolled.layers.attention_gate import attention_gate_forward
from unrolled.layers.core import Core, Shapes
from unrolled.layers.layer_norm import layer_norm_forward
from unrolled.layers.memory import Memory
from unrolled.layers.product import product
from unrolled.layers.recurring import Steps, Weights, read_steps, unread_steps

_GATE, _NORMS = ("wbeta", "bbeta"), ("gx", "gh")


class ComposedCache(NamedTuple):
    """What the backward pass needs; looked is the `Looked` of a cell that attends, else None."""

    steps: Steps
    looked: Any
    scoring: tuple[Array, ...]
    gate: tuple[Array, ...]

    @property
    def alphas(self) -> Array:
        """What each location weighed, (P, L)."""
        alphas: Array = self.looked.alphas
        return alphas

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Sequences present at each step."""
        return self.steps.batch_sizes


class ComposedBack(NamedTuple):
    """Derivatives: by x, each member of the start, the locations or None, and the weights."""

    dx: Array
    dstart: tuple[Array, ...]
    dA: Array | None
    dweights: tuple[Array, ...]


class Composed:
    """What `unrolled.layers.cells.Cell` asks for, from pieces.

    Parameters
    ----------
    core : Core
    scorer : Scorer, optional
        Of the locations of an image, where the cell attends.
    gated : bool
        Whether what it attended to goes through `attention_gate_forward`.
    normed : bool
        Whether both products go through `layer_norm_forward`.
    """

    def __init__(
        self,
        core: Core,
        scorer: Scorer | None = None,
        *,
        gated: bool = False,
        normed: bool = False,
    ) -> None:
        self.core, self.scorer, self.gated, self.normed = core, scorer, gated, normed
        self._scoring = tuple(scorer.shapes(1)) if scorer else ()
        self._own, self._names = tuple(core.shapes(1)), tuple(self.shapes(1, 1))

    @property
    def members(self) -> int:
        """Of the state: the core's, and where the cell attends the images' memory."""
        return self.core.members + (self.scorer is not None)

    def shapes(self, D: int, H: int) -> Shapes:
        """Name the weights, and their shapes.

        Parameters
        ----------
        D, H : int
            Widths of the input and of the state.

        Returns
        -------
        dict of str to tuple of int
        """
        G = self.core.gates * H
        shapes: Shapes = {"Wx": (D, G), "Wh": (H, G)}
        if self.scorer is not None:
            shapes["Wattn"] = (H, G)
        shapes |= {"b": (G,), **self.core.shapes(H)}
        if self.scorer is not None:
            shapes |= self.scorer.shapes(H)
        if self.gated:
            shapes |= zip(_GATE, ((H,), (1,)), strict=True)
        if self.normed:
            shapes |= dict.fromkeys(_NORMS, (G,))
        return shapes

    def forward(
        self,
        x: Array,
        image: Array,
        *arguments: Any,
        tokens: Array | None = None,
        precision: str = "float32",
    ) -> tuple[Array, ComposedCache]:
        """Go through packed sequences from what the image starts them with.

        Parameters
        ----------
        x : (P, D) float
        image : (N, H) float, or (N, L, H) to attend to
        *arguments : array, and T ints
            The weights, and the batch sizes.
        tokens : (P,) int, optional
            The row of x that each token is, where x is (U, D).
        precision : "float32" or "bfloat16"

        Returns
        -------
        h : (P, H)
        cache : ComposedCache
        """
        *weights, batch_sizes = arguments
        start = self._start(image)
        cache = self.read(x, start, image, weights, batch_sizes, tokens=tokens, precision=precision)
        return cache.steps.states[0], cache

    def backward(
        self, dh: Array, cache: ComposedCache, *, dalphas: Array | None = None
    ) -> tuple[Array, ...]:
        """Go back through `forward`.

        Parameters
        ----------
        dh : (P, H)
        cache : ComposedCache
        dalphas : (P, L), optional
            Derivative of the loss by ``cache.alphas`` on other ways than h; zero unless given.

        Returns
        -------
        dx, dimage, *dweights
        """
        dfinal = [np.zeros_like(member) for member in cache.steps.start[1:]]
        back = self.unread(dh, dfinal, cache, dalphas=dalphas)
        dimage = back.dstart[0]  # a cell state starts from zero
        if back.dA is not None:  # or every member from the mean
            dimage = back.dA + (sum(back.dstart) / back.dA.shape[1])[:, None, :]
        return back.dx, dimage, *back.dweights

    def read(
        self,
        x: Array,
        start: Sequence[Array],
        A: Any,
        weights: Sequence[Array],
        batch_sizes: Sequence[int],
        *,
        tokens: Array | None = None,
        precision: str = "float32",
    ) -> ComposedCache:
        """Go through packed sequences from any state.

        Parameters
        ----------
        x : (P, D) float
        start : sequence of (N, H) float
        A : (N, L, H) float
            What is attended to, where something is.
        weights : sequence of array
        batch_sizes : T ints
        tokens : (P,) int, optional
        precision : "float32" or "bfloat16"

        Returns
        -------
        ComposedCache
        """
        named = self._named(weights)
        scoring, gate = _take(named, self._scoring), _take(named, _GATE if self.gated else ())
        look = looked = None
        if self.scorer is not None:
            look, looked = looking(A, sum(batch_sizes), self.scorer, scoring, gate, precision)
        steps = read_steps(
            x,
            start,
            self._products(named),
            self.core,
            batch_sizes,
            look=look,
            tokens=tokens,
            precision=precision,
        )
        return ComposedCache(steps, looked, scoring, gate)

    def unread(
        self,
        dh: Array,
        dfinal: Sequence[Array],
        cache: ComposedCache,
        *,
        dalphas: Array | None = None,
    ) -> ComposedBack:
        """Go back through `read`.

        Parameters
        ----------
        dh : (P, H)
        dfinal : sequence of (N, H)
            Derivative of the loss by the members of the final state, but for h.
        cache : ComposedCache
        dalphas : (P, L), optional

        Returns
        -------
        ComposedBack
        """
        steps, dA = cache.steps, None
        found: dict[str, Any] = {}
        if self.scorer is None:
            back = unread_steps(dh, dfinal, steps)
        else:
            unlook, finish = unlooking(
                cache.looked, steps, self.scorer, cache.scoring, cache.gate, dalphas
            )
            back = unread_steps(dh, dfinal, steps, unlook=unlook)
            dA, *dweights = finish()
            found = dict(zip((*self._scoring, *_GATE), dweights, strict=False))
        H, by = dh.shape[1], back.dweights
        found |= {"Wx": by.Wx, "b": by.b, "gx": by.gx, "gh": by.gh}
        found |= zip(self._own, by.own, strict=True)
        found["Wh"] = by.W
        if self.scorer is not None:
            found["Wh"], found["Wattn"] = by.W[:H].copy(), by.W[H:].copy()
        return ComposedBack(back.dx, back.dstart, dA, _take(found, self._names))

    def start(self, image: Array, *weights: Array) -> tuple[Any, ...]:
        """Give the state before the first word.

        Parameters
        ----------
        image : (N, H) float, or (N, L, H) to attend to
        *weights : array

        Returns
        -------
        tuple
        """
        if self.scorer is None:
            return self._start(image)
        scoring = _take(self._named(weights), self._scoring)
        return *self._start(image), Memory(self.scorer.remember(image, *scoring))

    def step(self, x: Array, state: tuple[Any, ...], *weights: Array) -> tuple[Any, ...]:
        """Read one word of each caption.

        Parameters
        ----------
        x : (N, D) float
        state : tuple
        *weights : array

        Returns
        -------
        tuple
        """
        named = self._named(weights)
        prev, memory = state[: self.core.members], state[self.core.members :]
        a, recurrent = product(x, named["Wx"]), product(prev[0], named["Wh"])
        if self.scorer is not None:
            attn = self.scorer.glance(prev[0], *memory, *_take(named, self._scoring))
            if self.gated:
                attn, _ = attention_gate_forward(prev[0], attn, *_take(named, _GATE))
            recurrent += product(attn, named["Wattn"])
        if self.normed:
            a, _ = layer_norm_forward(a, named["gx"], named["b"])
            recurrent, _ = layer_norm_forward(recurrent, named["gh"], np.zeros_like(named["gh"]))
        else:
            a += named["b"]
        after, _ = self.core.forward(a, recurrent, prev, *_take(named, self._own))
        return *after, *memory

    def _start(self, image: Array) -> tuple[Array, ...]:
        if self.scorer is not None:
            return (image.mean(axis=1),) * self.core.members
        return (image, np.zeros_like(image))[: self.core.members]

    def _named(self, weights: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(self._names, weights, strict=True))

    def _products(self, named: dict[str, Array]) -> Weights:
        W = named["Wh"]
        if self.scorer is not None:
            W = np.concatenate([W, named["Wattn"]])
        own = _take(named, self._own)
        return Weights(named["Wx"], W, named["b"], named.get("gx"), named.get("gh"), own)


def _take(named: dict[str, Array], names: Iterable[str]) -> tuple[Array, ...]:
    return tuple(named[name] for name in names)
