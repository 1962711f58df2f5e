"""What every compiled path does with single numbers, against NumPy's in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import kernels


@settings(max_examples=12, deadline=None)
@given(
    size=st.sampled_from([0, 1, 31, 16384, 40001]),
    scale=st.sampled_from([1.0, 1e37, 1e-25, 1e-42]),
    seed=st.integers(0, 2**32 - 1),
)
def test_squares_are_added_up_in_float64(path, size, scale, seed):
    x = (np.random.default_rng(seed).standard_normal(size) * scale).astype(np.float32)
    want = math.fsum(float(number) ** 2 for number in x)
    assert kernels.sum_of_squares(x) == pytest.approx(want, rel=1e-13, abs=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_squares_that_are_not_finite_show(path, bad):
    x = np.ones(40001, np.float32)
    for place in (0, 20000, 40000):
        wrong = x.copy()
        wrong[place] = bad
        assert not math.isfinite(kernels.sum_of_squares(wrong))


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("size", [1, 15, 40001])
def test_adam(path, size, decay):
    param, grad, m = np.random.default_rng(10).standard_normal((3, size)).astype(np.float32)
    v = m * m
    constants = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "step": 3, "learning_rate": 1e-2}
    p64, g64, m64, v64 = (a.astype(np.float64) for a in (param, grad, m, v))
    kernels.adam_step(
        param,
        grad,
        m,
        v,
        scale=0.5,
        decay=decay,
        shrink=0.9,
        **constants,
    )
    p64 *= 0.9
    g64 = 0.5 * g64 + decay * p64
    m64 = 0.9 * m64 + 0.1 * g64
    v64 = 0.999 * v64 + 0.001 * g64 * g64
    p64 -= 1e-2 * (m64 / (1 - 0.9**3)) / (np.sqrt(v64 / (1 - 0.999**3)) + 1e-8)
    for ours, theirs in ((m, m64), (v, v64), (param, p64)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid"])
def test_functions_are_right_to_a_few_units_in_the_last_place(path, name):
    near, far = np.linspace(-2, 2, 40001), np.linspace(-120, 120, 40001)
    tiny = np.float32([0.0, -0.0, 1e-45, -1e-40, 1e-38, 1e-20])
    x = np.concatenate([near, far, tiny]).astype(np.float32)
    y = np.empty_like(x)
    path.map(name, x, y)
    z = x.astype(np.float64)
    want = {"exp": np.exp, "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a))}[name](z)
    finite = want < np.finfo(np.float32).max
    want32 = want[finite].astype(np.float32)
    units = np.abs(y[finite].astype(np.float64) - want[finite]) / np.spacing(np.abs(want32))
    assert units.max() <= 3
    assert np.isposinf(y[~finite]).all()
    special = np.float32([np.inf, -np.inf, np.nan])
    out = np.empty_like(special)
    path.map(name, special, out)
    ends = {"exp": [np.inf, 0], "tanh": [1, -1], "sigmoid": [1, 0]}[name]
    np.testing.assert_array_equal(out, [*ends, np.nan])
