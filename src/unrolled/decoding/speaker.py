"""What a decoder asks of whatever says captions: a model, or several that speak with one voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import State
from unrolled.layers.vocabulary import BestWords, check_count, largest, penalty_of


class Speaker(Protocol):
    """Says captions word by word, many at once; `unrolled.CaptioningRNN` is one."""

    @property
    def word_to_idx(self) -> Mapping[str, int]:
        """The vocabulary, with ``<NULL>``, ``<START>`` and ``<END>``."""

    def ready(self, precision: str = "float32") -> Speaker:
        """Lay weights out for many steps; they are not to change as long as it is used.

        Parameters
        ----------
        precision : "float32", "bfloat16" or "auto"
            Of what products multiply.

        Returns
        -------
        Speaker
        """

    def start(self, features: Any) -> State:
        """Start a caption for each image.

        Parameters
        ----------
        features : what the speaker takes of N images

        Returns
        -------
        state : tuple, an array (N, ...) first
            Each member can be taken by row and repeated, as an array can.
        """

    def step(self, words: Array, state: State) -> tuple[Array, State]:
        """Read one word of each caption and score the next.

        Parameters
        ----------
        words : (N,) int
        state : tuple, from `start` or `step`

        Returns
        -------
        scores : (N, V) float
            Logits of the next word.
        state : tuple
        """

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


class Ensemble:
    r"""Several models that speak with one voice: the mean of their probabilities of each word.

    .. math:: p(w \mid w_{<t}) = \frac{1}{M} \sum_m p_m(w \mid w_{<t})

    The models may differ in cell, sizes and features, each having its own state, but not in
    vocabulary. The probabilities are averaged, not their logarithms, as captioning systems and
    translation toolkits do: a word that one model cannot imagine is not lost.

    Parameters
    ----------
    speakers : sequence of M Speaker

    Raises
    ------
    InputError
        If there is none, or their vocabularies differ.

    References
    ----------
    Vinyals et al. (2016), "Show and tell: lessons learned", section 4.3.5; Rennie et al. (2017),
    section 6, for ensembles of captioners.
    """

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        if not speakers:
            raise InputError("Ensemble: expected at least one model, got none")
        self.speakers = tuple(speakers)
        self.word_to_idx = speakers[0].word_to_idx
        for number, speaker in enumerate(speakers[1:], 2):
            if speaker.word_to_idx != self.word_to_idx:
                raise InputError(
                    f"Ensemble: the vocabulary of model {number} is not that of model 1; only "
                    "models with the same words, numbered alike, can speak together"
                )

    def ready(self, precision: str = "float32") -> Ensemble:
        """Lay the weights of all models out for many steps.

        Parameters
        ----------
        precision : "float32", "bfloat16" or "auto"
            Of what products multiply.

        Returns
        -------
        Ensemble
        """
        return Ensemble([speaker.ready(precision) for speaker in self.speakers])

    def start(self, features: Sequence[Any]) -> State:
        """Start a caption for each image.

        Parameters
        ----------
        features : sequence of M, each for its model and of the same N images

        Returns
        -------
        state : tuple

        Raises
        ------
        InputError
            If there are features for another number of models, or of other numbers of images.
        """
        if len(features) != len(self.speakers):
            raise InputError(
                f"Ensemble: there are {len(self.speakers)} models, and features for {len(features)}"
            )
        states = [s.start(x) for s, x in zip(self.speakers, features, strict=True)]
        counts = [len(state[0]) for state in states]
        if len(set(counts)) > 1:
            raise InputError(f"Ensemble: the models' features are of {counts} images, not as many")
        return tuple(map(_State, states))

    def step(self, words: Array, state: State) -> tuple[Array, State]:
        """Read one word of each caption and score the next.

        Parameters
        ----------
        words : (N,) int
        state : tuple, from `start` or `step`

        Returns
        -------
        scores : (N, V) float
            Log-probabilities of the next word.
        state : tuple
        """
        scored = [
            speaker.step(words, own.members)
            for speaker, own in zip(self.speakers, state, strict=True)
        ]
        log_p = np.stack([_log_softmax(scores) for scores, _ in scored])
        highest = log_p.max(axis=0)
        # A word that no model thinks possible has the highest log-probability -inf.
        shift = np.where(np.isneginf(highest), 0, highest)
        with np.errstate(divide="ignore"):
            mean: Array = shift + np.log(np.exp(log_p - shift).mean(axis=0))
        return mean, tuple(_State(after) for _, after in scored)

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

        Raises
        ------
        InputError
            If a word's id is none, or count is below 1 or above V.
        """
        log_p, state = self.step(words, state)
        V = log_p.shape[1]
        check_count("best_words", count, V)
        log_p = log_p + penalty_of("best_words", never, V, log_p.dtype)
        best = largest(log_p, count)
        return BestWords(best, np.take_along_axis(log_p, best, axis=1)), state


class _State:
    """A model's whole state as one member of an ensemble's."""

    def __init__(self, members: State) -> None:
        self.members = members

    def __len__(self) -> int:
        return len(self.members[0])

    def __getitem__(self, rows: Any) -> _State:
        return _State(tuple(member[rows] for member in self.members))

    def repeat(self, repeats: int, axis: int = 0) -> _State:
        """Repeat each row, as `numpy.repeat` asks an object to."""
        return _State(tuple(np.repeat(member, repeats, axis=axis) for member in self.members))


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_p
