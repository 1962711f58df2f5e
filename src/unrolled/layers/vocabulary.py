"""The vocabulary layer and its softmax loss as one, so that scores need not be held whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled import kernels
from unrolled.errors import InputError
from unrolled.layers.affine import affine_backward, affine_forward
from unrolled.layers.arrays import Array, check_floats, check_ids, check_shapes
from unrolled.layers.product import check_precision, product, runs_compiled
from unrolled.layers.softmax import check_smoothing, softmax_loss


class VocabularyLoss(NamedTuple):
    """A loss in nats, and its gradients shaped as the arguments."""

    loss: np.floating
    dh: Array
    dw: Array
    db: Array


def vocabulary_loss(
    h: Array,
    w: Array,
    b: Array,
    y: Array,
    weights: Array,
    *,
    smoothing: float = 0.0,
    precision: str = "float32",
) -> VocabularyLoss:
    r"""Weighted softmax loss of the scores :math:`h W + b`, and all its gradients.

    What `affine_forward`, `softmax_loss` and `affine_backward` give one after the other. Compiled,
    the rows go by blocks: the scores of all P rows are never in memory at once.

    Parameters
    ----------
    h : (P, H) float
    w : (H, V) float
    b : (V,) float
    y : (P,) int
        The true words.
    weights : (P,) float
        What each row counts.
    smoothing : float in [0, 1)
        Part of each row's target that is spread evenly over all V words; see `softmax_loss`.
    precision : "float32" or "bfloat16"
        Of what products multiply where h is float32; see `unrolled.layers.product`.

    Returns
    -------
    VocabularyLoss
        The loss in nats.

    Raises
    ------
    ShapeError
        If P, H or V do not match.
    DTypeError
        If the arrays are not of one floating-point dtype, or y holds no integers.
    InputError
        If a word lies outside the vocabulary, smoothing is out of range, or there is no such
        precision.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.2.2.3.
    """
    where = "vocabulary_loss"
    check_floats(where, h=h, w=w, b=b, weights=weights)
    size = check_shapes(
        where, h=(h, "P H"), w=(w, "H V"), b=(b, "V"), y=(y, "P"), weights=(weights, "P")
    )
    check_ids(where, y, size["V"], name="y")
    check_smoothing(where, smoothing)
    check_precision(where, precision)
    if runs_compiled(h):
        if size["V"] == 0:
            raise InputError(f"{where}: the vocabulary is empty, w has shape {w.shape}")
        loss, dh, dw, db = kernels.cross_entropy(
            h, w, b, y, weights, smoothing=smoothing, precision=precision
        )
        return VocabularyLoss(h.dtype.type(loss), dh, dw, db)
    scores, cache = affine_forward(h, w, b, precision=precision)
    total, dscores = softmax_loss(scores, y, weights, smoothing=smoothing)
    return VocabularyLoss(total, *affine_backward(dscores, cache))


class BestWords(NamedTuple):
    """Words of each row and their log-probabilities in nats, likeliest first, both (P, K)."""

    words: Array
    log_p: Array


def best_words(
    h: Array,
    w: Array,
    b: Array,
    count: int,
    *,
    never: Sequence[int] = (),
    precision: str = "float32",
) -> BestWords:
    r"""Choose the likeliest words, :math:`\log p_{pv} = s_{pv} - \log \sum_u e^{s_{pu}}`.

    Compiled, the scores :math:`s = h W + b` of all rows are never in memory at once.

    Parameters
    ----------
    h : (P, H) float
    w : (H, V) float
    b : (V,) float
    count : int
        K, words to choose for each row.
    never : sequence of int
        Words that are passed over; the log-probabilities are those among all words.
    precision : "float32" or "bfloat16"
        Of what products multiply where h is float32; see `unrolled.layers.product`.

    Returns
    -------
    BestWords
        Of equal words the first. -inf is the log-probability where a row has no further word.

    Raises
    ------
    ShapeError
        If H or V do not match.
    DTypeError
        If the arrays are not of one floating-point dtype, or never holds no integers.
    InputError
        If count is below 1 or above V, a word of never is none, or there is no such precision.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.2.2.3.
    """
    where = "best_words"
    check_floats(where, h=h, w=w, b=b)
    size = check_shapes(where, h=(h, "P H"), w=(w, "H V"), b=(b, "V"))
    check_precision(where, precision)
    check_count(where, count, size["V"])
    penalty = penalty_of(where, never, size["V"], b.dtype)
    if runs_compiled(h):
        log_p, words = kernels.top_words(h, w, b, penalty, count, precision=precision)
        return BestWords(words, log_p)
    scores = product(h, w, b, precision=precision)
    top = scores.max(axis=1, keepdims=True)
    log_total = top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    scores += penalty
    words = largest(scores, count)
    return BestWords(words, np.take_along_axis(scores, words, axis=1) - log_total)


def check_count(where: str, count: int, words: int) -> None:
    """Hold a number of words to choose to being one of those there are.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    count : int
    words : int
        V.

    Raises
    ------
    InputError
        If count is below 1 or above V.
    """
    if not 1 <= count <= words:
        raise InputError(f"{where}: count must be from 1 to the {words} words, got {count}")


def penalty_of(where: str, never: Sequence[int], words: int, dtype: np.dtype[Any]) -> Array:
    """Give what is added to scores so that some words are not chosen.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    never : sequence of int
    words : int
        V.
    dtype : dtype
        The scores'.

    Returns
    -------
    (V,), of this dtype
        -inf for the words of never, otherwise 0.

    Raises
    ------
    DTypeError
        If never holds no integers.
    InputError
        If one of them is no word's id.
    """
    penalty = np.zeros(words, dtype)
    if len(never):
        ids = np.asarray(never)
        check_ids(where, ids, words, name="never")
        penalty[ids] = -np.inf
    return penalty


def largest(values: Array, k: int) -> Array:
    """Find the places of the k largest numbers of each row.

    Parameters
    ----------
    values : (N, V) float
    k : int
        From 1 to V.

    Returns
    -------
    (N, k) int
        Largest first, and of equal ones the first; what is nan counts as -inf.
    """
    values = np.fmax(values, values.dtype.type(-np.inf))
    if k == 1:
        first: Array = values.argmax(axis=1)[:, None]
        return first
    last = np.partition(values, -k, axis=1)[:, -k, None]
    larger, equal = values > last, values == last
    room = k - np.count_nonzero(larger, axis=1)[:, None]
    found = np.nonzero(larger | (equal & (equal.cumsum(axis=1) <= room)))[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(values, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)
