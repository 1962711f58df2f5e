"""What an update does with flat arrays: the sum of squares for clipping, and one pass of Adam.

They are the twins of what `unrolled.optim.updating` and `unrolled.optim.rules.Adam.advance` do.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from unrolled.kernels.choice import compiled

Array = NDArray[Any]


def sum_of_squares(x: Array) -> float:
    """Add up the squares, in float64 and in a fixed order.

    Parameters
    ----------
    x : (B,) float32 array in C order

    Returns
    -------
    float
    """
    total: float = compiled().sum_of_squares(x)
    return total


def adam_step(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    *,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    learning_rate: float,
    scale: float,
    decay: float,
    shrink: float,
) -> None:
    """Move ``param``, ``m`` and ``v`` by one step of Adam, in place.

    Parameters
    ----------
    param, grad, m, v : (B,) float32 arrays in C order
    beta1, beta2, eps : float
    step : int
        Number of this step, counted from 1.
    learning_rate : float
    scale : float
        Of the gradient, from clipping.
    decay : float
        Times the weight is added to the gradient.
    shrink : float
        Of the weight before the step, as AdamW decays it.
    """
    rate = learning_rate / (1 - beta1**step)
    root = math.sqrt(1 - beta2**step)
    kept = beta1, 1 - beta1, beta2, 1 - beta2
    compiled().adam(param, grad, m, v, scale, decay, shrink, *kept, root, eps, rate)
