"""Captions drawn from what a model finds likely, instead of the likeliest."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled.decoding.beam import Hypothesis
from unrolled.decoding.rules import NumberedRules, Rules
from unrolled.decoding.speaker import Speaker
from unrolled.errors import InputError
from unrolled.layers.arrays import Array


class Samples(NamedTuple):
    """Captions drawn for N images, K each.

    Attributes
    ----------
    words : (N, K, T) int32
        The first word said first, without ``<START>``; ``<NULL>`` after the last word.
    lengths : (N, K) int32
        Words said, ``<END>`` included; T where the longest length cut the caption.
    log_probs : (N, K) float64
        Nats: the model's log-probability of the words, over its whole vocabulary and at
        temperature 1, however they were drawn.
    """

    words: Array
    lengths: Array
    log_probs: Array

    def hypotheses(self, end: int) -> list[list[Hypothesis]]:
        """Give each image's captions as a search does, likeliest first.

        Parameters
        ----------
        end : int
            The number of ``<END>``.

        Returns
        -------
        list of N lists of K Hypothesis
        """
        found = []
        for drawn in zip(*(part.tolist() for part in self), strict=True):
            captions = []
            for words, length, log_prob in zip(*drawn, strict=True):
                finished = words[length - 1] == end
                said = tuple(words[: length - finished])
                captions.append(Hypothesis(said, log_prob, finished))
            found.append(sorted(captions, key=lambda each: -each.log_prob))
        return found


def sample_captions(
    model: Speaker,
    features: Any,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    samples: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    precision: str = "float32",
    **rules: Any,
) -> Samples:
    r"""Draw captions word by word, :math:`w_t \sim \mathrm{softmax}(s_t / \tau)`.

    Of the words that may be said, the distribution keeps the `top_k` likeliest, and of these as few
    as hold `top_p` of the probability between them; what is kept is scaled to sum to one. Equal
    generators draw equal captions.

    Parameters
    ----------
    model : Speaker
        A `unrolled.CaptioningRNN`, or an `Ensemble`.
    features : (N, ...), the model's dtype
        What its ``start`` takes of N images.
    rng : numpy.random.Generator, or a sequence of N
        With a generator for each image, its captions do not depend on the other images.
    samples : int
        K, captions an image.
    temperature : float
        :math:`\tau`, above 0: below 1 likely words become likelier.
    top_k : int
        0 keeps all words.
    top_p : float
        In (0, 1]; 1 keeps all words.
    precision : "float32", "bfloat16" or "auto"
        Of what the model's compiled products multiply; sums are float32.
    **rules
        Those of `Rules`: ``max_length``, ``min_length``, ``never``, ``no_repeat_ngram`` and
        ``prefix``. With ``never=()`` captions are drawn from the model's own distribution, as
        policy gradients need it.

    Returns
    -------
    Samples

    Raises
    ------
    InputError
        If an option is out of range, the rules contradict each other or leave no word to say, or
        the vocabulary lacks ``<NULL>``, ``<START>`` or ``<END>``.
    ShapeError, DTypeError
        If the features do not fit the model.

    References
    ----------
    Fan et al. (2018), section 5.1 (top-k); Holtzman et al. (2020), section 3.1 (nucleus).
    """
    _check_options(samples, temperature, top_k, top_p)
    held = Rules(**rules)
    numbered = held.numbered(model.word_to_idx)
    model = model.ready(precision)
    start = model.start(features)
    images, max_length = len(start[0]), held.max_length
    shape, rows = (images, samples), images * samples
    chances = _Chances(rng, *shape, max_length)
    words = np.full((rows, max_length), numbered.null, np.int32)
    lengths, log_probs = np.zeros(rows, np.int32), np.zeros(rows)
    speaking = np.arange(rows)  # whose captions have not ended: no other is computed
    state = tuple(np.repeat(s, samples, axis=0) for s in start)
    said = np.full(rows, numbered.start)
    for t in range(max_length):
        if not speaking.size:
            break
        scores, state = model.step(said, state)
        allowed = _allowed(scores, words[speaking, :t], numbered)
        said = _pick(allowed, chances.at(t, speaking), temperature, top_k, top_p)
        words[speaking, t] = said
        lengths[speaking] = t + 1
        log_probs[speaking] += _log_probs(scores, said)
        going_on = said != numbered.end
        if not going_on.all():
            speaking, said = speaking[going_on], said[going_on]
            state = tuple(s[going_on] for s in state)
    return Samples(
        words.reshape(*shape, max_length), lengths.reshape(shape), log_probs.reshape(shape)
    )


def draw_words(
    scores: Array,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    forbidden: Collection[int] = (),
) -> Array:
    """Draw a word from each row of scores; see `sample_captions` for the options.

    Parameters
    ----------
    scores : (N, V) float
        Logits.
    rng : numpy.random.Generator
        Gives one number a row.
    temperature : float
    top_k : int
    top_p : float
    forbidden : collection of int
        Words that are not drawn.

    Returns
    -------
    (N,) int
    """
    if forbidden:
        scores = scores.copy()
        scores[:, list(forbidden)] = -np.inf
    return _pick(scores, rng.random(len(scores)), temperature, top_k, top_p)


def _pick(scores: Array, chance: Array, temperature: float, top_k: int, top_p: float) -> Array:
    """Pick from each row the word that a number in [0, 1) falls on."""
    scores = scores.astype(np.float64) / temperature
    if 0 < top_k < scores.shape[1]:
        kth = np.partition(scores, -top_k, axis=1)[:, -top_k, None]
        scores[scores < kth] = -np.inf
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    if top_p < 1:
        weights[~_nucleus(weights, top_p)] = 0
    heaped = np.cumsum(weights, axis=1)
    # The first word whose heap reaches the number, which is above 0: never one of weight 0.
    reached = (1 - chance)[:, None] * heaped[:, -1:]
    drawn: Array = np.count_nonzero(heaped < reached, axis=1)
    return drawn


def _nucleus(weights: Array, top_p: float) -> Array:
    """Mark the fewest words of each row that hold this share of its weight."""
    order = np.argsort(-weights, axis=1, kind="stable")
    falling = np.take_along_axis(weights, order, axis=1)
    before = np.cumsum(falling, axis=1) - falling
    kept = np.empty(weights.shape, bool)
    np.put_along_axis(kept, order, before < top_p * weights.sum(axis=1, keepdims=True), axis=1)
    return kept


def _allowed(scores: Array, said: Array, rules: NumberedRules) -> Array:
    """Give the scores with those of forbidden words at minus infinity."""
    if rules.forbid_nothing:
        return scores
    allowed: Array = scores.copy()
    rules.forbid(allowed, said)
    if np.isneginf(allowed.max(axis=1)).any():
        raise rules.refuse(said.shape[1])
    return allowed


class _Chances:
    """A number in [0, 1) for each word: from one generator as needed, or from one an image."""

    def __init__(
        self,
        rng: np.random.Generator | Sequence[np.random.Generator],
        images: int,
        samples: int,
        max_length: int,
    ) -> None:
        self.rng = rng
        self.drawn = np.empty((0, max_length))
        if isinstance(rng, np.random.Generator):
            return
        if len(rng) != images:
            raise InputError(f"sample_captions: {len(rng)} generators for {images} images")
        if images:  # all beforehand: how many an image uses changes nothing for the others
            self.drawn = np.concatenate([each.random((samples, max_length)) for each in rng])

    def at(self, t: int, rows: Array) -> Array:
        """Give a number for each of these captions."""
        if isinstance(self.rng, np.random.Generator):
            return self.rng.random(len(rows))
        drawn: Array = self.drawn[rows, t]
        return drawn


def _log_probs(scores: Array, words: Array) -> Array:
    top = scores.max(axis=1)
    totals = np.exp(scores - top[:, None]).sum(axis=1, dtype=np.float64)
    log_p: Array = scores[np.arange(len(words)), words] - top - np.log(totals)
    return log_p


def _check_options(samples: int, temperature: float, top_k: int, top_p: float) -> None:
    for name, value, fits, wanted in (
        ("samples", samples, samples >= 1, "at least 1"),
        ("temperature", temperature, 0 < temperature < math.inf, "above 0 and finite"),
        ("top_k", top_k, top_k >= 0, "at least 0"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0 and at most 1"),
    ):
        if not fits:
            raise InputError(f"sample_captions: {name} must be {wanted}, got {value!r}")
