"""A minibatch of captions, packed: the words that are read, and those that are to be said."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled import kernels
from unrolled.errors import DTypeError, ShapeError
from unrolled.layers import pack_lengths
from unrolled.layers.arrays import Array
from unrolled.layers.product import runs_compiled

# Numbers of a word's vector that each token must be spared, in the mean, for reading words once to
# pay: it adds a look-up and a sum for every token, as long as the recurrence is wide. By whether
# kernels are compiled: NumPy's text sorts tokens for the sums.
_SPARED = {True: 100, False: 250}


class PackedWords(NamedTuple):
    """The words of N captions, P read and C of them answered by a word that counts.

    Attributes
    ----------
    order : (N,) int
        The captions, longest first; see `unrolled.layers.packing`.
    batch_sizes : tuple of T ints
    read : (P,) int
    said : (C,) int
        The words out.
    weights : (C,) float
        What each word out counts in the mean over the captions.
    counted : (P,) bool, or None where all do
    """

    order: Array
    batch_sizes: tuple[int, ...]
    read: Array
    said: Array
    weights: Array
    counted: Array | None

    def once(self, size: int, width: int) -> tuple[Array, Array | None]:
        """Give each word that is read once, where that saves more than it costs.

        Parameters
        ----------
        size, width : int
            V and W, the vocabulary and the word vectors.

        Returns
        -------
        words : (U,) int, or (P,)
        tokens : (P,) int, or None
            Where each word that is read stands among these; None where they are `read` itself.
        """
        words, tokens = kernels.distinct(self.read, size)
        least = _SPARED[runs_compiled(self.weights)]
        if (len(tokens) - len(words)) * width < least * len(tokens):
            return self.read, None
        return words, tokens

    def pick(self, rows: Array) -> Array:
        """Take the packed rows whose word out counts.

        Parameters
        ----------
        rows : (P, H)

        Returns
        -------
        (C, H)
        """
        return rows if self.counted is None else rows[self.counted]

    def put(self, drows: Array) -> Array:
        """Go back through `pick`: what comes back at the other rows is zero.

        Parameters
        ----------
        drows : (C, H)

        Returns
        -------
        (P, H)
        """
        if self.counted is None:
            return drows
        whole = np.zeros((len(self.counted), drows.shape[1]), drows.dtype)
        whole[self.counted] = drows
        return whole


def pack_words(
    captions: Array,
    null: int,
    dtype: np.dtype[Any],
    *,
    weights: Array | None = None,
    words_in: Array | None = None,
) -> PackedWords:
    """Pack captions up to the last word out that counts; `CaptioningRNN.loss` says what is what.

    Parameters
    ----------
    captions : (N, T + 1) int
    null : int
        Does not count as a word out, unless there are weights.
    dtype : dtype
        Of the weights that are returned.
    weights : (N, T) number, optional
    words_in : (N, T) int, optional

    Returns
    -------
    PackedWords

    Raises
    ------
    ShapeError
        If weights or words_in are not (N, T).
    DTypeError
        If weights are no numbers.
    """
    N = max(len(captions), 1)
    if weights is None and words_in is None:
        packed = kernels.pack_captions(captions, null)
        if packed is not None:
            share = np.full(len(packed.said), dtype.type(1) / dtype.type(N), dtype)
            return PackedWords(*packed, share, None)
    words_out = captions[:, 1:]
    counts = words_out != null if weights is None else _check_weights(weights, words_out)
    words_in = captions if words_in is None else _check_words_in(words_in, words_out)
    lengths = np.where(counts, np.arange(1, counts.shape[1] + 1), 0).max(axis=1, initial=0)
    packing = pack_lengths(lengths)
    token = packing.sequence, packing.step
    read, said = words_in[token], words_out[token]
    share = np.ones(len(said), dtype) if weights is None else weights[token].astype(dtype)
    share /= dtype.type(N)
    if np.count_nonzero(counts) == len(said):  # as mostly: there is nothing to pick out then
        return PackedWords(packing.order, packing.batch_sizes, read, said, share, None)
    counted = counts[token]
    return PackedWords(
        packing.order, packing.batch_sizes, read, said[counted], share[counted], counted
    )


def _check_weights(weights: Array, words_out: Array) -> Array:
    """Say which words out count."""
    if weights.shape != words_out.shape:
        raise ShapeError(
            f"CaptioningRNN.loss: weights must be {words_out.shape}, a number for each word out, "
            f"got {weights.shape}"
        )
    if weights.dtype.kind not in "biuf":
        raise DTypeError(f"CaptioningRNN.loss: weights must be numbers, got {weights.dtype}")
    counts: Array = weights != 0
    return counts


def _check_words_in(words_in: Array, words_out: Array) -> Array:
    if words_in.shape != words_out.shape:
        raise ShapeError(
            f"CaptioningRNN.loss: words_in must be {words_out.shape}, a word for each word out, "
            f"got {words_in.shape}"
        )
    return words_in
