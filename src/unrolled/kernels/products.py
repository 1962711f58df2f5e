"""Matrix products: the compiled path's, or NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import matrix, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]


def product(a: Array, b: Array, bias: Array | None = None, *, precision: str = "float32") -> Array:
    """Matrix product of float32 arrays, ``a @ b + bias``.

    Parameters
    ----------
    a : (M, K) float32
    b : (K, N) float32
    bias : (N,) float32, optional
    precision : "float32" or "bfloat16"
        Of the numbers that are multiplied; sums are float32.

    Returns
    -------
    (M, N) float32
    """
    c = np.empty((a.shape[0], b.shape[1]), np.float32)
    stored_a, a_turned = matrix(a)
    stored_b, b_turned = matrix(b)
    compiled().product(
        stored_a,
        a_turned,
        stored_b,
        b_turned,
        c,
        None if bias is None else rows(bias),
        False,
        precision == "bfloat16",
    )
    return c
