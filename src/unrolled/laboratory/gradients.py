r"""How much of the gradient reaches each time step, on its way back through the steps.

With :math:`s_t` the state that a step hands to the next, h and for an LSTM also c,

.. math:: \frac{\partial L}{\partial s_t} = \frac{\partial L}{\partial s_T}
    \prod_{k=t+1}^{T} \frac{\partial s_k}{\partial s_{k-1}}

shrinks or grows with every factor (Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013).
All of it comes from the layers' own ``*_step_backward``, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.laboratory.cells import STEPS
from unrolled.laboratory.unrolling import Unrolled, in_float64, named, unroll, vocab_weights
from unrolled.layers import softmax_loss
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

LOSSES = ("last", "all")
"""Whose gradient: of the last word alone, which shows what a long way leaves, or of every word."""


class GradientNorms(NamedTuple):
    """Norms of the gradient of each caption's loss by the states, in nats a unit of the state.

    NaN stands where a caption has ended.

    Attributes
    ----------
    name : str
        Of the model.
    cell : str
    loss : str
        One of `LOSSES`.
    lengths : (N,) int
        Steps of each caption.
    h : (Y, N, T) float64
        By the hidden state of each layer, lowest first, that a step hands to the next; of the
        highest also by the step's own word.
    c : (Y, N, T) float64 or None
        By the cell state that a step hands to the next, where the cell has one.
    """

    name: str
    cell: str
    loss: str
    lengths: Array
    h: Array
    c: Array | None

    @property
    def state(self) -> Array:
        """Norm of the gradient by all that a step hands to the next, (N, T)."""
        squares: Array = (self.h**2).sum(axis=0)
        if self.c is not None:
            squares = squares + (self.c**2).sum(axis=0)
        return squares**0.5

    @property
    def by_distance(self) -> Array:
        """The state's norms by how many steps before the last word they are, (N, T)."""
        N, T = self.state.shape
        back = np.full((N, T), np.nan)
        for row, norms, length in zip(back, self.state, self.lengths, strict=True):
            row[:length] = norms[:length][::-1]
        return back

    @property
    def relative(self) -> Array:
        """The same, as a share of what entered at the last word, (N, T)."""
        back = self.by_distance
        return np.divide(back, back[:, :1], out=np.full_like(back, np.nan), where=back[:, :1] > 0)


class RadiusNorms(NamedTuple):
    """Norms of the gradient when the recurrent weights are scaled.

    Attributes
    ----------
    name : str
    cell : str
    own : float
        Spectral radius of the model's own Wh; the largest over layers.
    radii : (R,) float64
        Spectral radii that Wh was scaled to, in every layer.
    relative : (R, N, T) float64
        `GradientNorms.relative` for each.
    """

    name: str
    cell: str
    own: float
    radii: Array
    relative: Array


def gradient_norms(
    model: CaptioningRNN,
    features: Array,
    captions: Array,
    *,
    loss: str = "last",
    name: str | None = None,
) -> GradientNorms:
    r"""Measure the gradient that reaches each step, :math:`\|\partial L_n / \partial s_{nt}\|_2`.

    L is each caption's own loss, in nats: that of its last word, or the sum over all its words.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, D) or (N, L, D) float
    captions : (N, T + 1) int
    loss : "last" or "all"
    name : str, optional
        The cell's unless given.

    Returns
    -------
    GradientNorms

    Raises
    ------
    InputError
        If there is no such loss, or a word lies outside the vocabulary.
    ShapeError, DTypeError
        If features or captions do not fit the model.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    section 2; Hochreiter & Schmidhuber (1997), section 3, for the cell state's way.
    """
    if loss not in LOSSES:
        raise InputError(f"gradient_norms: loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    run = unroll(model, features, captions)
    N, T = run.counts.shape
    Y, members = len(run.kinds), len(run.steps[0][0].state)
    norms = np.full((members, Y, N, T), np.nan)
    for t, layer, dstate in state_gradients(run, loss):
        for member, gradient in enumerate(dstate):
            norm = np.linalg.norm(gradient, axis=1)
            norms[member, layer, :, t] = np.where(run.counts[:, t], norm, np.nan)
    c = norms[1] if members > 1 else None
    return GradientNorms(name or model.cell_type, model.cell_type, loss, run.lengths, norms[0], c)


def state_gradients(run: Unrolled, loss: str) -> Iterator[tuple[int, int, tuple[Array, ...]]]:
    """Go back through the steps, and tell what reaches each state.

    Parameters
    ----------
    run : Unrolled
    loss : "last" or "all"

    Yields
    ------
    t, layer : int
        The last step first, and in it the highest layer.
    dstate : tuple of (N, H) arrays
        Derivative of each caption's loss by what the step hands to the next, h and c, each with all
        else that it hands on held fixed: what reaches c by way of this step's own h is in dh, and
        what reaches a layer by way of the one above it in the same step is in that one's.
    """
    carried = [tuple(np.zeros_like(each) for each in step.state) for step in run.steps[-1]]
    dabove: Any  # what reaches a layer's h from the layer above it, in the same step
    for t in range(len(run.steps) - 1, -1, -1):
        dh, *dc = carried[-1]
        carried[-1] = (dh + _loss_gradient(run, t, loss), *dc)
        dabove = 0.0
        for layer in range(len(run.kinds) - 1, -1, -1):
            yield t, layer, carried[layer]
            dh, *dc = carried[layer]
            back = STEPS[run.kinds[layer]].backward
            dabove, carried[layer] = back((dh + dabove, *dc), run.steps[t][layer].cache)


def _loss_gradient(run: Unrolled, t: int, loss: str) -> Array:
    """Give the derivative of each caption's loss by the highest h, as it enters at a step."""
    counted = run.counts[:, t] if loss == "all" else run.lengths == t + 1
    dh = np.zeros_like(run.steps[t][-1].state[0])
    if counted.any():
        weights = np.ones(int(counted.sum()))
        dscores = softmax_loss(run.scores(t)[counted], run.words_out[counted, t], weights).dx
        dh[counted] = dscores @ vocab_weights(run.model).T
    return dh


def spectral_radius(Wh: Array) -> float:
    r"""Largest absolute eigenvalue of the recurrent weights, :math:`\max_i |\lambda_i(W_h)|`.

    Where gates stand side by side in Wh, the largest over the gates' own square matrices.

    Parameters
    ----------
    Wh : (H, G H) float

    Returns
    -------
    float

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), section 2.1.
    """
    blocks = np.split(np.asarray(Wh, np.float64), Wh.shape[1] // Wh.shape[0], axis=1)
    return max(float(np.abs(np.linalg.eigvals(block)).max()) for block in blocks)


def gradient_by_radius(
    model: CaptioningRNN,
    features: Array,
    captions: Array,
    radii: Sequence[float],
    *,
    name: str | None = None,
) -> RadiusNorms:
    """Measure the gradient of the last word as Wh is scaled to other spectral radii.

    Every layer's Wh is multiplied as a whole; nothing else is changed.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, D) or (N, L, D) float
    captions : (N, T + 1) int
    radii : sequence of R float
        Above 0.
    name : str, optional

    Returns
    -------
    RadiusNorms

    Raises
    ------
    InputError
        If a radius is not above 0, or Wh is nilpotent and cannot be scaled.
    ShapeError, DTypeError
        If features or captions do not fit the model.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), section 2.1.
    """
    if not all(0 < radius < np.inf for radius in radii):
        raise InputError(f"gradient_by_radius: radii must be above 0, got {list(radii)}")
    names = [named("Wh", layer) for layer in range(model.num_layers)]
    own = {name: spectral_radius(model.params[name]) for name in names}
    if not all(own.values()):
        raise InputError("gradient_by_radius: Wh has a spectral radius of 0 and cannot be scaled")
    scaled = in_float64(model)
    weights = {name: scaled.params[name] for name in names}
    found = []
    for radius in radii:
        scaled.params |= {name: W * (radius / own[name]) for name, W in weights.items()}
        found.append(gradient_norms(scaled, features, captions).relative)
    return RadiusNorms(
        name or model.cell_type,
        model.cell_type,
        max(own.values()),
        np.array(radii),
        np.array(found),
    )
