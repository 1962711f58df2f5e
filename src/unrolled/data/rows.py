"""Rows of features that may be memory-mapped: read in the file's order, given as float32."""

from __future__ import annotations

import numpy as np


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
    taken[order] = features[rows[order]]
    return taken


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
