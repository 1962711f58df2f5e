"""Arrays as the compiled kernels take them: float32, rows one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def rows(array: NDArray[Any]) -> Floats:
    """Give a float32 array whose memory is in C order, itself where it is so already.

    Parameters
    ----------
    array : array

    Returns
    -------
    array of the same values
    """
    return np.require(array, np.float32, ["C", "A"])


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
