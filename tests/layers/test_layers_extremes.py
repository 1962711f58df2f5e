"""Values that a careless formula gets wrong: huge scores, saturated gates, no data at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_calls import Sizes, make_call, run

from unrolled import layers

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@every_dtype
def test_sigmoid_at_both_ends(dtype):
    x = np.array([-np.inf, -1e4, -1e3, -0.0, 0.0, 1e3, 1e4, np.inf], dtype)
    expected = np.array([0, 0, 0, 0.5, 0.5, 1, 1, 1], dtype)
    np.testing.assert_array_equal(layers.sigmoid(x), expected, strict=True)


@every_dtype
@settings(deadline=None, max_examples=200)
@given(x=st.floats(-80, 80))
def test_sigmoid_against_its_definition_in_a_wider_dtype(dtype, x):
    """Small values keep their digits, which 1 - sigmoid(-x) would lose."""
    x = dtype(x)
    wide = np.longdouble(x)
    expected = 1 / (1 + np.exp(-wide))
    error = abs(np.longdouble(layers.sigmoid(np.array([x]))[0]) - expected) / expected
    assert error < 4 * np.finfo(dtype).eps


def test_sigmoid_writes_where_it_is_told():
    x = np.linspace(-5, 5, 12).reshape(3, 4)
    expected = layers.sigmoid(x)
    out = np.empty((3, 8))[:, ::2]
    assert layers.sigmoid(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    inside = x.copy()
    layers.sigmoid(inside, out=inside)
    np.testing.assert_array_equal(inside, expected)


def test_sigmoid_of_nan_is_nan_and_of_one_number_works():
    assert np.isnan(layers.sigmoid(np.array([np.nan])))[0]
    for zero in (np.array(0.0), np.float32(0), np.float64(0), 0.0):
        assert layers.sigmoid(zero) == 0.5


@every_dtype
@pytest.mark.parametrize("gates", [-1e4, 1e4])
@pytest.mark.parametrize("name", ["rnn_step", "lstm_step", "rnn", "lstm", "gru", "attention_lstm"])
def test_saturated_cells_stay_finite(name, gates, dtype):
    call = make_call(name, dtype)
    came = run(call.with_arg("b", np.full_like(call.args["b"], gates)))
    for array in [*came.outs, *came.grads.values()]:
        assert np.isfinite(array).all()
    if "rnn" in name:
        np.testing.assert_array_equal(came.outs[0], np.full_like(came.outs[0], np.sign(gates)))


def wide_softmax_loss(x, y, weights):
    """The loss and its gradient from the definition, in long double."""
    x = x.astype(np.longdouble)
    scores = x - x.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    dx = np.exp(log_p)
    dx[rows, y] -= 1
    return -(weights * log_p[rows, y]).sum(), weights[:, None] * dx


@every_dtype
@settings(deadline=None, max_examples=50)
@given(
    rows=st.integers(1, 4),
    words=st.integers(1, 5),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]),
    shift=st.sampled_from([-1e4, 0.0, 1e4]),
    seed=st.integers(0, 1000),
)
def test_softmax_loss_at_any_size_of_the_scores(dtype, rows, words, scale, shift, seed):
    rng = np.random.default_rng(seed)
    x = (scale * rng.uniform(-1, 1, (rows, words)) + shift).astype(dtype)
    y, weights = rng.integers(words, size=rows), rng.uniform(0, 2, rows).astype(dtype)
    loss, dx = layers.softmax_loss(x, y, weights)
    expected_loss, expected_dx = wide_softmax_loss(x, y, weights)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, expected_loss, rtol=20 * eps, atol=20 * eps)
    np.testing.assert_allclose(dx, expected_dx, rtol=20 * eps, atol=20 * eps)


@every_dtype
def test_the_loss_of_hopeless_and_of_certain_words(dtype):
    """Scores of +-1e4: a certain word costs nothing, a hopeless one exactly the difference."""
    x = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype)
    y, one = np.array([0, 1, 2]), np.ones(3, dtype)
    losses = [layers.softmax_loss(x[i : i + 1], y[i : i + 1], one[:1]).loss for i in range(3)]
    np.testing.assert_allclose(losses, [0, 2e4, np.log(3)], rtol=1e-6, atol=0)
    _, dx = layers.softmax_loss(x, y, one)
    third = 1 / 3
    expected = [[0, 0, 0], [1, -1, 0], [third, third, third - 1]]
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-7)


@every_dtype
def test_forbidden_words_may_score_minus_infinity(dtype):
    x = np.array([[0.0, -np.inf, 0.0]], dtype)
    loss, dx = layers.softmax_loss(x, np.array([0]), np.ones(1, dtype))
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(dx, [[-0.5, 0, 0.5]], rtol=1e-6)


def test_a_long_sum_of_losses_keeps_float32s_digits():
    rows = 20_000
    x = np.zeros((rows, 3), np.float32)
    weights = np.full(rows, 0.1, np.float32)
    loss, _ = layers.softmax_loss(x, np.zeros(rows, int), weights)
    assert loss == pytest.approx(float(np.float32(0.1)) * rows * np.log(3), rel=1e-6)


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstm, c0"])
def test_no_steps(name):
    call = make_call(name, size=Sizes(T=0))
    came = run(call)
    assert came.outs[0].shape == (2, 0, 5)
    expected = {argument: np.zeros_like(a) for argument, a in call.floats.items()}
    if "c0" in expected:
        expected["c0"] = came.douts["dfinal_c"]  # nothing between it and the initial state
        np.testing.assert_array_equal(came.cache.final_c, call.kwargs["c0"])
        np.testing.assert_array_equal(came.cache.final_h, call.args["h0"])
    for argument, gradient in expected.items():
        np.testing.assert_array_equal(came.grads[argument], gradient, strict=True)


@pytest.mark.parametrize("name", ["affine", "temporal_affine", "word_embedding", "rnn_step", "rnn",
                                  "lstm_step", "lstm"])  # fmt: skip
def test_no_items(name):
    call = make_call(name, size=Sizes(N=0))
    for argument, gradient in run(call).grads.items():
        np.testing.assert_array_equal(gradient, np.zeros_like(call.floats[argument]), strict=True)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (0, 0, 4), (2, 3, 4)])
def test_the_loss_of_nothing_is_zero(shape):
    x = np.ones(shape, np.float32)
    y, mask = np.zeros(shape[:2], int), np.zeros(shape[:2], bool)
    loss, dx = layers.temporal_softmax_loss(x, y, mask)
    assert loss == 0
    assert loss.dtype == np.float32
    np.testing.assert_array_equal(dx, np.zeros_like(x), strict=True)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_one_step_is_the_step_function(name):
    call = make_call(name, size=Sizes(T=1))
    x, h0, *weights = call.args.values()
    state = (h0,) if name == "rnn" else (h0, np.zeros_like(h0))
    next_h, *_ = getattr(layers, f"{name}_step_forward")(x[:, 0], *state, *weights)
    np.testing.assert_allclose(call()[0][:, 0], next_h, rtol=1e-14)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_sequences_are_the_steps_one_after_another(name):
    """Forward and backward, against the plain loop that the assignment's solution is."""
    call = make_call(name)
    came = run(call)
    x, h0, *weights = call.args.values()
    state, hs, caches = ([h0] if name == "rnn" else [h0, np.zeros_like(h0)]), [], []
    for t in range(x.shape[1]):
        *state, cache = getattr(layers, f"{name}_step_forward")(x[:, t], *state, *weights)
        hs.append(state[0])
        caches.append(cache)
    np.testing.assert_allclose(came.outs[0], np.stack(hs, axis=1), rtol=1e-13)

    expected = {k: np.zeros_like(a) for k, a in call.args.items()}
    dstate = [np.zeros_like(s) for s in state]
    for t in reversed(range(x.shape[1])):
        dstate[0] = dstate[0] + came.douts["dh"][:, t]
        grads = getattr(layers, f"{name}_step_backward")(*dstate, caches[t])
        dx, *dstate = grads[: 1 + len(state)]
        expected["x"][:, t] = dx
        for weight, gradient in zip(("Wx", "Wh", "b"), grads[1 + len(state) :], strict=True):
            expected[weight] += gradient
    expected["h0"] = dstate[0]
    for argument, gradient in expected.items():
        np.testing.assert_allclose(came.grads[argument], gradient, rtol=1e-11, atol=1e-13)


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(0, 4), min_size=0, max_size=3),
    words=st.integers(1, 4),
    width=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_repeated_words_accumulate(shape, words, width, seed):
    rng = np.random.default_rng(seed)
    x, W = rng.integers(words, size=shape), rng.standard_normal((words, width))
    out, cache = layers.word_embedding_forward(np.asarray(x), W)
    np.testing.assert_array_equal(out, W[x])
    dout = rng.standard_normal(np.shape(out))
    expected = np.zeros_like(W)
    np.add.at(expected, x, dout)
    came = layers.word_embedding_backward(dout, cache)
    np.testing.assert_allclose(came, expected, rtol=1e-12, atol=1e-13, strict=True)


def test_one_word_a_thousand_times():
    x, W = np.full((40, 25), 2), np.zeros((4, 3), np.float32)
    _, cache = layers.word_embedding_forward(x, W)
    dW = layers.word_embedding_backward(np.ones((40, 25, 3), np.float32), cache)
    np.testing.assert_array_equal(dW, [[0] * 3, [0] * 3, [1000] * 3, [0] * 3])
