"""Features brought to a mean of zero and a deviation of one before a model sees them.

What they are brought by is measured once, on the training photos, and never trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError, ShapeError
from unrolled.layers.arrays import Array

_LEAST = 0.01
"""A feature that hardly moves in training, as a share of what features do, is left quiet."""


class FeatureScaling(NamedTuple):
    r"""Standardisation of each of D features, :math:`(x - m) \cdot s`.

    Attributes
    ----------
    mean : (D,) float32
    scale : (D,) float32
        One over the standard deviation.
    """

    mean: Array
    scale: Array

    def apply(self, features: Array) -> Array:
        """Standardise features.

        Parameters
        ----------
        features : (..., D) float

        Returns
        -------
        (..., D), of the same dtype

        Raises
        ------
        ShapeError
            If they are of another width.
        """
        if features.shape[-1:] != self.mean.shape:
            raise ShapeError(
                f"FeatureScaling: features must be (..., {len(self.mean)}), got {features.shape}"
            )
        mean, scale = (part.astype(features.dtype, copy=False) for part in self)
        standardised: Array = features - mean
        standardised *= scale
        return standardised

    @classmethod
    def fit(cls, parts: Iterable[Array]) -> FeatureScaling:
        r"""Measure the mean and the deviation of features.

        The deviation counts as at least a hundredth of the root of the features' mean variance.

        Parameters
        ----------
        parts : iterable of (N, D) or (N, L, D) float
            Read one after the other; summed in float64.

        Returns
        -------
        FeatureScaling

        Raises
        ------
        InputError
            If there are no features.
        """
        count, total, squares = 0, np.zeros(1), np.zeros(1)
        for part in parts:
            rows = part.reshape(-1, part.shape[-1])
            if len(rows) == 0:
                continue
            if count == 0:
                shift = rows[0].astype(np.float64)  # keeps squares small next to the deviation's
                total, squares = np.zeros_like(shift), np.zeros_like(shift)
            moved = rows - shift
            count += len(rows)
            total += moved.sum(axis=0)
            squares += np.einsum("nd,nd->d", moved, moved)
        if count == 0:
            raise InputError("FeatureScaling: there are no features to measure")
        variance = np.maximum(squares / count - (total / count) ** 2, 0)
        least = _LEAST * np.sqrt(variance.mean()) or 1.0
        scale = 1 / np.maximum(np.sqrt(variance), least)
        return cls((shift + total / count).astype(np.float32), scale.astype(np.float32))
