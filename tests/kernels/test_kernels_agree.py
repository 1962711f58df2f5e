"""Every compiled path against NumPy's text, forward and backward, over random shapes.

The text runs in float64 on the same numbers. A float32 result may be away from it by what float32
rounding of its terms adds up to; in bfloat16 products are compared on rounded operands, exactly
but for the sums, and recurrences by the rounding's own size.
"""

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
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import kernels, layers
from unrolled.kernels import choice
from unrolled.layers.product import product, round_bfloat16

ragged = st.lists(st.integers(0, 5), max_size=36)


@quick
@given(M=counts, K=counts, N=counts, seed=seeds, precision=precisions, bias=st.booleans())
def test_product(path, M, K, N, seed, precision, bias):
    rng = np.random.default_rng(seed)
    a, b, c = draw(rng, (M, K), (K, N), (N,))
    got = kernels.product(
        scrambled(rng, a), scrambled(rng, b), c if bias else None, precision=precision
    )
    if precision == "bfloat16":
        a, b = round_bfloat16(a), round_bfloat16(b)
    a, b, c = wide(a, b, c if bias else 0 * c)
    bound = (K + 2) * EPS * (np.abs(a) @ np.abs(b) + np.abs(c))  # of a sum of K + 1 terms
    assert got.dtype == np.float32
    assert (np.abs(got - (a @ b + c)) <= bound).all()


@pytest.mark.parametrize("shape", [(300, 700, 130), (65, 1200, 33), (17, 33, 600)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_product_deeper_and_wider_than_a_block(path, shape, precision):
    M, K, N = shape
    a, b, c = draw(np.random.default_rng(7), (M, K), (K, N), (N,))
    got = kernels.product(a.T.copy().T, b, c, precision=precision)
    if precision == "bfloat16":
        a, b = round_bfloat16(a), round_bfloat16(b)
    a, b = wide(a, b)
    assert (np.abs(got - (a @ b + c)) <= K * EPS * (np.abs(a) @ np.abs(b) + np.abs(c))).all()


@pytest.mark.parametrize("K", [33, 700, 1200])
def test_float32_product_rounds_no_worse_than_a_sum_of_multiply_adds(path, K):
    """Errors of a sum in float32 wander: they grow as sqrt(K), by a fifth of a float's spacing."""
    a, b = draw(np.random.default_rng(K), (130, K), (K, 70))
    want = a.astype(np.float64) @ b
    error = np.linalg.norm(kernels.product(a, b) - want) / np.linalg.norm(want)
    assert error <= 0.2 * np.sqrt(K) * EPS


def test_product_of_huge_and_denormal_values(path):
    rng = np.random.default_rng(3)
    a, b = draw(rng, (33, 40), (40, 21))
    for size in (1e30, 3.4e38 / 8, 1e-30, 1e-42):
        small = np.clip(a, -4, 4) / 4 * np.float32(size)
        got = kernels.product(small, np.sign(b) / 64)
        want = small.astype(np.float64) @ (np.sign(b) / 64)
        assert np.isfinite(got).all()
        # Tiles take denormal numbers for zero.
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=size * 1e-5 + 1e-36)


@pytest.mark.parametrize("largest", [3.4028235e38, 3.3896e38, -3.39e38])
def test_product_of_the_largest_floats(path, largest):
    """Rounded to bfloat16 they would be infinite."""
    a = np.eye(33, 40, dtype=np.float32) * np.float32(largest)
    b = np.full((40, 21), 1 / 64, np.float32)
    np.testing.assert_allclose(kernels.product(a, b), a.astype(np.float64) @ b, rtol=1e-6)


def test_a_nan_stays_in_its_row(path):
    a, b = draw(np.random.default_rng(5), (33, 40), (40, 21))
    want = kernels.product(a, b)
    a[7, 3] = np.nan
    got = kernels.product(a, b)
    assert np.isnan(got[7]).all()
    np.testing.assert_array_equal(np.delete(got, 7, 0), np.delete(want, 7, 0))


@pytest.mark.parametrize("K", [50, 700])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_does_not_depend_on_the_others(path, K, precision):
    a, w, b = draw(np.random.default_rng(K), (40, K), (K, 300), (300,))
    packed = kernels.PackedMatrix(w, precision=precision)
    together = packed.product(a, b)
    log_p, words = packed.top_words(a, b, 0 * b, 3)
    for count in (1, 20):
        for i in range(0, 40, count):
            some = slice(i, i + count)
            np.testing.assert_array_equal(packed.product(a[some], b), together[some])
            alone = packed.top_words(a[some], b, 0 * b, 3)
            np.testing.assert_array_equal(alone[0], log_p[some])
            np.testing.assert_array_equal(alone[1], words[some])


def check_layer(cell, rng, lengths, D, H, precision, weight=1.0, words=None):
    """Hold a recurrence to its text; with words, tokens are drawn from so many rows of x."""
    gates = {"rnn": 1, "lstm": 4}[cell]
    order = layers.pack_lengths(np.array(lengths, dtype=int))
    N, P, G = len(lengths), len(order.step), gates * H
    tokens = None if words is None else rng.integers(0, words, P)
    x, h0, Wx, Wh, b = draw(rng, (words or P, D), (N, H), (D, G), (H, G), (G,))
    Wx, Wh = Wx * np.float32(weight / np.sqrt(D)), Wh * np.float32(weight / np.sqrt(H))
    (dh,) = draw(rng, (P, H))
    forward = getattr(layers, f"{cell}_packed_forward")
    backward = getattr(layers, f"{cell}_packed_backward")
    messy = [scrambled(rng, a) for a in (x, h0, Wx, Wh)]
    sizes = order.batch_sizes
    got_h, cache = forward(*messy, b, sizes, tokens=tokens, precision=precision)
    got = backward(scrambled(rng, dh), cache)
    want_h, wide_cache = forward(*wide(x, h0, Wx, Wh, b), sizes, tokens=tokens)
    want = backward(dh.astype(np.float64), wide_cache)
    T = max(lengths, default=0)
    # Each step adds its own rounding to what it hands on; weights of norm ~1 keep that from
    # growing faster than with the steps.
    unit = EPS if precision == "float32" else 2.0**-8
    tolerance = unit * 8 * (T + 2)
    close(got_h, want_h, tolerance)
    # Where all units are saturated, 1 - h^2 is small and its rounding is still that of h, an EPS or
    # two: what reaches a weight is off by that share of dh x, however small it is itself.
    reach = np.abs(dh).max(initial=0) * max(np.abs(a).max(initial=1) for a in (x, h0))
    for ours, theirs in zip(got, want, strict=True):
        close(ours, theirs, tolerance, least=max(0.2, reach / 8))
    return got, want


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5), max_size=36),
    D=widths,
    H=widths,
    seed=seeds,
    precision=precisions,
    words=st.one_of(st.none(), st.integers(1, 70)),
)
def test_recurrence(path, cell, lengths, D, H, seed, precision, words):
    check_layer(cell, np.random.default_rng(seed), lengths, D, H, precision, words=words)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrence_of_one_step_and_of_many(path, cell):
    rng = np.random.default_rng(5)
    check_layer(cell, rng, [1] * 33, 7, 50, "float32")
    check_layer(cell, rng, [24, 23, 9, 9, 2], 7, 50, "float32", weight=0.5)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recurrence_whose_sums_are_deeper_than_a_block(path, cell, precision):
    rng = np.random.default_rng(5)
    H = {"rnn": 530, "lstm": 140}[cell]  # all gates: beyond 512
    check_layer(cell, rng, [3, 3, 2, 1] + [1] * 31, 9, H, precision)
    check_layer(cell, rng, [3, 3, 2, 1] + [1] * 31, 9, H, precision, words=21)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrence_too_large_for_a_cache(path, cell, precision):
    """What waits for the way back, weights and their gradients' rows, is a MiB and more of each."""
    lengths = {"rnn": [23] * 30 + [7], "lstm": [9] * 35 + [8, 6, 1]}[cell]
    D, H = {"rnn": (33, 790), "lstm": (33, 388)}[cell]
    for words in (None, 21):
        rng = np.random.default_rng(8)
        check_layer(cell, rng, lengths, D, H, precision, weight=0.5, words=words)


@pytest.mark.parametrize("threads", [1, 3, 5])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrence_of_fewer_columns_than_threads_could_lay_out(path, cell, threads):
    choice.extension().set_threads(threads)
    try:
        for H in (1, 40, 65):  # stretches of 32
            check_layer(cell, np.random.default_rng(H), [3, 2, 2], 70, H, "float32")
            check_layer(cell, np.random.default_rng(H), [3, 2, 2], 70, H, "float32", words=4)
    finally:
        choice.extension().set_threads(2)


def test_turned_weights_are_held_to_their_size(path):
    x, Wx, b = np.ones((1, 2), np.float32), np.ones((2, 2), np.float32), np.ones(2, np.float32)
    sizes, room = np.array([1]), np.empty(7, np.uint8)
    with pytest.raises(ValueError, match="room for the turned weights"):
        path.rnn_forward(sizes, None, x, Wx, Wx, b, x, x.copy(), room, False)
    grads = [np.empty_like(a) for a in (x, Wx, Wx, b, x)]
    with pytest.raises(ValueError, match="turned weights do not fit"):
        path.rnn_backward(sizes, None, x, x, x, room, x, *grads, False)


@pytest.mark.parametrize("words", [[-1], [1], [[0]]])
def test_tokens_are_held_to_the_rows_there_are(path, words):
    x, Wx, b = np.ones((1, 2), np.float32), np.ones((2, 2), np.float32), np.ones(2, np.float32)
    layout, room = (np.array([1]), np.array(words)), np.empty(9, np.uint8)
    with pytest.raises(ValueError, match="words must"):
        path.rnn_forward(*layout, x, Wx, Wx, b, x, x.copy(), room, False)
    grads = [np.empty_like(a) for a in (x, Wx, Wx, b, x)]
    with pytest.raises(ValueError, match="words must"):
        path.rnn_backward(*layout, x, x, x, room, x, *grads, False)


def test_lstm_carries_the_cell_state_both_ways(path):
    rng = np.random.default_rng(6)
    sizes, N, D, H = (5, 5, 2, 1), 6, 9, 21
    x, h0, Wx, Wh, b, c0 = draw(rng, (13, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,), (N, H))
    dh, dc = draw(rng, (13, H), (N, H))
    _, cache = layers.lstm_packed_forward(x, h0, Wx, Wh, b, sizes, c0=c0)
    before = dc.copy()
    got = layers.lstm_packed_backward(dh, cache, dfinal_c=dc)
    args = wide(x, h0, Wx, Wh, b)
    _, cache = layers.lstm_packed_forward(*args, sizes, c0=c0.astype(np.float64))
    want = layers.lstm_packed_backward(*wide(dh), cache, dfinal_c=dc.astype(np.float64))
    close(got.dc0, want.dc0, 1e-5)
    close(got.dh0, want.dh0, 1e-5)
    np.testing.assert_array_equal(dc, before)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_lstm_gives_its_last_states(path, steps):
    rng = np.random.default_rng(7)
    N, D, H = 3, 2, 17
    x, h0, Wx, Wh, b, c0 = draw(
        rng, (N, steps, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,), (N, H)
    )
    _, cache = layers.lstm_forward(x, h0, Wx, Wh, b, c0=c0)
    args = wide(x, h0, Wx, Wh, b)
    _, want = layers.lstm_forward(*args, c0=c0.astype(np.float64))
    close(cache.final_h, want.final_h, 1e-5)
    close(cache.final_c, want.final_c, 1e-5)


@pytest.mark.parametrize("size", [1e4, 1e38, 1e-42])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrence_of_huge_and_denormal_inputs_stays_finite(path, cell, size):
    rng = np.random.default_rng(8)
    G = {"rnn": 1, "lstm": 4}[cell] * 20
    x, h0, Wh, b = draw(rng, (9, 3), (4, 20), (20, G), (G,))
    x = np.clip(x, -1, 1) * np.float32(size)
    Wx = np.sign(draw(rng, (3, G))[0]) / 4
    forward = getattr(layers, f"{cell}_packed_forward")
    h, cache = forward(x, h0, Wx, Wh, b, (4, 3, 2))
    want, _ = forward(*wide(x, h0, Wx, Wh, b), (4, 3, 2))
    np.testing.assert_allclose(h, want, rtol=0, atol=1e-4)
    grads = getattr(layers, f"{cell}_packed_backward")(np.ones_like(h), cache)
    assert all(np.isfinite(g).all() for g in grads)


@quick
@given(M=counts, K=counts, N=counts, rows=st.integers(1, 3), seed=seeds)
def test_few_rows_are_multiplied_as_many_are(path, M, K, N, rows, seed):
    """They are not left to a BLAS, whose threads would spin against those of the kernels."""
    a, b = draw(np.random.default_rng(seed), (M, K), (K, N))
    few, many = product(a[:rows], b), product(a, b)[:rows]
    np.testing.assert_array_equal(few, many, strict=True)


@quick
@given(N=counts, D=widths, H=widths, seed=seeds)
def test_lstm_step(path, N, D, H, seed):
    rng = np.random.default_rng(seed)
    G = 4 * H
    x, h, c, Wx, Wh, b = draw(rng, (N, D), (N, H), (N, H), (D, G), (H, G), (G,))
    Wx, Wh = Wx / np.float32(np.sqrt(D)), Wh / np.float32(np.sqrt(H))
    got = kernels.lstm_step(x, h, c, scrambled(rng, Wx), Wh, b)
    for ours, theirs in zip(got, layers.lstm_step_forward(*wide(x, h, c, Wx, Wh, b)), strict=False):
        close(ours, theirs, 16 * EPS)


@quick
@given(M=counts, K=widths, N=widths, seed=seeds, precision=precisions)
def test_packed_matrix(path, M, K, N, seed, precision):
    """A weight packed before is the weight: not a bit is another, whatever the array holds now."""
    rng = np.random.default_rng(seed)
    a, w, b = draw(rng, (M, K), (K, N), (N,))
    w = scrambled(rng, w)
    count = int(rng.integers(1, N + 1))
    none = penalty(N, [])
    want = kernels.product(a, w, b, precision=precision)
    plain = kernels.product(a, w, precision=precision)
    want_top = kernels.top_words(a, w, b, none, count, precision=precision)
    packed = kernels.PackedMatrix(w, precision=precision)
    w[:] = 0
    np.testing.assert_array_equal(packed.product(a, b), want)
    np.testing.assert_array_equal(packed.product(a), plain)
    for ours, theirs in zip(packed.top_words(a, b, none, count), want_top, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@quick
@given(N=counts, D=widths, H=widths, V=st.integers(1, 400), seed=seeds, precision=precisions)
@pytest.mark.parametrize("gates", [1, 4])
def test_steps_that_read_words(path, gates, N, D, H, V, seed, precision):
    """Two steps, of which the second meets words that are known already and others, few or many."""
    rng = np.random.default_rng(seed)
    G = gates * H
    state = draw(rng, *[(N, H)] * (1 if gates == 1 else 2))
    W_embed, Wx, Wh, b = draw(rng, (V, D), (D, G), (H, G), (G,))
    Wx, Wh = Wx / np.float32(np.sqrt(D)), Wh / np.float32(np.sqrt(H))
    cell = kernels.WordCell(
        W_embed, scrambled(rng, Wx), scrambled(rng, Wh), b, gates=gates, precision=precision
    )
    step = layers.rnn_step_forward if gates == 1 else layers.lstm_step_forward
    want = wide(*state)
    for words in rng.integers(0, V, (2, N)):
        state = cell.step(words, *state)
        *want, _ = step(*wide(W_embed[words]), *want, *wide(Wx, Wh, b))
        for ours, theirs in zip(state, want, strict=True):
            close(ours, theirs, 64 * EPS if precision == "float32" else 2.0**-4)


@quick
@given(N=counts, A=widths, H=widths, V=st.integers(1, 40), seed=seeds, precision=precisions)
def test_steps_that_read_more_beside_the_state(path, N, A, H, V, seed, precision):
    rng = np.random.default_rng(seed)
    words = rng.integers(0, V, N)
    W_embed, Wx, Wh, Wattn, b = draw(rng, (V, 5), (5, 4 * H), (H, 4 * H), (A, 4 * H), (4 * H,))
    h, c, attn = draw(rng, (N, H), (N, H), (N, A))
    Wh, Wattn = Wh / np.float32(np.sqrt(H)), Wattn / np.float32(np.sqrt(A))
    weights = W_embed, Wx, np.concatenate([Wh, Wattn])
    cell = kernels.WordCell(*weights, b, gates=4, precision=precision)
    got = cell.step(words, np.concatenate([h, attn], axis=1), c)
    x = wide(W_embed[words], attn)
    want = layers.lstm_step_forward(
        np.concatenate(x, axis=1), *wide(h, c), np.concatenate(wide(Wx, Wattn)), *wide(Wh, b)
    )
    for ours, theirs in zip(got, want, strict=False):
        close(ours, theirs, 64 * EPS if precision == "float32" else 2.0**-4)


def test_packed_weights_refuse_what_does_not_fit(path):
    w, h = np.ones((3, 12), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="shapes do not fit"):
        kernels.PackedMatrix(w).product(np.ones((2, 4), np.float32))
    cell = kernels.WordCell(w, np.ones((12, 12), np.float32), w, w[0], gates=4)
    with pytest.raises(ValueError, match="LSTM has a cell state"):
        cell.step(np.zeros(2, int), h)
    with pytest.raises(IndexError):
        cell.step(np.array([0, 3]), h, h)


@quick
@given(P=counts, D=widths, V=st.integers(1, 70), seed=seeds)
def test_embedding_gradient(path, P, D, V, seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, P)
    W, dout = draw(rng, (V, D), (P, D))
    _, cache = layers.word_embedding_forward(ids, W)
    got = layers.word_embedding_backward(scrambled(rng, dout), cache)
    want, size = np.zeros((2, V, D))
    np.add.at(want, ids, dout)
    np.add.at(size, ids, np.abs(dout))
    assert (np.abs(got - want) <= (P + 1) * EPS * size).all()
