"""The caption that a model's other captions of the photo agree with most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled.decoding.beam import Hypothesis
from unrolled.layers.arrays import Array

__all__ = ["SHARPNESS", "consensus"]

SHARPNESS = 0.3
"""The power of the probabilities that hypotheses are weighed by: chosen on Flickr8k's dev split."""

N_GRAMS = 4
SIGMA = 6.0


def consensus(hypotheses: Sequence[Hypothesis], sharpness: float = SHARPNESS) -> list[Hypothesis]:
    r"""Rank an image's hypotheses by how much they have in common with each other.

    The likeliest caption is not the one that people find best: it is short and vague. What is said
    in many likely captions is probably right, and the caption that has most of it is the one of
    minimum Bayes risk,

    .. math:: \arg\max_i \sum_j w_j \, s(y_i, y_j), \quad w_j \propto p(y_j)^\alpha,

    if :math:`s` is how a caption is judged beside a reference. Here as CIDEr-D does it, but with
    every n-gram weighed alike, which needs no count of a corpus: with :math:`g` the counts of a
    caption's n-grams and l its length,

    .. math:: s(y_i, y_j) = \frac{1}{4} \sum_{n=1}^4
        \frac{\min(g_i, g_j) \cdot g_j}{\|g_i\| \|g_j\|} e^{-(l_i - l_j)^2 / 2 \sigma^2},
        \quad \sigma = 6.

    Parameters
    ----------
    hypotheses : sequence of K Hypothesis
        Of one image; what a beam ended with, or what was drawn.
    sharpness : float
        :math:`\alpha`: 0 weighs hypotheses alike, as befits those that were drawn; 1 by their
        probability, which in a beam falls so fast that the likeliest mostly decides.

    Returns
    -------
    list of K Hypothesis
        Best first; where two are as good, the one that came first.

    References
    ----------
    Kumar & Byrne (2004), "Minimum Bayes-risk decoding for statistical machine translation";
    Devlin et al. (2015), "Exploring nearest neighbor approaches for image captioning", section 3,
    for the consensus of captions; Vedantam et al. (2015), section 6, for CIDEr-D.
    """
    if len(hypotheses) < 2:
        return list(hypotheses)
    log_probs = np.array([h.log_prob for h in hypotheses])
    weights = np.exp(sharpness * (log_probs - log_probs.max()))
    agreement = _alike([h.words for h in hypotheses]) @ (weights / weights.sum())
    return [hypotheses[i] for i in np.argsort(-agreement, kind="stable")]


def _alike(captions: Sequence[tuple[int, ...]]) -> Array:
    """How good each of K captions is if another were the truth, (K, K) in [0, 1]."""
    lengths = np.array([len(words) for words in captions])
    total = np.zeros((len(captions), len(captions)))
    for n in range(1, N_GRAMS + 1):
        counts = _count(
            [[words[i : i + n] for i in range(len(words) - n + 1)] for words in captions]
        )
        norms = np.sqrt(np.square(counts).sum(axis=1, keepdims=True))
        # Clipped: what a caption says more often than the other counts no more for it.
        shared = np.stack([(np.minimum(own, counts) * counts).sum(axis=1) for own in counts])
        total += shared / np.maximum(norms * norms.T, 1)  # a caption shorter than n has none
    apart = lengths[:, None] - lengths
    alike: Array = total / N_GRAMS * np.exp(-np.square(apart) / (2 * SIGMA**2))
    return alike


def _count(texts: Sequence[Sequence[tuple[int, ...]]]) -> Array:
    """Count each text's n-grams, (K, G) float64 for the G that occur."""
    numbers: dict[tuple[int, ...], int] = {}
    places = [[numbers.setdefault(gram, len(numbers)) for gram in text] for text in texts]
    counts = np.zeros((len(texts), len(numbers)))
    for row, place in zip(counts, places, strict=True):
        np.add.at(row, place, 1.0)
    return counts
