"""Weights laid out once for many steps, as a decoder takes them.

A kernel packs its operands before it multiplies; where the same weights meet a few rows at every
step, that costs more than the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.arrays import integers, matrix, rows
from unrolled.kernels.choice import compiled

Array = NDArray[Any]

_MANY = 1 / 16  # of the vocabulary, new at one step


class PackedMatrix:
    """A weight of products to come; what the array holds later changes nothing.

    Parameters
    ----------
    w : (K, N) float32
    precision : "float32" or "bfloat16"
        Of the numbers that are multiplied; sums are float32.
    """

    def __init__(self, w: Array, *, precision: str = "float32") -> None:
        stored, turned = matrix(w)
        self.shape = w.shape
        self._packed = compiled().pack(stored, turned, precision == "bfloat16")

    def product(self, a: Array, bias: Array | None = None, *, out: Array | None = None) -> Array:
        """Matrix product of float32 arrays, ``a @ w + bias``.

        Parameters
        ----------
        a : (M, K) float32
        bias : (N,) float32, optional
        out : (M, N) float32, optional
            What it is written to.

        Returns
        -------
        (M, N) float32
            A row does not depend on the others.
        """
        c = np.empty((len(a), self.shape[1]), np.float32) if out is None else out
        self._packed.product(rows(a), c, None if bias is None else rows(bias))
        return c

    def top_words(self, h: Array, b: Array, penalty: Array, count: int) -> tuple[Array, Array]:
        """Choose as `unrolled.kernels.top_words` does under the scores ``h @ w + b``.

        Parameters
        ----------
        h : (P, K) float32
        b, penalty : (N,) float32
        count : int

        Returns
        -------
        log_p : (P, count) float32
        words : (P, count) int64
        """
        log_p = np.empty((len(h), count), np.float32)
        words = np.empty((len(h), count), np.int64)
        self._packed.top_words(rows(h), rows(b), rows(penalty), log_p, words)
        return log_p, words


class WordCell:
    """Steps of a tanh recurrence or an LSTM that reads words.

    A word's product ``W_embed[word] @ Wx + b`` is made when it is first read, those of all words
    where many are at one step, and looked up after that: what recurs in a step is ``h @ Wh`` alone.
    Where a cell reads more than h and the word, it stands beside h, and its weight below that of h.

    Parameters
    ----------
    W_embed : (V, D) float32
    Wx : (D, G) float32
    Wh : (K, G) float32
        G is 4 H of an LSTM, else H; K is H or more.
    b : (G,) float32
    gates : int
        4 for an LSTM, 1 for a tanh recurrence.
    precision : "float32" or "bfloat16"
    """

    def __init__(
        self,
        W_embed: Array,
        Wx: Array,
        Wh: Array,
        b: Array,
        *,
        gates: int,
        precision: str = "float32",
    ) -> None:
        G = len(b)
        self._W_embed, self._b, self._H = W_embed, b, G // gates
        self._Wx = PackedMatrix(Wx, precision=precision)
        self._cell = compiled().pack_cell(rows(Wh), gates == 4, precision == "bfloat16")
        self._table = np.empty((len(W_embed), G), np.float32)
        self._known = np.zeros(len(W_embed), bool)

    def step(self, words: Array, h: Array, c: Array | None = None) -> tuple[Array, ...]:
        """Read one word of each row.

        Parameters
        ----------
        words : (N,) int in [0, V)
        h : (N, K) float32
        c : (N, H) float32, of an LSTM

        Returns
        -------
        next_h, and next_c of an LSTM : (N, H)
        """
        self._meet(words)
        read = integers(words)
        next_h = np.empty((len(h), self._H), np.float32)
        if c is None:
            self._cell.step(read, self._table, rows(h), None, next_h, None)
            return (next_h,)
        next_c = np.empty(c.shape, np.float32)
        self._cell.step(read, self._table, rows(h), rows(c), next_h, next_c)
        return next_h, next_c

    def _meet(self, words: Array) -> None:
        """Make the products of words that are read for the first time."""
        unknown = words[~self._known[words]]
        if not unknown.size:
            return
        new = np.unique(unknown)
        if len(new) < _MANY * len(self._known):
            self._table[new] = self._Wx.product(self._W_embed[new], self._b)
            self._known[new] = True
        else:  # captions so varied will come to most of the others too: all at once is cheaper
            self._Wx.product(self._W_embed, self._b, out=self._table)
            self._known[:] = True
