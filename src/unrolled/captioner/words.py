"""The words of a caption: how likely each was, and what might have stood in its place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unrolled.data import tokenize
from unrolled.decoding import Ensemble
from unrolled.layers.arrays import Array
from unrolled.layers.attention import softmax
from unrolled.layers.vocabulary import largest

if TYPE_CHECKING:
    from unrolled.captioner.captioner import Captioner


class Word(NamedTuple):
    """One word of a caption, after those before it.

    Attributes
    ----------
    text : str
        ``<END>`` of the last, where the model ended the caption.
    p : float
        Its probability.
    others : tuple of (str, float)
        The likeliest words that were not said, with their probabilities.
    """

    text: str
    p: float
    others: tuple[tuple[str, float], ...]


def number_words(captioner: Captioner, text: str, max_length: int) -> list[int]:
    """Turn a caption that was found back into the numbers of its words.

    Parameters
    ----------
    captioner : Captioner
    text : str
    max_length : int
        Words at most that it was searched with; a caption so long was cut off.

    Returns
    -------
    list of int
        ``<START>``, the words, and ``<END>`` where the model said it.
    """
    ids = captioner.model.word_to_idx
    words = [ids[word] for word in tokenize(text)]
    end = [ids["<END>"]] if len(words) < max_length else []
    return [ids["<START>"], *words, *end]


def weigh_words(
    members: Sequence[Captioner],
    features: Sequence[Array],
    numbers: Sequence[int],
    *,
    count: int = 5,
) -> list[Word]:
    r"""Say how likely each word of a caption was, :math:`p(w_t \mid w_{<t})`.

    Parameters
    ----------
    members : sequence of M Captioner
        That speak together.
    features : sequence of M, (1, ...) each
        Of one image.
    numbers : sequence of T + 1 int
        As `number_words` gives them.
    count : int
        Other words of each step.

    Returns
    -------
    list of T Word
    """
    speaker = Ensemble([member.model for member in members]).ready()
    state = speaker.start(features)
    words = list(members[0].vocabulary.words)
    weighed = []
    for read, said in itertools.pairwise(numbers):
        scores, state = speaker.step(np.array([read]), state)
        p = softmax(scores[0].astype(np.float64))
        likeliest = [n for n in largest(p[None], count + 1)[0].tolist() if n != said]
        others = tuple((words[n], float(p[n])) for n in likeliest[:count])
        weighed.append(Word(words[said], float(p[said]), others))
    return weighed
