"""Captions drawn from what a model finds likely, instead of the likeliest."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from unrolled.decoding.beam import NEVER_SAID
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN


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


def sample_captions(
    model: CaptioningRNN,
    features: Array,
    rng: np.random.Generator,
    *,
    samples: int = 1,
    max_length: int = 30,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    never: Collection[str] = NEVER_SAID,
) -> Samples:
    r"""Draw captions word by word, :math:`w_t \sim \mathrm{softmax}(s_t / \tau)`.

    Of the words that may be said, the distribution keeps the `top_k` likeliest, and of these as few
    as hold `top_p` of the probability between them; what is kept is scaled to sum to one. Equal
    generators draw equal captions.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, ...), the model's dtype
    rng : numpy.random.Generator
    samples : int
        K, captions an image.
    max_length : int
        T, words at most, ``<END>`` included.
    temperature : float
        :math:`\tau`, above 0: below 1 likely words become likelier.
    top_k : int
        0 keeps all words.
    top_p : float
        In (0, 1]; 1 keeps all words.
    never : collection of str
        Words that may not be said, where the vocabulary has them. With none, captions are drawn
        from the model's own distribution, as policy gradients need it.

    Returns
    -------
    Samples

    Raises
    ------
    InputError
        If an option is out of range, or the vocabulary lacks ``<NULL>``, ``<START>`` or ``<END>``.
    ShapeError, DTypeError
        If the features do not fit the model.

    References
    ----------
    Fan et al. (2018), section 5.1 (top-k); Holtzman et al. (2020), section 3.1 (nucleus).
    """
    _check_options(samples, max_length, temperature, top_k, top_p)
    vocabulary = model.word_to_idx
    missing = {"<NULL>", "<START>", "<END>"} - vocabulary.keys()
    if missing:
        raise InputError(f"sample_captions: the vocabulary lacks {', '.join(sorted(missing))}")
    forbidden = [vocabulary[word] for word in never if word in vocabulary]
    null, end = vocabulary["<NULL>"], vocabulary["<END>"]
    shape, rows = (len(features), samples), len(features) * samples
    words = np.full((rows, max_length), null, np.int32)
    lengths, log_probs = np.zeros(rows, np.int32), np.zeros(rows)
    speaking = np.arange(rows)  # whose captions have not ended: no other is computed
    state = tuple(np.repeat(s, samples, axis=0) for s in model.start(features))
    said = np.full(rows, vocabulary["<START>"])
    for t in range(max_length):
        if not speaking.size:
            break
        scores, state = model.step(said, state)
        said = draw_words(
            scores, rng, temperature=temperature, top_k=top_k, top_p=top_p, forbidden=forbidden
        )
        words[speaking, t] = said
        lengths[speaking] = t + 1
        log_probs[speaking] += _log_probs(scores, said)
        going_on = said != end
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
    scores = scores.astype(np.float64) / temperature
    scores[:, list(forbidden)] = -np.inf
    if 0 < top_k < scores.shape[1]:
        kth = np.partition(scores, -top_k, axis=1)[:, -top_k, None]
        scores[scores < kth] = -np.inf
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    if top_p < 1:
        weights[~_nucleus(weights, top_p)] = 0
    heaped = np.cumsum(weights, axis=1)
    # The first word whose heap reaches the number, which is above 0: never one of weight 0.
    reached = (1 - rng.random(len(heaped)))[:, None] * heaped[:, -1:]
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


def _log_probs(scores: Array, words: Array) -> Array:
    top = scores.max(axis=1)
    totals = np.exp(scores - top[:, None]).sum(axis=1, dtype=np.float64)
    log_p: Array = scores[np.arange(len(words)), words] - top - np.log(totals)
    return log_p


def _check_options(
    samples: int, max_length: int, temperature: float, top_k: int, top_p: float
) -> None:
    for name, value, fits, wanted in (
        ("samples", samples, samples >= 1, "at least 1"),
        ("max_length", max_length, max_length >= 1, "at least 1"),
        ("temperature", temperature, 0 < temperature < math.inf, "above 0 and finite"),
        ("top_k", top_k, top_k >= 0, "at least 0"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0 and at most 1"),
    ):
        if not fits:
            raise InputError(f"sample_captions: {name} must be {wanted}, got {value!r}")
