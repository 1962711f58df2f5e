"""Inverted dropout: its statistics, its seeds, and that testing leaves everything as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.layers import dropout_backward, dropout_forward

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@every_dtype
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_what_is_kept_and_the_mean(dtype, keep):
    x = np.full((400, 500), 10, dtype)
    out, _ = dropout_forward(x, {"mode": "train", "p": keep, "seed": 0})
    kept = (out != 0).mean()
    noise = np.sqrt(keep * (1 - keep) / x.size)  # standard deviation of the share that is kept
    assert abs(kept - keep) < 4 * noise
    assert abs(out.mean(dtype=float) - 10) < 4 * 10 * noise / keep
    np.testing.assert_allclose(np.unique(out), [0, 10 / keep], rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_no_row_and_no_column_is_favoured(axis):
    out, _ = dropout_forward(np.ones((300, 300)), {"mode": "train", "p": 0.5, "seed": 1})
    share = (out != 0).mean(axis=axis)
    assert share.std() == pytest.approx(0.5 / np.sqrt(300), rel=0.2)


@every_dtype
@settings(deadline=None, max_examples=30)
@given(keep=st.floats(0.05, 1), seed=st.integers(0, 99), rows=st.integers(0, 4))
def test_backward_passes_where_forward_passed_by_the_same_factor(dtype, keep, seed, rows):
    rng = np.random.default_rng(seed)
    x, dout = rng.uniform(1, 2, (2, rows, 3)).astype(dtype)
    out, cache = dropout_forward(x, {"mode": "train", "p": keep, "seed": seed})
    np.testing.assert_allclose(dropout_backward(dout, cache), dout * (out / x), rtol=1e-5)


@every_dtype
def test_keeping_everything_changes_nothing(dtype):
    x = np.random.default_rng(0).standard_normal((50, 40)).astype(dtype)
    out, cache = dropout_forward(x, {"mode": "train", "p": 1})
    np.testing.assert_array_equal(out, x, strict=True)
    np.testing.assert_array_equal(dropout_backward(x, cache), x, strict=True)


@every_dtype
def test_testing_changes_nothing_and_copies(dtype):
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(dtype)
    rng = np.random.default_rng(3)
    state = rng.bit_generator.state
    out, cache = dropout_forward(x, {"mode": "test", "p": 0.2, "rng": rng})
    np.testing.assert_array_equal(out, x, strict=True)
    np.testing.assert_array_equal(dropout_backward(x, cache), x, strict=True)
    assert not np.shares_memory(out, x)
    assert rng.bit_generator.state == state


def drop(**param):
    return dropout_forward(np.ones((20, 30)), {"mode": "train", "p": 0.5, **param})[0]


def test_a_seed_repeats_and_another_differs():
    np.testing.assert_array_equal(drop(seed=0), drop(seed=0))
    assert (drop(seed=0) != drop(seed=1)).any()


def test_no_seed_differs_from_call_to_call():
    assert (drop() != drop()).any()


def test_a_generator_goes_on_from_call_to_call():
    rng = np.random.default_rng(5)
    first, second = drop(rng=rng), drop(rng=rng)
    assert (first != second).any()
    np.testing.assert_array_equal(drop(rng=np.random.default_rng(5)), first)
    np.testing.assert_array_equal(drop(rng=np.random.default_rng(5), seed=9), first)


def test_the_global_generator_is_left_alone():
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002 - the one that must not be used
    drop()
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


def test_float32_and_float64_drop_the_same_numbers():
    param = {"mode": "train", "p": 0.5, "seed": 2}
    narrow, _ = dropout_forward(np.ones((20, 30), np.float32), param)
    np.testing.assert_array_equal(narrow, drop(seed=2))
