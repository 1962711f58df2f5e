"""What each photo adds to a score, and the score that sums of it give.

Every score here is a function of sums over photos: of matched n-grams and lengths for BLEU, of
matched words and chunks for METEOR, of the captions' own scores and their number for the others.
Kept per photo, they give the captions' scores, the corpus score, and, without scoring anything
again, the score of any other draw of the same photos: see `unrolled.metrics.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["METEOR_COUNTS", "N_GRAMS", "Tally", "bleu", "mean", "meteor"]

Floats = NDArray[np.float64]

N_GRAMS = 4
"""BLEU's longest n-gram."""

METEOR_COUNTS = 23
"""How many numbers METEOR 1.5 gives of a caption beside its references."""

_TINY, _SMALL = 1e-15, 1e-9  # of COCO's BLEU, so that nothing is divided by zero
# METEOR 1.5's parameters for English: Denkowski & Lavie (2014), table 1.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_STAGES = np.array([1.0, 0.6, 0.8, 0.6])  # what an exact, stem, synonym, paraphrase match is worth


class Tally(NamedTuple):
    """Counts of photos, and the scores that sums of them give.

    Attributes
    ----------
    names : tuple of str
        The scores' printed names.
    counts : (M, K) float64
        What each photo adds.
    formula : callable
        Takes (..., K), counts of a caption or sums of counts; gives (..., len(names)).
    """

    names: tuple[str, ...]
    counts: Floats
    formula: Callable[[Floats], Floats]

    @property
    def corpus(self) -> dict[str, float]:
        """The scores of all captions together."""
        values = self.formula(self.counts.sum(axis=0))
        return {name: float(value) for name, value in zip(self.names, values, strict=True)}

    @property
    def captions(self) -> dict[str, Floats]:
        """The scores of each caption alone, each (M,)."""
        return dict(zip(self.names, self.formula(self.counts).T, strict=True))


def mean(name: str, values: Sequence[float] | Floats) -> Tally:
    """Tally a score that is the mean of the captions' own.

    Parameters
    ----------
    name : str
    values : (M,) float
        Each caption's score.

    Returns
    -------
    Tally
    """
    scores = np.asarray(values, np.float64)
    return Tally((name,), np.stack([scores, np.ones_like(scores)], axis=1), _mean)


def _mean(sums: Floats) -> Floats:
    return sums[..., :1] / sums[..., 1:]


def bleu(counts: Floats) -> Tally:
    r"""Tally BLEU-1 to BLEU-4.

    Of lengths c of the captions and r of the references closest to them, and of n-grams of which
    some are correct: :math:`\mathrm{BLEU}_n = e^{\min(0, 1 - r/c)} \prod_{k=1}^{n} p_k^{1/n}`.

    Parameters
    ----------
    counts : (M, 10) float64
        Length, reference length, then correct and all n-grams of each caption, for n of 1 to 4.

    Returns
    -------
    Tally

    References
    ----------
    Papineni, Roukos, Ward & Zhu (2002), "BLEU: a method for automatic evaluation of machine
    translation", section 2.3.
    """
    return Tally(tuple(f"BLEU-{n}" for n in range(1, N_GRAMS + 1)), counts, _bleu)


def _bleu(sums: Floats) -> Floats:
    length, closest = sums[..., :1], sums[..., 1:2]
    correct, said = sums[..., 2 : 2 + N_GRAMS], sums[..., 2 + N_GRAMS :]
    precisions = np.cumsum(np.log((correct + _TINY) / (said + _SMALL)), axis=-1)
    ratio = (length + _TINY) / (closest + _SMALL)
    brevity = np.minimum(0.0, 1 - 1 / ratio)
    scores: Floats = np.exp(brevity + precisions / np.arange(1, N_GRAMS + 1))
    return scores


def meteor(counts: Floats) -> Tally:
    r"""Tally METEOR 1.5 for English.

    Of weighted precision P and recall R, m matched words and the chunks ch they lie in:
    :math:`(1 - \gamma (ch / m)^\beta) \, P R / (\alpha P + (1 - \alpha) R)`.

    Parameters
    ----------
    counts : (M, 23) float64
        As METEOR's Java program gives them: words and function words of caption and reference;
        for each of four stages, content and function words matched in both; chunks; words matched.

    Returns
    -------
    Tally

    References
    ----------
    Denkowski & Lavie (2014), "Meteor Universal: language specific translation evaluation for any
    target language", section 2.
    """
    counts = counts.copy()
    matched = counts[:, 4:20].reshape(-1, 4, 4).sum(axis=1)
    whole = (matched[:, 0] + matched[:, 2] == counts[:, 0]) & (
        matched[:, 1] + matched[:, 3] == counts[:, 1]
    )
    counts[whole & (counts[:, 20] == 1), 20] = 0  # a caption that is its reference is unbroken
    return Tally(("METEOR",), counts, _meteor)


def _meteor(sums: Floats) -> Floats:
    words, function = sums[..., 0:2], sums[..., 2:4]  # of caption and reference, here and below
    stages = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 4)
    content_matched, function_matched = stages[..., :2], stages[..., 2:]
    lengths = _DELTA * (words - function) + (1 - _DELTA) * function
    matched = _DELTA * content_matched + (1 - _DELTA) * function_matched
    weighted = np.einsum("...sw,s->...w", matched, _STAGES)
    chunks, places = sums[..., 20], sums[..., 21] + sums[..., 22]
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing matched, or nothing said
        precision, recall = np.moveaxis(weighted / lengths, -1, 0)
        score = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
        score = score * (1 - _GAMMA * (chunks / (places / 2)) ** _BETA)
    scores: Floats = np.fmax(np.nan_to_num(score, nan=0.0), 0.0)[..., None]
    return scores
