"""What goes in comes out: dtypes kept, arguments untouched, any memory layout, any size from 0."""

from __future__ import annotations

from functools import reduce

import layer_calls
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_calls import CALLS, Sizes, arrays_in, make_call, run

from unrolled import layers

TOLERANCE = {"float32": {"rtol": 1e-5, "atol": 1e-5}, "float64": {"rtol": 1e-12, "atol": 1e-12}}
NO_LAYERS = {"Packing", "best_words", "pack_lengths", "vocabulary_loss"}

every_call = pytest.mark.parametrize("name", CALLS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
sizes = st.builds(
    Sizes,
    N=st.integers(0, 4),
    T=st.integers(0, 4),
    D=st.integers(0, 3),
    H=st.integers(0, 3),
    M=st.integers(0, 3),
    V=st.integers(1, 4),
    L=st.integers(1, 4),
    K=st.integers(0, 3),
    Y=st.integers(1, 2),
    X=st.integers(1, 3),
)


def test_every_public_layer_has_a_call():
    made = [make_call(name) for name in CALLS]
    called = {f.__name__ for call in made for f in (call.forward, call.backward) if f}
    assert called == set(layers.__all__) - NO_LAYERS


@every_call
@settings(deadline=None, max_examples=15)
@given(size=sizes, dtype=st.sampled_from(["float16", "float32", "float64", "longdouble"]))
def test_dtype_and_shapes_are_kept_at_any_size(name, size, dtype):
    call = make_call(name, dtype, size)
    outs, cache, _, grads = run(call)
    floats = [a for a in arrays_in([outs, cache, grads]) if a.dtype.kind == "f"]
    assert floats
    assert {a.dtype for a in floats} == {np.dtype(dtype)}
    for argument, gradient in grads.items():
        assert gradient.shape == call.floats[argument].shape
    assert all(np.isfinite(a).all() for a in floats)


@pytest.mark.parametrize("name", [name for name in CALLS if name.endswith("_loss")])
@every_dtype
def test_loss_and_gradient_are_shaped_as_the_scores(name, dtype):
    call = make_call(name, dtype)
    loss, dx = call()
    assert loss.shape == ()
    assert dx.shape == call.args["x"].shape
    assert loss.dtype == dx.dtype == np.dtype(dtype)


@every_call
@every_dtype
def test_no_argument_is_changed(name, dtype):
    call = make_call(name, dtype)
    before = [a.copy() for a in call.arrays.values()]
    *outs, cache = call() if call.backward else (*call(), ())
    for argument, copy in zip(call.arrays.values(), before, strict=True):
        np.testing.assert_array_equal(argument, copy, strict=True)
    if call.backward is None:
        return
    douts = layer_calls.upstream(call, outs)
    seen = [*arrays_in(cache), *outs, *douts.values(), *call.arrays.values()]
    before = [a.copy() for a in seen]
    first = layer_calls.backward(call, cache, douts)
    for argument, copy in zip(seen, before, strict=True):
        np.testing.assert_array_equal(argument, copy, strict=True)
    again = layer_calls.backward(call, cache, douts)
    for argument, gradient in first.items():
        np.testing.assert_array_equal(gradient, again[argument], strict=True)


@every_call
def test_results_share_no_memory_with_the_arguments(name):
    call = make_call(name)
    outs, _, douts, grads = run(call)
    given_in = [*call.arrays.values(), *douts.values()]
    for result in [*outs, *grads.values()]:
        assert not any(np.shares_memory(result, argument) for argument in given_in)
    for gradient in grads.values():
        others = [g for g in grads.values() if g is not gradient]
        assert not any(np.shares_memory(gradient, other) for other in others)


@every_call
@pytest.mark.parametrize("size", [Sizes(), Sizes(N=1), Sizes(T=1), Sizes(N=1, T=1)], ids=str)
def test_read_only_arguments_work(name, size):
    call = make_call(name, size=size)
    expected = run(call)
    came = run(call.map(_read_only), change=_read_only)
    _assert_equal(came, expected)
    results = [a for a in arrays_in([came.outs, came.grads]) if a.ndim]
    assert all(result.flags.writeable for result in results)


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstm, c0", "gru", "attention_lstm"])
@pytest.mark.parametrize("size", [Sizes(), Sizes(N=1), Sizes(T=1), Sizes(N=1, T=1)], ids=str)
def test_changing_the_states_that_came_out_leaves_the_backward_pass_right(name, size):
    call = make_call(name, size=size)
    expected = run(call).grads
    (out, cache) = call()
    douts = layer_calls.upstream(call, [out])
    out *= 0
    came = layer_calls.backward(call, cache, douts)
    for argument, gradient in expected.items():
        np.testing.assert_array_equal(came[argument], gradient)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _fortran(array):
    return np.asfortranarray(array)


def _strided(array):
    wide = np.zeros([3 * n for n in array.shape], array.dtype)
    view = wide[tuple(slice(1, None, 3) for _ in array.shape)]
    view[...] = array
    return view


def _reversed(array):
    return np.flip(np.flip(array).copy())


def _swapped(array):
    axes = 0, min(1, array.ndim - 1)
    return np.swapaxes(np.swapaxes(array, *axes).copy(), *axes)


LAYOUTS = [_fortran, _strided, _reversed, _swapped]


@every_call
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_matter(name, dtype, layout):
    call = make_call(name, dtype)
    expected = run(call)
    came = run(call.map(layout), change=layout)
    _assert_equal(came, expected, **TOLERANCE[dtype])


@every_call
@settings(deadline=None, max_examples=6)
@given(data=st.data(), size=sizes)
def test_mixed_memory_layouts_do_not_matter(name, data, size):
    def layout(array):
        chosen = data.draw(st.lists(st.sampled_from(LAYOUTS), max_size=2))
        return reduce(lambda a, change: change(a), chosen, array)

    call = make_call(name, size=size)
    _assert_equal(run(call.map(layout), change=layout), run(call), **TOLERANCE["float64"])


@every_call
def test_a_broadcast_upstream_gradient_works(name):
    call = make_call(name)
    ones = run(call, change=np.ones_like)
    views = run(call, change=lambda d: np.broadcast_to(d.dtype.type(1), d.shape))
    _assert_equal(views, ones, **TOLERANCE["float64"])


def _assert_equal(came, expected, **tolerance):
    tolerance = tolerance or {"rtol": 0, "atol": 0}
    for group in ("outs", "grads"):
        ours, theirs = arrays_in(getattr(came, group)), arrays_in(getattr(expected, group))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, strict=True, **tolerance)
