"""A model's weights made ready to say many words in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from unrolled import kernels
from unrolled.layers.arrays import Array, check_ids
from unrolled.layers.cells import Cell, State
from unrolled.layers.embedding import word_embedding_forward
from unrolled.layers.product import check_precision, product, runs_compiled
from unrolled.layers.vocabulary import BestWords, best_words, check_count, penalty_of


class ReadySpeaker:
    """What `unrolled.CaptioningRNN.ready` gives: the model's own steps, by weights laid out once.

    Compiled kernels take the vocabulary layer, and the recurrence of a cell that has ``read``;
    elsewhere each step is the layers'. Rows do not depend on each other.

    Parameters
    ----------
    word_to_idx : mapping of str to int
    start : ``features -> state``
    cell : Cell
    weights : sequence of array
        The cell's.
    W_embed : (V, W) float
    W_vocab : (H, V) float
    b_vocab : (V,) float
    precision : "float32" or "bfloat16"
        Of what the compiled products multiply, where the weights are float32.

    Raises
    ------
    InputError
        If there is no such precision.
    """

    def __init__(
        self,
        word_to_idx: Mapping[str, int],
        start: Callable[[Any], State],
        cell: Cell,
        weights: Sequence[Array],
        W_embed: Array,
        W_vocab: Array,
        b_vocab: Array,
        *,
        precision: str = "float32",
    ) -> None:
        check_precision("ready", precision)
        self.word_to_idx, self.start = word_to_idx, start
        self._cell, self._weights, self._W_embed = cell, weights, W_embed
        self._W_vocab, self._b_vocab, self._precision = W_vocab, b_vocab, precision
        self._read: Callable[[Array, State], State] | None = None
        self._packed: kernels.PackedMatrix | None = None
        if runs_compiled(W_embed):
            self._packed = kernels.PackedMatrix(W_vocab, precision=precision)
            if cell.read is not None:
                self._read = cell.read(W_embed, *weights, precision=precision)

    def ready(self, precision: str = "float32") -> ReadySpeaker:  # noqa: ARG002
        """Give itself, which is ready in the precision it was made with.

        Parameters
        ----------
        precision : str

        Returns
        -------
        ReadySpeaker
        """
        return self

    def step(self, words: Array, state: State) -> tuple[Array, State]:
        """Read one word of each caption and score the next; see `unrolled.CaptioningRNN.step`.

        Parameters
        ----------
        words : (N,) int
        state : tuple

        Returns
        -------
        scores : (N, V)
        state : tuple
        """
        state = self._advance(words, state)
        if self._packed is not None:
            return self._packed.product(state[0], self._b_vocab), state
        W, precision = self._W_vocab, self._precision
        return product(state[0], W, self._b_vocab, precision=precision), state

    def best_words(
        self, words: Array, state: State, count: int, *, never: Sequence[int] = ()
    ) -> tuple[BestWords, State]:
        """Read one word of each caption and choose; see `unrolled.CaptioningRNN.best_words`.

        Parameters
        ----------
        words : (N,) int
        state : tuple
        count : int
        never : sequence of int

        Returns
        -------
        best : BestWords
        state : tuple
        """
        state = self._advance(words, state)
        h, b = state[0], self._b_vocab
        if self._packed is None:
            precision = self._precision
            return best_words(h, self._W_vocab, b, count, never=never, precision=precision), state
        check_count("best_words", count, len(b))
        penalty = penalty_of("best_words", never, len(b), b.dtype)
        log_p, best = self._packed.top_words(h, b, penalty, count)
        return BestWords(best, log_p), state

    def _advance(self, words: Array, state: State) -> State:
        if self._read is not None:
            check_ids("step", words, len(self._W_embed), name="words")
            return self._read(np.asarray(words), state)
        x, _ = word_embedding_forward(words, self._W_embed)
        return self._cell.step(x, state, *self._weights)
