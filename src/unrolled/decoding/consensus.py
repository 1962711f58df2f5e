"""The caption that a model's other captions of the photo agree with most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled.decoding.beam import Hypothesis
from unrolled.layers.arrays import Array

__all__ = ["SHARPNESS", "consensus"]

SHARPNESS = 0.35
"""The power of the probabilities that hypotheses are weighed by: chosen on Flickr8k's dev split."""

N_GRAMS = 4
SIGMA = 6.0


def consensus(
    hypotheses: Sequence[Hypothesis],
    sharpness: float = SHARPNESS,
    *,
    worth: Array | None = None,
) -> list[Hypothesis]:
    r"""Rank an image's hypotheses by how much they have in common with each other.

    The likeliest caption is not the one that people find best: it is short and vague. What is said
    in many likely captions is probably right, and the caption that has most of it is the one of
    minimum Bayes risk,

    .. math:: \arg\max_i \sum_j w_j \, s(y_i, y_j), \quad w_j \propto p(y_j)^\alpha,

    if :math:`s` is how a caption is judged beside a reference. Here as CIDEr-D does it, but what an
    n-gram counts comes of its words alone, which needs no count of all n-grams of a corpus: with
    :math:`g` a caption's n-grams, each counted and times the mean worth of its words, and l its
    length,

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
    worth : (V,) float, optional
        Of each word, at least 0, such as how rare it is, see `unrolled.data.Vocabulary.weigh`:
        to agree on "surfboard" then says more than to agree on "a". All alike unless given.

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
    agreement = _alike([h.words for h in hypotheses], worth) @ (weights / weights.sum())
    # Rounded, so that equals stay equals in whatever order a machine adds their parts up.
    return [hypotheses[i] for i in np.argsort(-agreement.round(12), kind="stable")]


def _alike(captions: Sequence[tuple[int, ...]], worth: Array | None) -> Array:
    """How good each of K captions is if another were the truth, (K, K) in [0, 1]."""
    lengths = np.array([len(words) for words in captions])
    total = np.zeros((len(captions), len(captions)))
    for n in range(1, min(N_GRAMS, int(lengths.max())) + 1):
        counts, grams = _count(captions, n)
        weights = np.ones(len(grams)) if worth is None else worth[grams].mean(axis=1)
        told = counts * weights
        norms = np.sqrt(np.square(told).sum(axis=1))
        shared = told @ told.T - _said_too_often(counts, weights)
        both = np.multiply.outer(norms, norms)
        total += np.divide(shared, both, out=np.zeros_like(both), where=both > 0)
    apart = lengths[:, None] - lengths
    alike: Array = total / N_GRAMS * np.exp(-np.square(apart) / (2 * SIGMA**2))
    return alike


def _said_too_often(counts: Array, weights: Array) -> Array:
    """Give what min() takes away: to say more often than the other gains a caption nothing."""
    often = (counts > 1).any(axis=0)
    if not often.any():
        return np.zeros(())
    counts, weights = counts[:, often], weights[often]
    more = np.maximum(counts[:, None] - counts, 0)
    taken: Array = (more * counts * np.square(weights)).sum(axis=2)
    return taken


def _count(captions: Sequence[tuple[int, ...]], n: int) -> tuple[Array, Array]:
    """Count each caption's n-grams, (K, G) float64, and name them, (G, n) int."""
    numbers: dict[tuple[int, ...], int] = {}
    places = [
        numbers.setdefault(words[i : i + n], len(numbers)) * len(captions) + row
        for row, words in enumerate(captions)
        for i in range(len(words) - n + 1)
    ]
    shape = len(numbers), len(captions)
    counts = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
    return counts.T.astype(np.float64), np.array(list(numbers), int)
