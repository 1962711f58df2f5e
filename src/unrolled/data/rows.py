"""Rows of features that may be memory-mapped: read in the file's order, given as float32."""

from __future__ import annotations

import numpy as np

_EXPONENT = np.uint16(0x7C00)
_SIGN_AND_REST = np.int32(0x8FFFE000 - (1 << 32))  # without the copies of the sign in between
_BIAS = np.float32(2.0**112)


def take_rows(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Read rows of features, those that lie together together.

    Parameters
    ----------
    features : (P, ...) floating point
        In memory or memory-mapped; only the wanted rows are read.
    rows : (N,) int

    Returns
    -------
    (N, ...) float32, C-contiguous
    """
    taken = np.empty((len(rows), *features.shape[1:]), np.float32)
    order = np.argsort(rows, kind="stable")
    if features.dtype == np.float16 and features.ndim > 2:
        for at in order:  # a row is large, and stays in cache from one pass to the next
            taken[at] = single(features[rows[at]])
    else:
        taken[order] = features[rows[order]]
    return taken


def all_finite(values: np.ndarray) -> bool:
    """Say whether numbers are numbers and finite; fast for float16 too.

    Parameters
    ----------
    values : (...) floating point

    Returns
    -------
    bool
    """
    if values.dtype != np.float16:
        return bool(np.isfinite(values).all())
    return not ((values.view(np.uint16) & _EXPONENT) == _EXPONENT).any()


def single(half: np.ndarray) -> np.ndarray:
    r"""Turn float16 into float32, exactly, several times as fast as NumPy does.

    The bits of the exponent and the fraction keep their meaning but for the exponent's bias, which
    a product by :math:`2^{127 - 15}` makes up for; so it does for subnormal numbers.

    Parameters
    ----------
    half : (...) float16

    Returns
    -------
    (...) float32
    """
    if not all_finite(half):
        return half.astype(np.float32)
    bits = half.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_REST
    value = bits.view(np.float32)
    value *= _BIAS
    return value


class RowsOfFeatures:
    """Some rows of features, read a slice at a time when it is asked for.

    Stands where a (N, ...) float32 array of features would, and never holds all of it.

    Parameters
    ----------
    features : (P, ...) floating point
    rows : (N,) int
        Which rows, in which order.
    """

    def __init__(self, features: np.ndarray, rows: np.ndarray) -> None:
        self.features = features
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Read the rows of a slice, float32."""
        return take_rows(self.features, self.rows[part])
