"""CIDEr-D of many captions at once, against references counted beforehand: a reward to train by.

What the scorers that papers use compute caption by caption out of dictionaries is computed here for
a whole batch out of arrays of word numbers: an n-gram occurs where its words follow one another.
The scores are those of ``pycocoevalcap``, whose CIDEr is CIDEr-D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError

__all__ = ["CiderD"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

N_GRAMS = 4
SIGMA = 6.0
_AFTER_CAPTION, _AFTER_REFERENCE = -1, -2  # fill what is short, and equal nothing


class CiderD:
    r"""References of some photos, ready to score captions of any of them.

    With :math:`g_n(c)` the vector of a caption's n-grams, each counted and weighted by
    :math:`\log(P / \mathrm{df})`, where df of the P photos have it in a reference:

    .. math:: \mathrm{CIDEr\text{-}D}(c, \{r_1 \dots r_m\}) = \frac{10}{4 m} \sum_{n=1}^4 \sum_j
        e^{-(l(c) - l(r_j))^2 / 2 \sigma^2}
        \frac{\min(g_n(c), g_n(r_j)) \cdot g_n(r_j)}{\|g_n(c)\| \|g_n(r_j)\|}, \quad \sigma = 6.

    As in the field's scorers, the lengths l are counts of bigrams.

    Parameters
    ----------
    references : sequence of sequence of sequence of str
        For each photo its references as words; at least one. The photos are those that document
        frequencies are counted over.
    words : sequence of str
        What the numbers in captions mean. A word of the references may be missing here: then no
        caption can say it.

    Raises
    ------
    InputError
        If there is no photo, or a photo has no reference.

    References
    ----------
    Vedantam, Zitnick & Parikh (2015), "CIDEr: Consensus-based image description evaluation",
    sections 4 and 6 (CIDEr-D).
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]], words: Sequence[str]) -> None:
        counts = np.array([len(texts) for texts in references], np.int64)
        if not counts.size or counts.min() < 1:
            raise InputError("CiderD: every photo needs at least one reference, and one photo")
        number = {word: index for index, word in enumerate(words)}
        self._texts = _padded(
            [number.setdefault(word, len(number)) for word in text]
            for texts in references
            for text in texts
        )
        self._words = len(number)
        self._first = np.concatenate([[0], np.cumsum(counts)])  # of each photo's references
        self._photos = len(counts)
        self._count_documents(np.repeat(np.arange(len(counts)), counts))
        # As matrices of one text a row these fit memory where their n-grams as dictionaries don't.
        self._norms = np.concatenate(
            [self._own(self._texts[at : at + 4096])[2] for at in range(0, len(self._texts), 4096)]
        )
        self._lengths = _bigrams(self._texts)

    def score(
        self, photos: NDArray[np.integer], captions: NDArray[np.integer], *, plain: bool = False
    ) -> Floats:
        """Score captions.

        Parameters
        ----------
        photos : (M,) int
            Which photo each caption is about, as its place in the references.
        captions : (M, T) int
            Numbers of words; negative ones after the last word.
        plain : bool, optional
            CIDEr as section 4 of its paper has it: counts are not clipped, lengths do not matter.

        Returns
        -------
        (M,) float64
            In [0, 10].
        """
        said: Ints = np.where(captions < 0, _AFTER_CAPTION, captions).astype(np.int64)
        weights, counts, norms = self._own(said)
        # Each caption beside each of its photo's references, one after the other.
        many = self._first[photos + 1] - self._first[photos]
        caption = np.repeat(np.arange(len(photos)), many)
        nth = np.arange(len(caption)) - np.repeat(np.cumsum(many) - many, many)
        reference = np.repeat(self._first[photos], many) + nth
        texts = self._texts[reference]
        texts = texts[:, : max(int((texts >= 0).sum(axis=1).max(initial=0)), 1)]

        total = np.zeros(len(caption))
        found = _Pairs(said[caption], texts)
        for n in range(N_GRAMS):
            theirs = found.counts(n)
            w, ours = weights[n][caption], counts[n][caption]
            # An n-gram said k times stands at k places: each adds a k-th of what it is worth.
            clipped = ours if plain else np.minimum(ours, theirs)
            shared = clipped * theirs * np.square(w) / ours
            lengths = norms[caption, n] * self._norms[reference, n]
            total += np.divide(
                shared.sum(axis=1), lengths, out=np.zeros_like(total), where=lengths != 0
            )
        if not plain:
            apart = _bigrams(said)[caption] - self._lengths[reference]
            total *= np.exp(-np.square(apart) / (2 * SIGMA**2))
        scores: Floats = np.bincount(caption, total, len(photos)) / (many * N_GRAMS) * 10
        return scores

    def _count_documents(self, photo: Ints) -> None:
        """Give the references' n-grams numbers, and count the photos in whose they occur."""
        self._known: list[Ints] = []  # sorted: (number of the n-gram but its last word, that word)
        self._weights: list[Floats] = []
        numbers = np.zeros_like(self._texts)
        for n in range(N_GRAMS):
            keys = self._keys(numbers, self._texts, n)
            valid = keys >= 0
            known, inverse = np.unique(keys[valid], return_inverse=True)
            pairs = np.unique(inverse * self._photos + _along(photo, valid))
            documents = np.bincount(pairs // self._photos, minlength=len(known))
            self._known.append(known)
            self._weights.append(np.log(self._photos) - np.log(np.maximum(documents, 1)))
            numbers = np.full(keys.shape, -1)
            numbers[valid] = inverse

    def _keys(self, numbers: Ints, texts: Ints, n: int) -> Ints:
        """Write an n-gram as one number: that of all but its last word, and that word; else -1."""
        last = texts[:, n:]
        before = numbers[:, : last.shape[1]]
        return np.where((last >= 0) & (before >= 0), before * self._words + last, -1)

    def _own(self, texts: Ints) -> tuple[list[Floats], list[Floats], Floats]:
        """Weigh and count the n-gram at each place of each text, and give the vectors' lengths."""
        weights, counts, norms = [], [], np.zeros((len(texts), N_GRAMS))
        numbers = np.zeros_like(texts)
        found = _Pairs(texts, texts)
        for n in range(N_GRAMS):
            keys = self._keys(numbers, texts, n)
            known = self._known[n]
            at = np.searchsorted(known, keys).clip(0, max(len(known) - 1, 0))
            seen = (known[at] == keys) & (keys >= 0) if len(known) else np.zeros(keys.shape, bool)
            there = texts[:, n:] >= 0
            # What no reference has counts as if one photo had it.
            unseen = np.where(there, np.log(self._photos), 0.0)
            weights.append(np.where(seen, self._weights[n][at] if len(known) else 0.0, unseen))
            counts.append(np.maximum(found.counts(n), 1.0))
            norms[:, n] = np.sqrt((counts[n] * np.square(weights[n])).sum(axis=1))
            numbers = np.where(seen, at, -1)
        return weights, counts, norms


class _Pairs:
    """Rows of texts beside rows of other texts, and the places where they say the same."""

    def __init__(self, ones: Ints, others: Ints) -> None:
        others = np.where(others < 0, _AFTER_REFERENCE, others)
        self._words = ones[:, :, None] == others[:, None, :]
        self._ngrams = self._words

    def counts(self, n: int) -> Floats:
        """How often the (n + 1)-gram at each place of one occurs in the other; n counts from 0."""
        if n:
            self._ngrams = self._ngrams[:, :-1, :-1] & self._words[:, n:, n:]
        counts: Floats = np.count_nonzero(self._ngrams, axis=2).astype(np.float64)
        return counts


def _along(values: Ints, valid: NDArray[np.bool_]) -> Ints:
    """Give each valid place the value of its row."""
    return np.broadcast_to(values[:, None], valid.shape)[valid]


def _bigrams(texts: Ints) -> Ints:
    counts: Ints = np.maximum((texts >= 0).sum(axis=1) - 1, 0)
    return counts


def _padded(texts: Iterable[Sequence[int]]) -> Ints:
    rows = list(texts)
    padded = np.full((len(rows), max(map(len, rows), default=0)), _AFTER_CAPTION, np.int64)
    for row, text in zip(padded, rows, strict=True):
        row[: len(text)] = text
    return padded
