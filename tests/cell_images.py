"""Features of images as each cell wants them: a vector, or a vector for each location."""

from __future__ import annotations

import numpy as np

from unrolled.layers.cells import CELLS

LOCATIONS = 6


def images_for(cell_type, n, D, dtype=np.float64, seed=0):
    """Draw features of n images: (n, D), or (n, 6, D) where the cell attends."""
    shape = (n, LOCATIONS, D) if CELLS[cell_type].attends else (n, D)
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
