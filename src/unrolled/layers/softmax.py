"""The masked softmax loss over words, at every time step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.errors import DTypeError, InputError
from unrolled.layers.arrays import Array, check_floats, check_ids, check_shapes


class SoftmaxLoss(NamedTuple):
    """A loss in nats, and its gradient shaped as the scores."""

    loss: np.floating
    dx: Array


def temporal_softmax_loss(x: Array, y: Array, mask: Array, verbose: bool = False) -> SoftmaxLoss:
    r"""Softmax loss summed over time and divided by N only.

    .. math:: L = -\frac{1}{N} \sum_{n,t} m_{nt} \log p_{nt, y_{nt}}
        \qquad dx_{ntv} = \frac{m_{nt}}{N} (p_{ntv} - [v = y_{nt}])

    The assignment divides by N, so the loss grows with the captions' length; common practice
    divides by the number of tokens, :math:`\sum m`. Positions whose mask is zero are not computed.

    A mask of numbers is a weight per token, of either sign. With the advantage of the caption that
    a word was drawn in, dx is the policy gradient of self-critical training (Rennie et al. 2017,
    equation 9).

    Parameters
    ----------
    x : (N, T, V) float
        Scores (logits) of the words.
    y : (N, T) int
        The true words; anything where the mask is zero.
    mask : (N, T) bool or number
        Which positions count, or what each weighs.
    verbose : bool
        Print the shape of dx, as the assignment does.

    Returns
    -------
    loss : scalar of x's dtype
        Nats per item of the batch.
    dx : (N, T, V), dtype of x

    Raises
    ------
    ShapeError
        If N or T do not match.
    DTypeError
        If x is not floating point, y holds no integers, or mask is neither bool nor a number.
    InputError
        If a word that counts lies outside the vocabulary.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.2.2.3.
    """
    where = "temporal_softmax_loss"
    size = check_shapes(where, x=(x, "N T V"), y=(y, "N T"), mask=(mask, "N T"))
    check_floats(where, x=x)
    if mask.dtype.kind not in "biuf":
        raise DTypeError(f"{where}: mask must be bool or a number, got {mask.dtype}")
    counted = mask != 0
    words = y[counted]
    check_ids(where, words, size["V"], name="y")
    weights = mask[counted].astype(x.dtype) / x.dtype.type(max(size["N"], 1))
    loss, drows = softmax_loss(x[counted], words, weights)
    dx = np.zeros(x.shape, x.dtype)
    dx[counted] = drows
    if verbose:
        print("dx: ", dx.shape)  # noqa: T201 - the assignment's own output
    return SoftmaxLoss(loss, dx)


def softmax_loss(x: Array, y: Array, weights: Array, *, smoothing: float = 0.0) -> SoftmaxLoss:
    r"""Weighted softmax loss of P rows, :math:`L = -\sum_p w_p \sum_v q_{pv} \log p_{pv}`.

    The target q is the true word, :math:`q_{pv} = [v = y_p]`; smoothed by :math:`\epsilon`, it is
    :math:`q_{pv} = (1 - \epsilon) [v = y_p] + \epsilon / V`, so that the scores need not grow
    without end. The derivative is :math:`dx_{pv} = w_p (p_{pv} - q_{pv})`.

    The largest score of a row is taken off before the exponential, so that scores of any size
    neither overflow nor lose the loss.

    Parameters
    ----------
    x : (P, V) float
        Scores (logits).
    y : (P,) int
    weights : (P,) float
    smoothing : float in [0, 1)
        :math:`\epsilon`, the part of the target that is spread evenly over all V words.

    Returns
    -------
    loss : scalar of x's dtype
        Nats.
    dx : (P, V), dtype of x

    Raises
    ------
    ShapeError
        If P does not match.
    DTypeError
        If x and weights are not of one floating-point dtype, or y holds no integers.
    InputError
        If a word lies outside the vocabulary, or smoothing is out of range.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), sections 4.1 and 6.2.2.3; Szegedy et al. (2016),
    section 7, for the smoothing.
    """
    where = "softmax_loss"
    check_floats(where, x=x, weights=weights)
    size = check_shapes(where, x=(x, "P V"), y=(y, "P"), weights=(weights, "P"))
    check_ids(where, y, size["V"], name="y")
    check_smoothing(where, smoothing)
    if size["P"] == 0:
        return SoftmaxLoss(x.dtype.type(0), np.zeros_like(x))
    if size["V"] == 0:
        raise InputError(f"{where}: the vocabulary is empty, x has shape {x.shape}")
    picked = np.arange(size["P"]), y
    dx = x - x.max(axis=1, keepdims=True)
    target = dx[picked]
    if smoothing:
        target = (1 - smoothing) * target + smoothing * dx.mean(axis=1)
    np.exp(dx, out=dx)
    total = dx.sum(axis=1)
    loss = np.sum(weights * (np.log(total) - target), dtype=np.float64)
    dx *= (weights / total)[:, None]
    dx[picked] -= (1 - smoothing) * weights
    if smoothing:
        dx -= (smoothing / size["V"] * weights)[:, None]
    return SoftmaxLoss(x.dtype.type(loss), dx)


def check_smoothing(where: str, smoothing: float) -> None:
    """Hold the smoothing of a target to [0, 1).

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    smoothing : float

    Raises
    ------
    InputError
        If it lies outside.
    """
    if not 0 <= smoothing < 1:
        raise InputError(f"{where}: smoothing must be in [0, 1), got {smoothing!r}")
