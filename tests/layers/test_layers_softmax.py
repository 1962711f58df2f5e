"""The temporal softmax loss: what the mask hides has no say, and the division is by N alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.layers import softmax_loss, temporal_softmax_loss

N, T, V = 3, 4, 5
MASK = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0]], bool)


def draw(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, T, V)).astype(dtype), rng.integers(V, size=(N, T))


def naive(x, y, weights):
    """The assignment's equation, one position after another."""
    loss, dx = 0.0, np.zeros_like(x)
    for n, t in np.ndindex(y.shape):
        p = np.exp(x[n, t]) / np.exp(x[n, t]).sum()
        loss -= weights[n, t] * np.log(p[y[n, t]]) / len(x)
        p[y[n, t]] -= 1
        dx[n, t] = weights[n, t] * p / len(x)
    return loss, dx


@pytest.mark.parametrize("mask", [MASK, np.ones((N, T), bool), np.zeros((N, T), bool)])
def test_against_the_equation(mask):
    x, y = draw()
    expected_loss, expected_dx = naive(x, y, mask)
    loss, dx = temporal_softmax_loss(x, y, mask)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-14)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-13, atol=1e-16)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), dtype=st.sampled_from(["float32", "float64", "int64", "uint8"]))
def test_weights_of_any_dtype(seed, dtype):
    x, y = draw(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(N, T)).astype(dtype)
    weights = weights / 2 if dtype.startswith("float") else weights
    expected_loss, expected_dx = naive(x, y, weights)
    loss, dx = temporal_softmax_loss(x, y, weights)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_mask_in_bool_int_and_float(dtype):
    x, y = draw(dtype)
    expected = temporal_softmax_loss(x, y, MASK)
    for kind in (np.int64, np.uint8, np.int8, np.float32, np.float64):
        came = temporal_softmax_loss(x, y, MASK.astype(kind))
        assert came.loss == expected.loss
        assert came.loss.dtype == came.dx.dtype == dtype
        np.testing.assert_array_equal(came.dx, expected.dx)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scores", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("word", [-1, V, 10**9, -(2**62)])
def test_whatever_stands_where_the_mask_is_zero_has_no_say(dtype, scores, word):
    x, y = draw(dtype)
    expected = temporal_softmax_loss(x, y, MASK)
    x[~MASK], y[~MASK] = scores, word
    came = temporal_softmax_loss(x, y, MASK)
    assert came.loss == expected.loss
    np.testing.assert_array_equal(came.dx, expected.dx)
    np.testing.assert_array_equal(came.dx[~MASK], 0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), copies=st.integers(1, 4))
def test_the_loss_is_divided_by_items_only(seed, copies):
    """The same item again leaves the loss; the same words again double it."""
    x, y = draw(seed=seed)
    loss, _ = temporal_softmax_loss(x, y, MASK)
    repeat = [np.concatenate([a] * copies) for a in (x, y, MASK)]
    assert temporal_softmax_loss(*repeat).loss == pytest.approx(loss, rel=1e-13)
    longer = [np.concatenate([a] * copies, axis=1) for a in (x, y, MASK)]
    assert temporal_softmax_loss(*longer).loss == pytest.approx(copies * loss, rel=1e-13)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), shift=st.floats(-100, 100))
def test_scores_shifted_as_one_change_nothing_and_gradients_sum_to_zero(seed, shift):
    x, y = draw(seed=seed)
    loss, dx = temporal_softmax_loss(x, y, MASK)
    shifted, _ = temporal_softmax_loss(x + shift, y, MASK)
    assert shifted == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(dx.sum(axis=-1), 0, atol=1e-15)


@pytest.mark.parametrize("words", [1, 2, 10, 1000])
def test_equal_scores_cost_the_logarithm_of_the_vocabulary(words):
    x = np.full((2, 3, words), 7.0)
    loss, _ = temporal_softmax_loss(x, np.zeros((2, 3), int), np.ones((2, 3), bool))
    assert loss == pytest.approx(3 * np.log(words), rel=1e-14, abs=1e-15)


def test_rows_are_the_temporal_loss_of_one_step():
    x, y = draw()
    rows = softmax_loss(x[:, 0], y[:, 0], np.full(N, 1 / N))
    steps = temporal_softmax_loss(x[:, :1], y[:, :1], np.ones((N, 1), bool))
    assert rows.loss == pytest.approx(steps.loss, rel=1e-15)
    np.testing.assert_allclose(rows.dx, steps.dx[:, 0], rtol=1e-14)


def test_a_negative_weight_turns_the_gradient():
    """As self-critical training needs it."""
    x, y = draw()
    one, minus = (softmax_loss(x[:, 0], y[:, 0], np.full(N, w)) for w in (1.0, -1.0))
    assert minus.loss == -one.loss
    np.testing.assert_array_equal(minus.dx, -one.dx)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_a_smoothed_target_against_the_equation(smoothing):
    x, y = draw()
    scores, words = x.reshape(-1, V), y.ravel()
    weights = np.arange(len(words)) / 7
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(V)[words] + smoothing / V
    loss, dx = softmax_loss(scores, words, weights, smoothing=smoothing)
    np.testing.assert_allclose(loss, -(weights[:, None] * target * log_p).sum(), rtol=1e-13)
    np.testing.assert_allclose(dx, weights[:, None] * (np.exp(log_p) - target), atol=1e-15)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_a_smoothing_that_cannot_be(smoothing):
    x, y = draw()
    with pytest.raises(InputError, match=r"^softmax_loss: smoothing must be in \[0, 1\)"):
        softmax_loss(x[:, 0], y[:, 0], np.ones(N), smoothing=smoothing)
