"""Scheduled sampling: training that is sometimes fed the model's own words, as decoding always is.

References
----------
Bengio et al. (2015), "Scheduled sampling for sequence prediction with recurrent neural networks",
section 2.4; their linear decay, counted in epochs.
"""

from __future__ import annotations

import numpy as np

from unrolled.decoding import draw_words
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN


def own_word_probability(highest: float, epoch: int, epochs: int) -> float:
    """Say how often a word in is the model's own: never in the first epoch, most in the last.

    Parameters
    ----------
    highest : float
    epoch : int
        Counted from 0.
    epochs : int
        In all.

    Returns
    -------
    float
    """
    return highest * epoch / (epochs - 1) if epochs > 1 else highest


def scheduled_words(
    model: CaptioningRNN,
    features: Array,
    captions: Array,
    probability: float,
    rng: np.random.Generator,
) -> Array:
    """Replace some of the words in by words that the model draws at their places.

    Each is drawn after the words in before it, replaced or not, nothing dropped. ``<START>`` stays,
    and no special word but ``<UNK>`` is drawn: after them captions are over, or not yet begun. No
    gradient flows through a draw.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, ...), the model's dtype
    captions : (N, T + 1) int
        ``<START> words <END>``, padded with ``<NULL>``.
    probability : float
        That a word in is replaced.
    rng : numpy.random.Generator

    Returns
    -------
    (N, T) int, dtype of captions
        For `CaptioningRNN.loss` as ``words_in``.
    """
    vocabulary = model.word_to_idx
    never = [vocabulary[word] for word in ("<NULL>", "<START>", "<END>")]
    words: Array = captions[:, :-1].copy()
    speaker = model.ready()
    state = speaker.start(features)
    for t in range(words.shape[1] - 1):
        scores, state = speaker.step(words[:, t], state)
        own = draw_words(scores, rng, forbidden=never)
        # What stands after the end is fed to nobody.
        replaced = (rng.random(len(words)) < probability) & (words[:, t + 1] != never[0])
        words[replaced, t + 1] = own[replaced]
    return words
