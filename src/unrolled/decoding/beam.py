"""Beam search over the words a model would say; greedy at width one, diverse in groups."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unrolled.decoding.rules import NumberedRules, Rules
from unrolled.decoding.speaker import Speaker
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import State
from unrolled.layers.vocabulary import largest


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


class BeamStep(NamedTuple):
    """What a search kept of each image's hypotheses at one step, K an image.

    Attributes
    ----------
    images : (N,) int
        Places among the features of the images that are still being captioned.
    parents : (N, K) int
        Which of the step before's K hypotheses each goes on from.
    words : (N, K) int
        The word that each says; ``<NULL>`` where a finished caption stays as it is.
    log_probs : (N, K) float64
        Nats, of all words so far; -inf where there is no hypothesis.
    """

    images: Array
    parents: Array
    words: Array
    log_probs: Array


class _Beams(NamedTuple):
    """The hypotheses of the images that are still being captioned, K an image."""

    images: Array  # (N,) places in the caller's features
    state: State  # of (R, H) arrays
    rows: Array  # (N, K) int, each hypothesis's in the state; of a finished one, any
    words: Array  # (N, K, t + 1) said so far, <START> first, <NULL> after <END>
    log_probs: Array  # (N, K) float64, -inf where there is no hypothesis
    penalties: Array  # (N, K) float64, for saying what earlier groups said
    finished: Array  # (N, K) bool
    parents: Array  # (N, K) int, the place of each among those of the step before


class _Chosen(NamedTuple):
    """Which hypotheses go on and how, each an array (N, K)."""

    parent: Array  # a place among the image's hypotheses
    place: Array  # of the word that is said, among the parent's candidates
    penalty: Array


def beam_search(
    model: Speaker,
    features: Any,
    *,
    width: int = 3,
    length_norm: float = 0.0,
    groups: int = 1,
    diversity: float = 0.0,
    precision: str = "float32",
    on_step: Callable[[BeamStep], object] | None = None,
    **rules: Any,
) -> list[list[Hypothesis]]:
    r"""Search for the likeliest captions of a batch of images, several hypotheses at a time.

    At every step each of an image's K hypotheses is extended by every word and the K likeliest are
    kept; one that has said ``<END>`` stays as it is. Words that the rules forbid are passed over,
    but the log-probabilities stay those of the model over its whole vocabulary. Width 1 is greedy.

    In G groups, diverse beam search: the groups, K / G hypotheses each, take turns at every step,
    and a group chooses by

    .. math:: \sum_t \log p(y_t) - \lambda \, n_t(y_t),

    where :math:`n_t(y)` counts how often earlier groups have said y at step t.

    Parameters
    ----------
    model : Speaker
        A `unrolled.CaptioningRNN`, or an `Ensemble`.
    features : (N, ...), the model's dtype
        What its ``start`` takes of N images.
    width : int
        K, hypotheses an image.
    length_norm : float
        Hypotheses found are ranked by :math:`\log p / n^\alpha` with n words, ``<END>`` included; 0
        ranks by probability, 1 by probability a word.
    groups : int
        G, a divisor of K.
    diversity : float
        :math:`\lambda`, nats, at least 0.
    precision : "float32", "bfloat16" or "auto"
        Of what the model's compiled products multiply; sums are float32.
    on_step : callable, optional
        Is told of every step as it is done.
    **rules
        Those of `Rules`: ``max_length``, ``min_length``, ``never``, ``no_repeat_ngram`` and
        ``prefix``. ``<NULL>`` may never be said.

    Returns
    -------
    list of N lists of K Hypothesis
        Best first. Fewer than K where the rules allow no more, or groups found the same.

    Raises
    ------
    InputError
        If an option is out of range, the rules contradict each other or leave no caption, or the
        vocabulary has no ``<NULL>``, ``<START>`` or ``<END>``.
    ShapeError, DTypeError
        If the features do not fit the model.

    References
    ----------
    Graves (2012), algorithm 1; Wu et al. (2016), section 7, for the length normalisation;
    Vijayakumar et al. (2016), algorithm 1, with Hamming diversity.
    """
    _check_options(width, groups, diversity)
    held = Rules(**rules)
    never = (*held.never, "<NULL>")  # which is what fills up a finished caption
    numbered = dataclasses.replace(held, never=never).numbered(model.word_to_idx)
    model = model.ready(precision)
    beams = _start(model, features, width, groups, numbered.start)
    found: list[list[Hypothesis]] = [[] for _ in beams.images]
    for length in range(1, held.max_length + 1):
        if not len(beams.images):
            break
        beams = _extend(model, beams, numbered, groups, diversity)
        if on_step is not None:
            on_step(BeamStep(beams.images, beams.parents, beams.words[:, :, -1], beams.log_probs))
        last = np.full(len(beams.images), length == held.max_length)
        done: Array = beams.finished.all(axis=1) | last
        over = _keep(beams, done)
        for n, ranked in zip(over.images.tolist(), _rank(over, numbered, length_norm), strict=True):
            found[n] = ranked
        beams = _keep(beams, ~done)
    return found


def _check_options(width: int, groups: int, diversity: float) -> None:
    if width < 1:
        raise InputError(f"beam_search: width must be at least 1, got {width}")
    if groups < 1 or width % groups:
        raise InputError(
            f"beam_search: groups must divide the width of {width} evenly, got {groups}"
        )
    if not 0 <= diversity < math.inf:
        raise InputError(f"beam_search: diversity must be at least 0, got {diversity}")


def _start(model: Speaker, features: Any, width: int, groups: int, start: int) -> _Beams:
    """Begin with one hypothesis an image and group; the others enter at the first step."""
    state = model.start(features)
    N = len(state[0])
    rows = np.repeat(np.arange(N)[:, None], width, axis=1)
    log_probs = np.full((N, width), -np.inf)
    log_probs[:, :: width // groups] = 0
    words = np.full((N, width, 1), start)
    none = np.zeros((N, width))
    finished = np.isneginf(log_probs)
    return _Beams(np.arange(N), state, rows, words, log_probs, none, finished, rows)


def _extend(
    model: Speaker, beams: _Beams, rules: NumberedRules, groups: int, diversity: float
) -> _Beams:
    """Say one more word: keep the best of each image's hypotheses times V words."""
    N, K, t = beams.words.shape  # t words said, <START> among them
    repeating = rules.most_repeating(t - 1)
    # No image can keep more than K words after one hypothesis, and where words are passed over or
    # penalised in some captions only, as many words further down take their places.
    C = min(K + repeating, len(model.word_to_idx))
    going_on = ~beams.finished  # no other is computed
    before = _rows_of(beams.state, beams.rows[going_on])
    read = beams.words[:, :, -1][going_on]
    best, state = model.best_words(read, before, C, never=rules.never_at(t - 1))
    if repeating:
        best.log_p[_among(best.words, rules.repeating(beams.words[going_on, 1:]))] = -np.inf
    words, log_p = np.full((N, K, C), rules.null), np.full((N, K, C), -np.inf)
    words[going_on], log_p[going_on] = best
    log_p[beams.finished, 0] = 0  # a finished caption stays as it is
    totals = beams.log_probs[:, :, None] + log_p
    words[totals == -np.inf] = rules.null  # of no hypothesis, and read all the same
    parent, place, penalty = _choose(beams, words, totals, groups, diversity, rules)
    rows = np.zeros((N, K), int)
    rows[going_on] = np.arange(len(read))
    parents = np.arange(N)[:, None], parent
    chosen = *parents, place
    word, log_probs = words[chosen], totals[chosen]
    return _Beams(
        beams.images,
        state,
        rows[parents],
        np.concatenate([beams.words[parents], word[:, :, None]], axis=2),
        log_probs,
        penalty,
        beams.finished[parents] | (word == rules.end) | (log_probs == -np.inf),
        parent,
    )


def _rows_of(state: State, rows: Array) -> State:
    """Take the rows of every member: the state itself where they are all of them, in order."""
    if len(rows) == len(state[0]) and (rows == np.arange(len(rows))).all():
        return state
    return tuple(member[rows] for member in state)


def _among(words: Array, others: Array) -> Array:
    """Mark the words of each row that are among the others of that row."""
    marked: Array = (words[:, :, None] == others[:, None, :]).any(axis=2)
    return marked


def _choose(
    beams: _Beams, words: Array, totals: Array, groups: int, diversity: float, rules: NumberedRules
) -> _Chosen:
    """Choose K of each image's (N, K, C) extended hypotheses, group after group.

    At most K - K / G words have been said by earlier groups, so that the K / G best of a hypothesis
    under the penalty are among its K likeliest.
    """
    N, K, C = totals.shape
    if groups == 1:
        best = largest(totals.reshape(N, K * C), K)
        return _Chosen(best // C, best % C, beams.penalties)
    said = np.zeros((N, words.max(initial=0) + 1))  # how often, by earlier groups, at this step
    images, size = np.arange(N)[:, None], K // groups
    chosen = []
    for first in range(0, K, size):
        own = slice(first, first + size)
        again = said[images[:, :, None], words[:, own]]
        penalties = beams.penalties[:, own, None] + diversity * again
        best = largest((totals[:, own] - penalties).reshape(N, size * C), size)
        parent, place = best // C, best % C
        chosen.append(_Chosen(first + parent, place, penalties[images, parent, place]))
        word = words[images, first + parent, place]
        np.add.at(said, (images, word), word != rules.null)
    return _Chosen(*(np.concatenate(parts, axis=1) for parts in zip(*chosen, strict=True)))


def _rank(beams: _Beams, rules: NumberedRules, length_norm: float) -> list[list[Hypothesis]]:
    """Turn every image's beams into hypotheses, best first."""
    words = beams.words[:, :, 1:]
    lengths = np.count_nonzero(words != rules.null, axis=2)  # <NULL> only fills up
    ended = (words == rules.end).any(axis=2)
    scores = beams.log_probs / np.maximum(lengths, 1) ** float(length_norm)
    best_first = np.arange(len(scores))[:, None], np.argsort(-scores, axis=1, kind="stable")
    parts = words, lengths - ended, beams.log_probs, ended
    found = []
    for image in zip(*(part[best_first].tolist() for part in parts), strict=True):
        ranked: dict[tuple[int, ...], Hypothesis] = {}
        for filled, length, log_prob, end in zip(*image, strict=True):
            if log_prob == -math.inf:
                continue
            said = tuple(filled[:length])
            ranked.setdefault(said, Hypothesis(said, log_prob, end))
        if not ranked:
            raise rules.refuse(words.shape[2] - 1)
        found.append(list(ranked.values()))
    return found


def _keep(beams: _Beams, images: Array) -> _Beams:
    """Go on with some of the images only."""
    if images.all():
        return beams
    return _Beams(
        beams.images[images],
        beams.state,
        beams.rows[images],
        beams.words[images],
        beams.log_probs[images],
        beams.penalties[images],
        beams.finished[images],
        beams.parents[images],
    )
