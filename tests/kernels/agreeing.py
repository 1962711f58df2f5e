"""What tests of kernels against NumPy's text draw, and how near the two must be."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

EPS = np.finfo(np.float32).eps
counts = st.integers(0, 40)
widths = st.one_of(st.integers(1, 40), st.sampled_from([48, 64, 65]))
seeds = st.integers(0, 2**32 - 1)
precisions = st.sampled_from(["float32", "bfloat16"])
quick = settings(max_examples=12, deadline=None)


def draw(rng, *shapes, scale=1.0):
    return [(rng.standard_normal(s) * scale).astype(np.float32) for s in shapes]


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def scrambled(rng, array):
    """The same numbers, lying otherwise: transposed, with gaps between them, or a byte off."""
    kind = rng.integers(4)
    if kind == 0:
        return np.asfortranarray(array)
    if kind == 1:
        wider = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wider[..., ::2] = array
        return wider[..., ::2]
    if kind == 2:
        moved = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        moved[...] = array
        return moved
    return array


def close(got, want, tolerance, least=0.2):
    """Within a tolerance of the largest number: errors of a recurrence mix over its columns.

    Where terms of size one cancel, as in a single hidden number, what is left may be far smaller
    than they, and their rounding is not: hence the least size.
    """
    assert got.shape == want.shape
    size = max(np.abs(want).max(initial=0), least)
    assert np.abs(got - want).max(initial=0) <= tolerance * size


def penalty(V, never):
    penalty = np.zeros(V, np.float32)
    penalty[never] = -np.inf
    return penalty
