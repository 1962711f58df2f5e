"""What else a model might have said: the softmax over words at each step of a caption."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.laboratory.gates import check_one
from unrolled.laboratory.unrolling import unroll
from unrolled.layers.arrays import Array
from unrolled.layers.attention import softmax
from unrolled.model import CaptioningRNN


class WordChoices(NamedTuple):
    """The softmax at each of T steps of a caption, its K likeliest words and the one said.

    Attributes
    ----------
    read : tuple of T str
        The word that is read at each step.
    said : tuple of T str
        The caption's own word out.
    p_said : (T,) float64
        Its probability.
    rank_said : (T,) int
        How many words are likelier; 0 where it is the likeliest.
    entropy : (T,) float64
        Of the whole softmax, in nats.
    words : tuple of T tuples of K str
        The likeliest first.
    p : (T, K) float64
        Their probabilities.
    """

    read: tuple[str, ...]
    said: tuple[str, ...]
    p_said: Array
    rank_said: Array
    entropy: Array
    words: tuple[tuple[str, ...], ...]
    p: Array

    @property
    def log_prob(self) -> float:
        """Log-probability of the caption, in nats."""
        return float(np.log(self.p_said).sum())


def word_choices(
    model: CaptioningRNN, features: Array, captions: Array, *, count: int = 5
) -> WordChoices:
    r"""Keep the likeliest words at each step, :math:`p_{tv} = e^{s_{tv}} / \sum_u e^{s_{tu}}`.

    Parameters
    ----------
    model : CaptioningRNN
    features : (1, D) or (1, L, D) float
    captions : (1, T + 1) int
        Without padding.
    count : int
        K, words of each step.

    Returns
    -------
    WordChoices

    Raises
    ------
    InputError
        If count is below 1 or above V, or there are several captions.
    ShapeError, DTypeError
        If features or the caption do not fit the model.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.2.2.3.
    """
    run = unroll(model, features, captions)
    check_one(run.counts, "word_choices")
    V = len(model.word_to_idx)
    if not 1 <= count <= V:
        raise InputError(f"word_choices: count must be from 1 to the {V} words, got {count}")
    p = np.array([softmax(run.scores(t))[0] for t in range(len(run.steps))])
    said = run.words_out[0]
    p_said = p[np.arange(len(said)), said]
    likeliest = np.argsort(-p, axis=1, kind="stable")[:, :count]
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return WordChoices(
        _texts(model, run.words_in[0]),
        _texts(model, said),
        p_said,
        (p > p_said[:, None]).sum(axis=1),
        -(p * logs).sum(axis=1),
        tuple(_texts(model, row) for row in likeliest),
        np.take_along_axis(p, likeliest, axis=1),
    )


def _texts(model: CaptioningRNN, words: Array) -> tuple[str, ...]:
    return tuple(model.idx_to_word[word] for word in words.tolist())
