r"""An exponential moving average of the weights: what is scored and kept, while others are trained.

.. math:: \bar\theta_s = d_s \bar\theta_{s-1} + (1 - d_s) \, \theta_s,
    \qquad d_s = \min\Big(d, \frac{1 + s}{10 + s}\Big)

after step s: the first steps, of weights that still change much, are soon forgotten. Between steps
a model has the averaged weights; the weights being trained are in the `TrainingState`.

References
----------
Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging"; Tan & Le (2019),
"EfficientNet", section 5.2, for the use. The first steps' decay is that of TensorFlow's
``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unrolled.layers.arrays import Array


@contextmanager
def training_weights(
    model: Any, trained: dict[str, Array] | None, *, decay: float, step: int
) -> Iterator[None]:
    """Give a model the weights being trained for one step, and its average back, moved on.

    Parameters
    ----------
    model : anything with ``params``
        Has the averaged weights before and after; they are changed in place.
    trained : dict of arrays or None
        The weights being trained; with None the model's own are, and nothing happens here.
    decay : float
    step : int
        Of the run, counted from 1.

    Yields
    ------
    None
    """
    if trained is None:
        yield
        return
    average = model.params
    model.params = trained
    try:
        yield
    finally:  # an error leaves the average as it was
        model.params = average
    share = 1 - min(decay, (1 + step) / (10 + step))
    for name, mean in average.items():
        mean += mean.dtype.type(share) * (trained[name] - mean)
