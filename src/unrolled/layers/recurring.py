r"""The time loop of the cells that attend or normalise, over packed sequences.

.. math:: a_t = x_t W_x + b \qquad r_t = [h_{t-1}, v_t] W \qquad s_t = core(a_t, r_t, s_{t-1})

What stands beside :math:`h_{t-1}` is looked at anew at each step, or there is nothing. With layer
normalisation both products are normalised, :math:`a_t = N(x_t W_x; g_x, b)` before the loop and
:math:`r_t = N([h_{t-1}, v_t] W; g_h)` in it. The plain RNN, LSTM and GRU have loops of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.core import Core, CoreStep
from unrolled.layers.embedding import add_up
from unrolled.layers.layer_norm import LayerNormCache, layer_norm_backward, layer_norm_forward
from unrolled.layers.packing import last_states, step_slices
from unrolled.layers.product import product

Look: TypeAlias = Callable[[slice, Array], Array]


class Weights(NamedTuple):
    """What every step multiplies by; ``W`` is Wh, above Wattn where something is looked at.

    ``gx`` and ``gh`` are the gains of the norms where there are such, ``own`` the core's weights.
    """

    Wx: Array
    W: Array
    b: Array
    gx: Array | None
    gh: Array | None
    own: tuple[Array, ...]


class Steps(NamedTuple):
    """What `unread_steps` needs; packed, one row per token, but for start and weights.

    Attributes
    ----------
    x : (P, D), or (U, D)
    tokens : (P,) int, or None
        The row of x that each token is.
    start : tuple of (N, H)
        The state before the first step.
    weights : Weights
    gates : (P, G H)
    seen : (P, H) or (P, 2 H)
        What W was multiplied with: h, and what was looked at.
    states : tuple of (P, H)
        The state after each step.
    kept : list of T
        What the core kept of each step.
    norm_of_x, norms : LayerNormCache and a list of T of them, or None
        The first is of the rows of x.
    core : Core
    batch_sizes : tuple of T ints
    precision : str
    """

    x: Array
    tokens: Array | None
    start: tuple[Array, ...]
    weights: Weights
    gates: Array
    seen: Array
    states: tuple[Array, ...]
    kept: list[Any]
    norm_of_x: LayerNormCache | None
    norms: list[LayerNormCache | None]
    core: Core
    batch_sizes: tuple[int, ...]
    precision: str

    @property
    def final(self) -> tuple[Array, ...]:
        """State after the last token of each sequence, each member (N, H)."""
        both = zip(self.states, self.start, strict=True)
        return tuple(last_states(after, start, self.batch_sizes) for after, start in both)

    @property
    def prev_h(self) -> Array:
        """Hidden state before each token, (P, H)."""
        return self.seen[:, : self.start[0].shape[1]]


class StepsBack(NamedTuple):
    """Derivatives: by x, by each member of the start, and by each of the weights."""

    dx: Array
    dstart: tuple[Array, ...]
    dweights: Weights


def read_steps(
    x: Array,
    start: Sequence[Array],
    weights: Weights,
    core: Core,
    batch_sizes: Sequence[int],
    *,
    look: Look | None = None,
    tokens: Array | None = None,
    precision: str = "float32",
) -> Steps:
    """Go through the steps.

    Parameters
    ----------
    x : (P, D) float, or (U, D) with tokens
    start : sequence of (N, H) float
        The state before the first step.
    weights : Weights
    core : Core
    batch_sizes : T ints
    look : callable, optional
        Takes the packed rows of a step and its h, (n, H); returns what stands beside it, (n, H).
    tokens : (P,) int, optional
        The row of x that each token is.
    precision : "float32" or "bfloat16"

    Returns
    -------
    Steps
    """
    batch_sizes = tuple(map(int, batch_sizes))
    Wx, W, b, gx, gh, own = weights
    H = start[0].shape[1]
    gates, norm_of_x = _weigh(x, Wx, b, gx, precision)
    gates = gates if tokens is None else gates[tokens]
    P = len(gates)
    seen = np.empty((P, len(W)), x.dtype)
    states = tuple(np.empty((P, H), x.dtype) for _ in start)
    kept, norms, prev = [], [], list(start)
    for rows in step_slices(batch_sizes):
        prev = [member[: rows.stop - rows.start] for member in prev]
        seen[rows, :H] = prev[0]
        if look is not None:
            seen[rows, H:] = look(rows, prev[0])
        recurrent, norm = _weigh(seen[rows], W, None, gh, precision)
        after, keep = core.forward(gates[rows], recurrent, prev, *own)
        for member, new in zip(states, after, strict=True):
            member[rows] = new
        prev = [member[rows] for member in states]
        kept.append(keep)
        norms.append(norm)
    return Steps(
        x, tokens, tuple(start), weights, gates, seen, states, kept, norm_of_x, norms, core,
        batch_sizes, precision,
    )  # fmt: skip


def unread_steps(
    dh: Array, dfinal: Sequence[Array], steps: Steps, *, unlook: Look | None = None
) -> StepsBack:
    """Go back through the steps of `read_steps`.

    Parameters
    ----------
    dh : (P, H)
        Derivative of the loss by each h where it left the recurrence.
    dfinal : sequence of (N, H)
        By the members of the final state, but for h.
    steps : Steps
    unlook : callable, optional
        Takes the packed rows of a step and the derivative by what was looked at, (n, H); returns
        that by the h that it was looked at with.

    Returns
    -------
    StepsBack
    """
    gates, core, precision = steps.gates, steps.core, steps.precision
    Wx, W, _, _, gh, own = steps.weights
    H, slices = dh.shape[1], [*step_slices(steps.batch_sizes)]
    da = np.empty_like(gates)
    dproducts = np.empty_like(gates) if core.apart or gh is not None else da
    dprev = [np.zeros_like(steps.start[0]), *(member.copy() for member in dfinal)]
    dgh = None if gh is None else np.zeros_like(gh)
    down = tuple(np.zeros_like(w) for w in own)
    for t in reversed(range(len(slices))):
        rows, n = slices[t], steps.batch_sizes[t]
        before = [s[slices[t - 1]][:n] for s in steps.states] if t else [s[:n] for s in steps.start]
        after = [member[rows] for member in steps.states]
        dstate = [dprev[0][:n] + dh[rows], *(member[:n] for member in dprev[1:])]
        step = CoreStep(gates[rows], before, after, steps.kept[t])
        back = core.backward(dstate, step, *own)
        da[rows] = back.da
        dproducts[rows], dg = _unweigh(back.drecurrent, steps.norms[t])
        dseen = product(dproducts[rows], W.T, precision=precision)
        dprev_h = dseen[:, :H] + back.dprev[0]
        if unlook is not None:
            dprev_h += unlook(rows, dseen[:, H:])
        for member, d in zip(dprev, (dprev_h, *back.dprev[1:]), strict=True):
            member[:n] = d
        for total, more in zip((dgh, *down), (dg, *back.dweights), strict=True):
            if total is not None:
                total += more
    dread = da if steps.tokens is None else add_up(da, steps.tokens, len(steps.x))
    dinput, dgx = _unweigh(dread, steps.norm_of_x)
    dx = product(dinput, Wx.T, precision=precision)
    dWx = product(steps.x.T, dinput, precision=precision)
    dW = product(steps.seen.T, dproducts, precision=precision)
    return StepsBack(dx, tuple(dprev), Weights(dWx, dW, da.sum(axis=0), dgx, dgh, down))


def _weigh(
    x: Array, W: Array, b: Array | None, g: Array | None, precision: str
) -> tuple[Array, LayerNormCache | None]:
    """Give x W + b; or, with a gain, the layer norm of x W."""
    if g is None:
        return product(x, W, b, precision=precision), None
    shift = np.zeros_like(g) if b is None else b
    return layer_norm_forward(product(x, W, precision=precision), g, shift)


def _unweigh(dout: Array, norm: LayerNormCache | None) -> tuple[Array, Array | None]:
    """Go back through `_weigh`: the derivatives by the product and by the gain."""
    if norm is None:
        return dout, None
    dproduct, dg, _ = layer_norm_backward(dout, norm)
    return dproduct, dg
