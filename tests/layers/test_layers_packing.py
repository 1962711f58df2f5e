"""Packed sequences: the same as each sequence run alone, and as a padded batch that is masked."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_images import images_for
from unrolled import layers
from unrolled.layers.cells import CELLS, variant
from unrolled.layers.stack import stacked

D, H = 3, 4
some_lengths = st.lists(st.integers(0, 5), min_size=0, max_size=5)


@settings(deadline=None, max_examples=100)
@given(lengths=some_lengths, dtype=st.sampled_from(["int8", "uint8", "int32", "uint64", "int64"]))
def test_packing_lays_out_every_token_once_time_first_longest_first(lengths, dtype):
    order, batch_sizes, sequence, step = layers.pack_lengths(np.array(lengths, dtype))
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[n] for n in order] == sorted(lengths, reverse=True)
    tokens = sorted((t, rank) for rank, n in enumerate(order) for t in range(lengths[n]))
    assert list(zip(step, sequence, strict=True)) == [(t, order[rank]) for t, rank in tokens]
    longest = max(lengths, default=0)
    assert batch_sizes == tuple(sum(n > t for n in lengths) for t in range(longest))
    assert all(type(size) is int for size in batch_sizes)


def test_sequences_of_one_length_keep_their_order():
    lengths = np.random.default_rng(0).integers(4, size=200)  # enough for an unstable sort to show
    expected = sorted(range(200), key=lambda n: -lengths[n])
    np.testing.assert_array_equal(layers.pack_lengths(lengths).order, expected)


def draw(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def arguments(cell, lengths, seed):
    gates = {"rnn": 1, "lstm": 4}[cell] * H
    N, T = len(lengths), max(lengths, default=0)
    return draw(
        seed, (N, T, D), (N, H), (N, H), (D, gates), (H, gates), (gates,), (N, T, H), (N, H)
    )


def sequences(cell, x, h0, c0, weights, dh, dfinal_c):
    """Run a padded batch forward and backward; the gradients include dc0 for an LSTM."""
    if cell == "rnn":
        h, cache = layers.rnn_forward(x, h0, *weights)
        return h, None, (*layers.rnn_backward(dh, cache), None)
    h, cache = layers.lstm_forward(x, h0, *weights, c0=c0)
    grads = layers.lstm_backward(dh, cache, dfinal_c=dfinal_c)
    np.testing.assert_array_equal(cache.final_h, h[:, -1] if h.shape[1] else h0)
    return h, cache.final_c, (*grads, grads.dc0)


def packed(cell, x, h0, c0, weights, dh, dfinal_c, batch_sizes):
    if cell == "rnn":
        h, cache = layers.rnn_packed_forward(x, h0, *weights, batch_sizes)
        return h, None, (*layers.rnn_packed_backward(dh, cache), None)
    h, cache = layers.lstm_packed_forward(x, h0, *weights, batch_sizes, c0=c0)
    grads = layers.lstm_packed_backward(dh, cache, dfinal_c=dfinal_c)
    return h, cache, (*grads, grads.dc0)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@settings(deadline=None, max_examples=40)
@given(lengths=some_lengths, seed=st.integers(0, 100))
def test_packed_is_each_sequence_alone(cell, lengths, seed):
    x, h0, c0, *weights, dh, dfinal_c = arguments(cell, lengths, seed)
    order, batch_sizes, sequence, step = layers.pack_lengths(np.array(lengths, int))
    h, cache, (dx, dh0, dWx, dWh, db, dc0) = packed(
        cell,
        x[sequence, step],
        h0[order],
        c0[order],
        weights,
        dh[sequence, step],
        dfinal_c[order],
        batch_sizes,
    )
    totals = [np.zeros_like(w) for w in weights]
    for rank, n in enumerate(order):
        one, T, rows = slice(n, n + 1), lengths[n], sequence == n
        h_n, final_c, grads = sequences(
            cell, x[one, :T], h0[one], c0[one], weights, dh[one, :T], dfinal_c[one]
        )
        assert_close(h[rows], h_n[0])
        assert_close(dx[rows], grads[0][0])
        assert_close(dh0[rank], grads[1][0])
        if cell == "lstm":
            assert_close(dc0[rank], grads[5][0])
            assert_close(cache.final_c[rank], final_c[0])
            assert_close(cache.final_h[rank], h_n[0, -1] if T else h0[n])
        for total, gradient in zip(totals, grads[2:5], strict=True):
            total += gradient
    for gradient, total in zip((dWx, dWh, db), totals, strict=True):
        assert_close(gradient, total)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_packed_is_padded_with_a_mask_on_the_upstream_gradient(cell):
    """What stands in the padding has no say: no gradient comes from there."""
    lengths = np.array([1, 4, 0, 3, 4])
    x, h0, c0, *weights, dh, _ = arguments(cell, lengths, seed=3)
    order, batch_sizes, sequence, step = layers.pack_lengths(lengths)
    mask = np.arange(4) < lengths[:, None]
    h, _, grads = sequences(cell, x, h0, c0, weights, dh * mask[..., None], None)
    h_packed, _, came = packed(
        cell,
        x[sequence, step],
        h0[order],
        c0[order],
        weights,
        dh[sequence, step],
        None,
        batch_sizes,
    )
    assert_close(h_packed, h[sequence, step])
    assert_close(came[0], grads[0][sequence, step])
    np.testing.assert_array_equal(grads[0][~mask], 0)
    assert_close(came[1], grads[1][order])
    for ours, theirs in zip(came[2:5], grads[2:5], strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_zero_c0_and_no_c0_are_one(cell):
    lengths = [3, 3]
    x, h0, c0, *weights, dh, _ = arguments(cell, lengths, seed=4)
    with_zero = sequences(cell, x, h0, np.zeros_like(c0), weights, dh, np.zeros_like(c0))
    without = sequences(cell, x, h0, None, weights, dh, None)
    for ours, theirs in zip(with_zero[2][:5], without[2][:5], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_steps_as_it_runs_whole_sequences(cell):
    """`start` and `step`, which decoding uses, against `forward`, which training uses."""
    N, T = 2, 3
    shapes = CELLS[cell].shapes(D, H).values()
    x, *weights = draw(5, (N, T, D), *shapes)
    image = images_for(cell, N, H)
    h, _ = CELLS[cell].forward(x.swapaxes(0, 1).reshape(T * N, D), image, *weights, (N,) * T)
    state = CELLS[cell].start(image, *weights)
    np.testing.assert_array_equal(state[0], image.mean(axis=1) if image.ndim == 3 else image)
    for t in range(T):
        state = CELLS[cell].step(x[:, t], state, *weights)
        assert_close(state[0], h[t * N : (t + 1) * N])


@pytest.mark.parametrize("stack", [1, 2])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
@settings(deadline=None, max_examples=10)
@given(lengths=some_lengths, rows=st.integers(1, 7), seed=st.integers(0, 2**32 - 1))
def test_tokens_that_share_rows_of_x_are_those_rows_again_and_again(
    cell, options, stack, lengths, rows, seed
):
    made = stacked(variant(CELLS[cell], **options), stack)
    _, batch_sizes, _, step = layers.pack_lengths(np.array(lengths, int))
    tokens = np.random.default_rng(seed).integers(0, rows, len(step))
    x, dh, *weights = draw(seed, (rows, D), (len(step), H), *made.shapes(D, H).values())
    image = images_for(cell, len(lengths), H)
    h, cache = made.forward(x, image, *weights, batch_sizes, tokens=tokens)
    dx, *grads = made.backward(dh, cache)
    want_h, cache = made.forward(x[tokens], image, *weights, batch_sizes)
    want_dx, *want = made.backward(dh, cache)
    added = np.zeros_like(x)
    np.add.at(added, tokens, want_dx)
    for ours, theirs in zip((h, dx, *grads), (want_h, added, *want), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda grads: pickle.loads(pickle.dumps(grads))]
)
def test_lstm_gradients_travel_with_dc0(travel):
    x, h0, c0, *weights, dh, _ = arguments("lstm", [2, 2], seed=6)
    _, cache = layers.lstm_forward(x, h0, *weights, c0=c0)
    grads = layers.lstm_backward(dh, cache)
    came = travel(grads)
    assert type(came) is type(grads)
    assert len(came) == 5
    for ours, theirs in zip((*came, came.dc0), (*grads, grads.dc0), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_lstm_gradients_replaced_keep_dc0():
    x, h0, c0, *weights, dh, _ = arguments("lstm", [2, 2], seed=6)
    _, cache = layers.lstm_forward(x, h0, *weights, c0=c0)
    grads = layers.lstm_backward(dh, cache)
    came = grads._replace(db=grads.db * 2)
    assert type(came) is type(grads)
    assert came.dc0 is grads.dc0
    assert came.dx is grads.dx
    np.testing.assert_array_equal(came.db, grads.db * 2)
    assert grads._replace(dc0=dh).dc0 is dh


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12, strict=True)
