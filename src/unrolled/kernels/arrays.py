"""Arrays as the compiled kernels take them: float32, rows one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FLOAT32, _INT64 = np.dtype(np.float32), np.dtype(np.int64)


def rows(array: NDArray[Any]) -> Floats:
    """Give a float32 array whose memory is in C order, itself where it is so already.

    Parameters
    ----------
    array : array

    Returns
    -------
    array of the same values
    """
    return _as(array, _FLOAT32)


def integers(array: NDArray[Any]) -> NDArray[np.int64]:
    """Give whole numbers as the kernels take them, themselves where they are so already.

    Parameters
    ----------
    array : int array

    Returns
    -------
    int64 array of the same values, in C order
    """
    return _as(array, _INT64)


def matrix(array: NDArray[Any]) -> tuple[Floats, bool]:
    """Give a matrix in C order, or its transpose where that is how it lies.

    Parameters
    ----------
    array : (M, N)

    Returns
    -------
    stored : (M, N) or (N, M)
    turned : bool
        Whether ``stored`` is the transpose.
    """
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        return rows(array.T), True
    return rows(array), False


def counts(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Give whole numbers as the kernels take them.

    Parameters
    ----------
    sizes : T ints

    Returns
    -------
    (T,) int64
    """
    return np.array(sizes, dtype=np.int64)


def _as(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous and flags.aligned:
        return array  # as `require` would, in a fifth of its time
    return np.require(array, dtype, ["C", "A"])
