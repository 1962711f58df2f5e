"""Beam search over the words a model would say; greedy at width one."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import State
from unrolled.model import CaptioningRNN

NEVER_SAID = ("<NULL>", "<START>", "<UNK>")
"""Words of the vocabulary that no caption for a person holds; ``<END>`` ends one."""


class Hypothesis(NamedTuple):
    """One caption as word ids.

    Attributes
    ----------
    words : tuple of int
        Without ``<START>`` and ``<END>``.
    log_prob : float
        Nats: the model's log-probability of the words, and of ``<END>`` where it was said.
    finished : bool
        Whether ``<END>`` was said; False where the longest length cut the caption.
    """

    words: tuple[int, ...]
    log_prob: float
    finished: bool


class _Beams(NamedTuple):
    """The hypotheses of the images that are still being captioned, K an image."""

    images: Array  # (N,) places in the caller's features
    state: State  # of (N K, H) arrays
    words: Array  # (N, K, t) said so far, <NULL> after <END>
    log_probs: Array  # (N, K) float64
    finished: Array  # (N, K) bool


def beam_search(
    model: CaptioningRNN,
    features: Array,
    *,
    width: int = 3,
    max_length: int = 30,
    length_norm: float = 0.0,
    never: Collection[str] = NEVER_SAID,
) -> list[list[Hypothesis]]:
    r"""Search for the likeliest captions of a batch of images, several hypotheses at a time.

    At every step each of an image's K hypotheses is extended by every word and the K likeliest are
    kept; one that has said ``<END>`` stays as it is. Words that are never said are passed over,
    but the log-probabilities stay those of the model over its whole vocabulary. Width 1 is greedy.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, D), the model's dtype
    width : int
        K, hypotheses an image.
    max_length : int
        Words at most, ``<END>`` included.
    length_norm : float
        Hypotheses are ranked by :math:`\log p / n^\alpha` with n words, ``<END>`` included; 0
        ranks by probability, 1 by probability a word.
    never : collection of str
        Words that may not be said, where the vocabulary has them; ``<NULL>`` never may.

    Returns
    -------
    list of N lists of K Hypothesis
        Best first. Fewer than K where the vocabulary allows no more.

    Raises
    ------
    InputError
        If width or max_length is below 1, or the vocabulary has no ``<START>`` or ``<END>``.
    ShapeError, DTypeError
        If the features do not fit the model.

    References
    ----------
    Graves (2012), algorithm 1; Wu et al. (2016), section 7, for the length normalisation.
    """
    if width < 1 or max_length < 1:
        raise InputError(
            "beam_search: width and max_length must be at least 1, "
            f"got width {width} and max_length {max_length}"
        )
    vocabulary = model.word_to_idx
    missing = {"<NULL>", "<START>", "<END>"} - vocabulary.keys()
    if missing:
        raise InputError(f"beam_search: the vocabulary lacks {', '.join(sorted(missing))}")
    null, end = vocabulary["<NULL>"], vocabulary["<END>"]
    forbidden = [null, *(vocabulary[word] for word in never if word in vocabulary)]

    found: list[list[Hypothesis]] = [[] for _ in features]
    beams = _start(model, features, width, vocabulary["<START>"])
    for length in range(1, max_length + 1):
        if not len(beams.images):
            break
        beams = _extend(model, beams, null, end, forbidden)
        done: Array = beams.finished.all(axis=1) | np.full(len(beams.images), length == max_length)
        for n in np.flatnonzero(done).tolist():
            found[beams.images[n]] = _rank(beams, n, null, end, length_norm)
        beams = _keep(beams, ~done)
    return found


def _start(model: CaptioningRNN, features: Array, width: int, start: int) -> _Beams:
    """Begin with one hypothesis an image; the others enter at the first step."""
    N = len(features)
    state = tuple(np.repeat(s, width, axis=0) for s in model.start(features))
    log_probs = np.full((N, width), -np.inf)
    log_probs[:, 0] = 0
    words = np.full((N, width, 1), start)
    return _Beams(np.arange(N), state, words, log_probs, np.isneginf(log_probs))


def _extend(
    model: CaptioningRNN, beams: _Beams, null: int, end: int, forbidden: list[int]
) -> _Beams:
    """Say one more word: keep the K best of each image's K hypotheses times V words."""
    N, K = beams.log_probs.shape
    # No image can keep more than K words after one hypothesis.
    C = min(K, len(model.word_to_idx))
    read = beams.words[:, :, -1].ravel()
    (words, log_p), state = model.best_words(read, beams.state, C, never=forbidden)
    words, log_p = words.reshape(N, K, C), log_p.reshape(N, K, C)
    log_p[beams.finished] = -np.inf
    log_p[beams.finished, 0] = 0  # a finished caption stays as it is
    words[beams.finished, 0] = null
    totals = (beams.log_probs[:, :, None] + log_p).reshape(N, K * C)
    best = _largest(totals, K)
    parent, word = best // C, np.take_along_axis(words.reshape(N, K * C), best, axis=1)
    rows = (np.arange(N)[:, None] * K + parent).ravel()
    said = np.take_along_axis(beams.words, parent[:, :, None], axis=1)
    log_probs = np.take_along_axis(totals, best, axis=1)
    finished = np.take_along_axis(beams.finished, parent, axis=1)
    return _Beams(
        beams.images,
        tuple(s[rows] for s in state),
        np.concatenate([said, word[:, :, None]], axis=2),
        log_probs,
        finished | (word == end) | np.isneginf(log_probs),
    )


def _largest(values: Array, k: int) -> Array:
    """Return the places of the k largest numbers of each row, largest first."""
    top = np.argpartition(values, values.shape[1] - k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(values, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def _rank(beams: _Beams, n: int, null: int, end: int, length_norm: float) -> list[Hypothesis]:
    """Turn image n's beams into hypotheses, best first."""
    ranked = []
    for words, log_prob in zip(beams.words[n, :, 1:], beams.log_probs[n].tolist(), strict=True):
        if np.isneginf(log_prob):
            continue
        said = tuple(w for w in words.tolist() if w != null)
        ended = end in said
        hypothesis = Hypothesis(said[:-1] if ended else said, log_prob, ended)
        ranked.append((log_prob / max(len(said), 1) ** length_norm, hypothesis))
    return [h for _, h in sorted(ranked, key=lambda pair: -pair[0])]


def _keep(beams: _Beams, images: Array) -> _Beams:
    """Go on with some of the images only."""
    if images.all():
        return beams
    rows = np.repeat(images, beams.log_probs.shape[1])
    return _Beams(
        beams.images[images],
        tuple(s[rows] for s in beams.state),
        beams.words[images],
        beams.log_probs[images],
        beams.finished[images],
    )
