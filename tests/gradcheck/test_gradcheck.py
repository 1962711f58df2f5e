"""The gradient check itself: right gradients pass, every kind of wrong one does not."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import gradcheck
from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.gradcheck import GradientReport, check, numeric_gradient, relative_error


def test_the_docstrings_example_runs():
    results = doctest.testmod(gradcheck)
    assert results.attempted >= 5
    assert results.failed == 0


@settings(deadline=None, max_examples=30)
@given(shape=st.lists(st.integers(0, 3), max_size=3), seed=st.integers(0, 99))
def test_numeric_gradients_of_what_is_known(shape, seed):
    rng = np.random.default_rng(seed)
    x, df = rng.standard_normal((2, *shape))
    x, df = np.asarray(x), np.asarray(df)
    np.testing.assert_allclose(numeric_gradient(lambda x: np.sum(x**2), x), 2 * x, atol=1e-8)
    came = numeric_gradient(np.sin, x, df)
    np.testing.assert_allclose(came, np.cos(x) * df, atol=1e-8, strict=True)


def test_the_distance_of_the_two_points_is_2h():
    """A parabola's central difference is exact; a cubic's is off by h squared."""
    x = np.array([1.0])
    assert numeric_gradient(lambda x: np.sum(x**2), x, h=0.5)[0] == 2.0
    assert numeric_gradient(lambda x: np.sum(x**3), x, h=0.5)[0] == 3.25


def test_four_points_are_exact_up_to_the_fourth_power():
    """A quintic is off by 4 h to the fourth."""
    x = np.array([1.0])
    for power in (1, 2, 3, 4):
        came = numeric_gradient(lambda x, n=power: np.sum(x**n), x, h=0.5, order=4)
        assert came[0] == pytest.approx(power, abs=1e-12)
    came = numeric_gradient(lambda x: np.sum(x**5), x, h=0.5, order=4)
    assert came[0] == pytest.approx(5 - 4 * 0.5**4, abs=1e-12)
    with pytest.raises(InputError, match="order must be 2 or 4, got 3"):
        numeric_gradient(np.sum, x, order=3)


def test_the_array_is_moved_in_place_and_put_back():
    x = np.array([[0.1, 0.2], [0.3, 0.7]])
    before, seen = x.copy(), []

    def ignoring_its_argument(_):
        seen.append(x.copy())
        return (x * x).sum()

    numeric_gradient(ignoring_its_argument, x)
    np.testing.assert_array_equal(x, before)
    assert len(seen) == 2 * x.size
    assert all((moved != before).sum() == 1 for moved in seen)


def test_the_array_is_put_back_when_the_function_fails():
    x = np.array([0.1, 0.2])
    before = x.copy()
    with pytest.raises(ZeroDivisionError):
        numeric_gradient(lambda _: 1 / 0, x)
    np.testing.assert_array_equal(x, before)


def test_a_view_is_moved_where_it_lives():
    whole = np.arange(12.0).reshape(3, 4)
    gradient = numeric_gradient(lambda _: (whole**2).sum(), whole[::2, ::-1])
    np.testing.assert_allclose(gradient, 2 * whole[::2, ::-1], atol=1e-8)


def test_a_function_that_returns_its_argument():
    x = np.ones((2, 3))
    df = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(numeric_gradient(lambda x: x, x, df), df, atol=1e-9)


@pytest.mark.parametrize("x", [np.ones(2, np.float32), np.ones(2, int), [1.0, 2.0]])
def test_what_is_no_float64_array_is_refused(x):
    with pytest.raises(DTypeError, match=r"numeric_gradient: x must be a float64 array, got"):
        numeric_gradient(lambda x: np.sum(x), x)


@pytest.mark.parametrize("df", [None, np.ones(3), np.ones((1, 3)), np.ones((2, 1)), 1.0])
def test_an_upstream_gradient_that_would_broadcast_is_refused(df):
    with pytest.raises(ShapeError, match=r"numeric_gradient: df must have the shape of f\(x\)"):
        numeric_gradient(lambda x: 2 * x, np.ones((2, 3)), df)


def test_relative_error():
    assert relative_error(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == 0.5
    assert relative_error(np.array([0.0]), np.array([0.0])) == 0.0
    assert relative_error(np.array([1e-9]), np.array([0.0])) == pytest.approx(0.1)
    assert relative_error(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0
    assert np.isnan(relative_error(np.array([np.nan, 1.0]), np.array([1.0, 1.0])))
    assert np.isnan(relative_error(np.array([1.0, 1.0]), np.array([np.nan, 1.0])))


def test_relative_error_never_broadcasts():
    with pytest.raises(ShapeError, match=r"relative_error: .*\(2, 3\) and \(3,\)"):
        relative_error(np.ones((2, 3)), np.ones(3))


def product_forward(x, y, label):
    assert label == "passed on"
    return x * y, x + y, (x, y)


def product_backward(dproduct, dsum, cache):
    x, y = cache
    return dproduct * y + dsum, dproduct * x + dsum


ARGS = (np.array([[1.0, 2.0, 3.0]]), np.array([[0.5, -1.0, 2.0]]), "passed on")


def test_a_right_backward_of_two_outputs_passes():
    report = check(product_forward, product_backward, ARGS)
    assert isinstance(report, GradientReport)
    assert set(report.errors) == {0, 1}
    assert report.max_error == max(report.errors.values()) < 1e-8


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (0, lambda dp, ds, c: (dp * c[1], dp * c[0] + ds)),  # forgets the second output
        (1, lambda dp, ds, c: (dp * c[1] + ds, ds)),  # forgets the first
        (0, lambda dp, ds, c: (-(dp * c[1] + ds), dp * c[0] + ds)),
        (1, lambda dp, ds, c: (dp * c[1] + ds, 0 * dp)),
        (0, lambda dp, ds, c: (np.nan * dp, dp * c[0] + ds)),
    ],
)
def test_a_wrong_backward_is_shown_at_its_place(place, wrong):
    errors = check(product_forward, wrong, ARGS).errors
    assert not errors[place] < 1e-3
    assert errors[1 - place] < 1e-8


def test_swapped_gradients_of_one_shape_are_caught():
    def swapped(*args):
        return product_backward(*args)[::-1]

    assert check(product_forward, swapped, ARGS).max_error > 1e-3


def test_a_gradient_of_a_shape_that_would_broadcast_is_refused():
    def summed(*args):
        dx, dy = product_backward(*args)
        return dx[0], dy

    with pytest.raises(ShapeError, match=r"gradient of argument 0 .*\(1, 3\), got \(3,\)"):
        check(product_forward, summed, ARGS)


def test_a_missing_or_an_extra_gradient_is_refused():
    for backward in (lambda *a: product_backward(*a)[0], lambda *a: (*product_backward(*a), 0)):
        with pytest.raises(InputError, match="has 2 float64 arguments"):
            check(product_forward, backward, ARGS)


def test_one_gradient_needs_no_tuple_and_a_scalar_output_works():
    x = np.array([1.0, 2.0])
    assert check(lambda x: ((x**2).sum(), x), lambda dout, x: dout * 2 * x, (x,)).max_error < 1e-8


def test_the_seed_chooses_the_upstream_gradient():
    seen = []

    def backward(dproduct, dsum, cache):
        seen.append(dproduct)
        return product_backward(dproduct, dsum, cache)

    for seed in (0, 0, 1):
        check(product_forward, backward, ARGS, seed=seed)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).all()


def test_arguments_come_back_as_they_went_in():
    before = [a.copy() for a in ARGS[:2]]
    check(product_forward, product_backward, ARGS)
    for argument, copy in zip(ARGS[:2], before, strict=True):
        np.testing.assert_array_equal(argument, copy)


def test_nothing_to_check():
    assert check(lambda n: (n, n), lambda dout, cache: (), (3,)).max_error == 0.0
