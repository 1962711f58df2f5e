"""The vocabulary layer of every compiled path against NumPy's text: loss, and best words."""

from __future__ import annotations

import numpy as np
import pytest
from agreeing import (
    EPS,
    close,
    counts,
    draw,
    penalty,
    precisions,
    quick,
    scrambled,
    seeds,
    wide,
    widths,
)
from hypothesis import given
from hypothesis import strategies as st

from unrolled import kernels, layers


@quick
@given(
    P=st.one_of(counts, st.integers(250, 300)),  # threads share the words up to 256 rows
    H=widths,
    V=st.one_of(st.integers(1, 70), st.integers(200, 600), st.integers(1270, 1300)),
    seed=seeds,
    precision=precisions,
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
)
def test_vocabulary_loss(path, P, H, V, seed, precision, smoothing):
    check_vocabulary(np.random.default_rng(seed), P, H, V, precision, smoothing=smoothing)


def check_vocabulary(rng, P, H, V, precision, size=1.0, smoothing=0.0, lay=scrambled):
    h, w, b, weights = draw(rng, (P, H), (H, V), (V,), (P,))
    w = w * np.float32(size / np.sqrt(H))
    y = rng.integers(0, V, P)
    got = layers.vocabulary_loss(
        h, lay(rng, w), b, y, weights, smoothing=smoothing, precision=precision
    )
    want = layers.vocabulary_loss(
        *wide(h, w, b), y, weights.astype(np.float64), smoothing=smoothing
    )
    tolerance = (64 * EPS if precision == "float32" else 2.0**-4) * max(size, 1)
    assert abs(got.loss - want.loss) <= tolerance * (1 + np.abs(weights).sum())
    # What smoothing takes from all words alike does not round with what it is taken from; of one or
    # two words the two may cancel.
    least = 0.2 + smoothing * np.abs(weights).max(initial=0) * np.abs(h).max(initial=0)
    for ours, theirs in zip(got[1:], want[1:], strict=True):
        close(ours, theirs, tolerance, least)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vocabulary_loss_in_parts(path, precision, smoothing):
    """Many rows, scores of many rows and of few, columns."""
    rng = np.random.default_rng(9)
    sizes = (500, 7, 300), (460, 5, 40000), (250, 5, 70000), (33, 1100, 70), (9, 2500, 1100)
    for P, H, V in sizes:
        check_vocabulary(rng, P, H, V, precision, smoothing=smoothing)


@pytest.mark.parametrize("lay", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vocabulary_loss_of_wide_weights(path, precision, lay):
    """Threads lay the weights out both ways by stretches of a thousand numbers and fewer."""
    rng = np.random.default_rng(10)
    sizes = (17, 1100, 70), (17, 70, 1100), (9, 33, 2100), (270, 1100, 70), (270, 40, 1100)
    for P, H, V in sizes:
        check_vocabulary(rng, P, H, V, precision, lay=lambda _, w: lay(w))


@pytest.mark.parametrize("P", [40, 270])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vocabulary_loss_of_scores_far_from_zero_and_apart(path, precision, P):
    rng = np.random.default_rng(9)
    check_vocabulary(rng, P // 2, 30, 1300, precision, size=40.0)
    h, w, b = draw(rng, (P, 31), (31, 1300), (1300,))
    h[:, 0], w[0] = rng.choice([-1000, -500, 0, 0, 500], P), 1  # the same on all scores of a row
    y, weights = rng.integers(0, 1300, P), np.full(P, np.float32(0.1))
    got = layers.vocabulary_loss(h, w, b, y, weights, smoothing=0.1, precision=precision)
    want = layers.vocabulary_loss(*wide(h, w, b), y, weights.astype(np.float64), smoothing=0.1)
    tolerance = 1e-3 if precision == "float32" else 0.1
    assert got.loss == pytest.approx(want.loss, rel=tolerance)
    close(got.dh, want.dh, tolerance)
    close(got.dw[1:], want.dw[1:], tolerance)
    close(got.db, want.db, tolerance)


@quick
@given(P=counts, H=widths, V=st.integers(1, 70), seed=seeds, precision=precisions)
def test_best_words(path, P, H, V, seed, precision):
    rng = np.random.default_rng(seed)
    h, w, b = draw(rng, (P, H), (H, V), (V,))
    w = np.round(w * 2)  # small whole numbers: products are exact, and ties are frequent
    h, b = np.round(h), np.round(b)
    count = int(rng.integers(1, V + 1))
    never = np.flatnonzero(rng.random(V) < 0.2)
    log_p, words = kernels.top_words(
        h, scrambled(rng, w), b, penalty(V, never), count, precision=precision
    )
    scores = h.astype(np.float64) @ w + b
    top = scores.max(axis=1, initial=0, keepdims=True)
    all_log_p = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    all_log_p[:, never] = -np.inf
    order = np.argsort(-all_log_p, axis=1, kind="stable")[:, :count]
    want = np.take_along_axis(all_log_p, order, axis=1)
    np.testing.assert_allclose(log_p, want, rtol=1e-5, atol=1e-5)
    chosen = np.isfinite(want)
    np.testing.assert_array_equal(words[chosen], order[chosen])
    text = layers.best_words(*wide(h, w, b), count, never=never)
    np.testing.assert_array_equal(text.words[chosen], order[chosen])  # ties, too


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_best_words_of_more_rows_than_threads_take_at_a_time(path, precision):
    h, w, b = draw(np.random.default_rng(12), (1300, 9), (9, 300), (300,))
    log_p, words = kernels.top_words(h, w, b, 0 * b, 3, precision=precision)
    for first in range(0, 1300, 200):
        some = slice(first, first + 200)
        part = kernels.top_words(h[some], w, b, 0 * b, 3, precision=precision)
        np.testing.assert_array_equal(part[0], log_p[some])
        np.testing.assert_array_equal(part[1], words[some])


@pytest.mark.parametrize("levels", [(0, 1, 2, 3), (-400, 300, -900, 301), (80, 40, 0, -40)])
def test_best_words_of_scores_that_lie_far_apart(path, levels):
    rng = np.random.default_rng(11)
    h, w = draw(rng, (37, 20), (20, 256 * len(levels)))
    b = np.repeat(np.float32(levels), 256)  # a level for each stretch of words
    log_p, words = kernels.top_words(h, w, b, penalty(len(b), []), 3)
    scores = h.astype(np.float64) @ w + b
    top = scores.max(axis=1, keepdims=True)
    all_log_p = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    want = np.sort(all_log_p)[:, :-4:-1]
    np.testing.assert_allclose(log_p, want, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(all_log_p, words, 1), want, rtol=1e-5, atol=1e-4)
