"""Loss curves of a run, smoothed so that several can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array


class LossCurve(NamedTuple):
    """Losses of a run, in nats per token; NaN where one was not finite, or not measured.

    Attributes
    ----------
    name : str
    steps : (S,) int
        Training steps.
    loss, smoothed : (S,) float64
        Of each step, and its moving average.
    epochs : (E,) int
        The step after which each epoch ended.
    train_loss, val_loss : (E,) float64
        Mean over each epoch's training, and over the dev split after it.
    """

    name: str
    steps: Array
    loss: Array
    smoothed: Array
    epochs: Array
    train_loss: Array
    val_loss: Array


def loss_curve(
    records: Iterable[Mapping[str, Any]], name: str, *, smoothing: float = 0.95
) -> LossCurve:
    """Read a run's losses out of its log.

    Parameters
    ----------
    records : iterable of mappings
        As `unrolled.training.read_log` gives them.
    name : str
    smoothing : float in [0, 1)
        See `smooth`.

    Returns
    -------
    LossCurve

    Raises
    ------
    InputError
        If there is no step and no epoch among the records, or smoothing is out of range.
    """
    records = list(records)
    steps = [record for record in records if record["event"] == "step"]
    epochs = [record for record in records if record["event"] == "epoch"]
    if not steps and not epochs:
        raise InputError(f"{name}: no step and no epoch in its log; has the run begun?")
    loss = _numbers(record["loss"] for record in steps)
    return LossCurve(
        name,
        np.array([record["step"] for record in steps], int),
        loss,
        smooth(loss, smoothing),
        np.array([record["step"] for record in epochs], int),
        _numbers(record["train_loss"] for record in epochs),
        _numbers(record["scores"].get("val_loss") for record in epochs),
    )


def smooth(values: Array, share: float) -> Array:
    r"""Exponential moving average, :math:`m_t = s\,m_{t-1} + (1 - s) x_t` over :math:`1 - s^t`.

    So divided it starts at the first value, not at zero. A value that is NaN is passed over, and
    leaves a NaN.

    Parameters
    ----------
    values : (S,) float
    share : float in [0, 1)
        :math:`s`, what is kept of the average at each step; 0 smooths nothing.

    Returns
    -------
    (S,) float64

    Raises
    ------
    InputError
        If share is out of range.

    References
    ----------
    Kingma & Ba (2015), "Adam", section 3, for the division.
    """
    if not 0 <= share < 1:
        raise InputError(f"smooth: the share must be in [0, 1), got {share}")
    smoothed = np.full(len(values), np.nan)
    mean = weight = 0.0
    for t, value in enumerate(values.tolist()):
        if np.isfinite(value):
            mean = share * mean + (1 - share) * value
            weight = share * weight + (1 - share)
            smoothed[t] = mean / weight
    return smoothed


def _numbers(values: Iterable[Any]) -> Array:
    return np.array([np.nan if value is None else value for value in values], float)
