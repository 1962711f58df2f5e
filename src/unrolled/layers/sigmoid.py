"""The logistic sigmoid, exact at both ends."""

from __future__ import annotations

import numpy as np

from unrolled.errors import ShapeError
from unrolled.layers.arrays import Array, check_floats


def sigmoid(x: Array | float, *, out: Array | None = None) -> Array:
    r"""Logistic sigmoid, :math:`\sigma(x) = 1 / (1 + e^{-x})`.

    With :math:`z = e^{-|x|} \le 1` it is :math:`1 / (1 + z)` where x is positive and
    :math:`z / (1 + z)` where it is negative: nothing overflows, and small values keep their digits.

    Parameters
    ----------
    x : float array of any shape, or one float
    out : array like x, optional
        Where to write; may be x itself.

    Returns
    -------
    array like x, dtype of x

    Raises
    ------
    ShapeError, DTypeError
        If x is no array or not floating point, or out is not shaped and typed as x.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 3.10.
    """
    x = np.asarray(x) if isinstance(x, float) else x  # one number is an array without axes
    check_floats("sigmoid", x=x)
    if out is not None:
        check_floats("sigmoid", x=x, out=out)
        if out.shape != x.shape:
            raise ShapeError(f"sigmoid: out must have the shape of x {x.shape}, got {out.shape}")
    numerator = np.exp(np.minimum(x, 0))  # 1 or z; much faster than to choose by np.where
    result: Array = np.divide(numerator, 1 + np.exp(-np.abs(x)), out=out)
    return result
