"""Packed sequences: the valid tokens of a ragged batch, time first, and nothing else.

A batch of N sequences is laid out longest first. Packed, its rows are the first tokens of all
sequences, then the second tokens of those that have one, and so on::

    a1 a2 a3            row   0  1  2  3  4  5
    b1 b2         ->    token a1 b1 c1 a2 b2 a3        batch_sizes = (3, 2, 1)
    c1

Every product over a packed array is dense, and does no work that a mask would throw away. A step
of the recurrence is a slice of rows, and the state of its sequences is the top of the state before.

Where many tokens are the same, as words are, the inputs of a recurrence may be given once each,
``x`` (U, D), and ``tokens`` (P,) says which row of x each token is: what is multiplied with x, and
with what comes back to it, is then U rows instead of P.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.layers.arrays import Array, check_ids, check_shapes


class Packing(NamedTuple):
    """Where the rows of a packed array come from.

    Attributes
    ----------
    order : (N,) int
        The sequences, longest first.
    batch_sizes : tuple of T ints
        How many sequences have a token at each step; never grows.
    sequence, step : (P,) int
        The token at each packed row, P in all: ``packed = padded[sequence, step]``.
    """

    order: Array
    batch_sizes: tuple[int, ...]
    sequence: Array
    step: Array


def pack_lengths(lengths: Array) -> Packing:
    """Lay out sequences of the given lengths.

    Parameters
    ----------
    lengths : (N,) int

    Returns
    -------
    Packing

    Raises
    ------
    ShapeError
        If lengths has not one axis.
    DTypeError
        If the lengths are not integers.
    InputError
        If a length is negative.
    """
    check_shapes("pack_lengths", lengths=(lengths, "N"))
    if lengths.dtype.kind not in "iu":
        raise DTypeError(
            f"pack_lengths: lengths must hold integers, got {lengths.dtype}; "
            "convert it with .astype(int)"
        )
    lengths = lengths.astype(np.intp)  # unsigned lengths would wrap where they are negated
    if lengths.min(initial=0) < 0:
        raise InputError(f"pack_lengths: lengths must not be negative, got {lengths.min()}")
    order = np.argsort(-lengths, kind="stable")
    steps = int(lengths.max(initial=0))
    present = np.arange(steps)[:, None] < lengths[order]  # (T, N)
    step, row = np.nonzero(present)
    return Packing(order, tuple(present.sum(axis=1).tolist()), order[row], step)


def step_slices(batch_sizes: Sequence[int]) -> Iterator[slice]:
    """Yield the packed rows of each step in turn.

    Parameters
    ----------
    batch_sizes : T ints

    Yields
    ------
    slice
    """
    start = 0
    for size in batch_sizes:
        yield slice(start, start + size)
        start += size


def check_batch_sizes(
    where: str, batch_sizes: Sequence[int], sequences: int, rows: int, tokens: Array | None = None
) -> None:
    """Hold batch sizes to N sequences and P tokens.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    batch_sizes : T ints
    sequences, rows : int
        N, and the rows of x: P, unless there are tokens.
    tokens : (P,) int, optional
        The row of x that each token is.

    Raises
    ------
    DTypeError
        If they, or the tokens, are not integers.
    ShapeError
        If they are negative, grow, exceed N, or do not add up to P, or tokens is not (P,).
    InputError
        If a token is no row of x.
    """
    what = "rows of x"
    if tokens is not None:
        check_shapes(where, tokens=(tokens, "P"))
        check_ids(where, tokens, rows, name="tokens", hint="each says which row of x a token is")
        rows, what = len(tokens), "tokens"
    if not all(isinstance(size, (int, np.integer)) for size in batch_sizes):
        raise DTypeError(f"{where}: batch_sizes must be integers, got {tuple(batch_sizes)}")
    sizes = (sequences, *batch_sizes, 0)
    if any(a < b for a, b in itertools.pairwise(sizes)) or sum(batch_sizes) != rows:
        raise ShapeError(
            f"{where}: batch_sizes must never grow, stay within the {sequences} sequences of h0 "
            f"and add up to the {rows} {what}, got {tuple(map(int, batch_sizes))}"
        )


def previous_states(h: Array, h0: Array, batch_sizes: Sequence[int]) -> Array:
    """Gather the state before each packed row.

    Parameters
    ----------
    h : (P, H)
    h0 : (N, H)
    batch_sizes : T ints

    Returns
    -------
    (P, H)
        h0 for the rows of the first step, otherwise the sequence's row of the step before.
    """
    before = [h0, *(h[rows] for rows in step_slices(batch_sizes))]
    parts = [states[:size] for states, size in zip(before, batch_sizes, strict=False)]
    return np.concatenate(parts) if parts else h


def last_states(h: Array, h0: Array, batch_sizes: Sequence[int]) -> Array:
    """Gather the state after the last token of each sequence.

    Parameters
    ----------
    h : (P, H)
    h0 : (N, H)
    batch_sizes : T ints

    Returns
    -------
    (N, H)
        A sequence without tokens keeps its h0.
    """
    last: Array = h0.copy()
    for rows in step_slices(batch_sizes):
        last[: rows.stop - rows.start] = h[rows]
    return last


def pad_rows(x: Array, batch_sizes: Sequence[int]) -> Array:
    """Lay packed rows out by step and sequence, with zeros where a sequence has ended.

    Parameters
    ----------
    x : (P, D)
    batch_sizes : T ints

    Returns
    -------
    (T, N, D)
        N are the sequences that have a token.
    """
    padded: Array = np.zeros((len(batch_sizes), max(batch_sizes, default=0), x.shape[1]), x.dtype)
    for step, rows in zip(padded, step_slices(batch_sizes), strict=True):
        step[: rows.stop - rows.start] = x[rows]
    return padded


def time_major(x: Array) -> Array:
    """Pack sequences of equal length: (N, T, D) to (T N, D).

    Parameters
    ----------
    x : (N, T, D)

    Returns
    -------
    (T * N, D)
    """
    packed: Array = x.swapaxes(0, 1).reshape(x.shape[0] * x.shape[1], x.shape[2])
    return packed


def batch_major(x: Array, shape: tuple[int, int]) -> Array:
    """Undo `time_major`: (T N, D) to a contiguous (N, T, D) of its own.

    Always a copy, so that the packed array in a cache is safe from a caller who changes the output.

    Parameters
    ----------
    x : (T * N, D)
    shape : (N, T)

    Returns
    -------
    (N, T, D)
    """
    N, T = shape
    padded: Array = x.reshape(T, N, x.shape[1]).swapaxes(0, 1).copy()
    return padded
