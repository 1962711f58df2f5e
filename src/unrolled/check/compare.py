"""Numbers against numbers: how near is near enough, and what a simple factor tells."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.gradcheck import relative_error
from unrolled.layers.arrays import Array


def close(came: Any, expected: Array, *, loose: bool = False) -> bool:
    """Say whether an array is what was expected, by the precision it came in.

    Parameters
    ----------
    came : array or anything else
    expected : float64 array
    loose : bool
        float32 went in, or the expected numbers are numeric gradients.

    Returns
    -------
    bool
    """
    if not isinstance(came, np.ndarray) or came.shape != expected.shape:
        return False
    if expected.size == 0:
        return True
    loose = loose or (came.dtype.itemsize < 8 and came.dtype.kind == "f")
    scale = max(float(np.max(np.abs(expected))), 1e-3)
    rtol, atol = (2e-3, 2e-5 * scale) if loose else (1e-6, 1e-8 * scale)
    with np.errstate(all="ignore"):
        return bool(np.allclose(came, expected, rtol=rtol, atol=atol))


def all_close(came: Any, expected: Any, *, loose: bool = False) -> bool:
    """Say whether arrays are what was expected, one by one.

    Parameters
    ----------
    came, expected : sequence of array
    loose : bool

    Returns
    -------
    bool
    """
    if len(came) != len(expected):
        return False
    return all(close(c, np.asarray(e), loose=loose) for c, e in zip(came, expected, strict=True))


def error_of(came: Any, expected: Array) -> float:
    """Give the assignment's relative error, infinite where it has none.

    Parameters
    ----------
    came : array or anything else
    expected : array

    Returns
    -------
    float
    """
    if not isinstance(came, np.ndarray) or came.shape != expected.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        error = relative_error(came.astype(np.float64), expected)
    return error if np.isfinite(error) else float("inf")


def factor(came: Any, expected: Array) -> float | None:
    """Give the one number that the expected array is multiplied by, or None.

    Parameters
    ----------
    came : array or anything else
    expected : array

    Returns
    -------
    float or None
    """
    if not isinstance(came, np.ndarray) or came.shape != expected.shape or not expected.size:
        return None
    with np.errstate(all="ignore"):
        total = float(np.sum(expected * expected))
        k = float(np.sum(came * expected)) / total if total else float("nan")
        return k if np.isfinite(k) and close(came, k * expected) else None
