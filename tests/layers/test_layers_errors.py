"""A wrong argument is a clear error that names the function and the argument, never a number."""

from __future__ import annotations

import re
from collections import Counter

import layer_calls
import numpy as np
import pytest
from layer_calls import CALLS, make_call

from unrolled import layers
from unrolled.errors import DTypeError, InputError, ShapeError


def fails(error, function, *arguments):
    """Expect the error, and a message from the function about one of the arguments."""
    names = "|".join(arguments)
    assert issubclass(error, ValueError)
    return pytest.raises(error, match=rf"\A{re.escape(function)}: .*\b({names})\b")


FLOATS = [(name, argument) for name in CALLS for argument in make_call(name).floats]
ARRAYS = [(name, argument) for name in CALLS for argument in make_call(name).arrays]
# What may have any shape.
ANY_SHAPE = {
    ("dropout", "x"),
    ("dropout, test mode", "x"),
    ("sigmoid", "x"),
    ("word_embedding", "x"),
}


PACKED = [name for name in CALLS if {"x", "batch_sizes"} <= make_call(name).args.keys()]


def upstreams():
    found = []
    for name in CALLS:
        call = make_call(name)
        if call.backward:
            *outs, _ = call()
            found += [(name, argument) for argument in layer_calls.upstream(call, outs)]
    return found


every_float = pytest.mark.parametrize(("name", "argument"), FLOATS)
every_upstream = pytest.mark.parametrize(("name", "argument"), upstreams())


@every_float
@pytest.mark.parametrize("dtype", [int, bool, np.uint8, complex, object])
def test_an_argument_that_is_no_float(name, argument, dtype):
    call = make_call(name)
    values = call.floats[argument]
    wrong = np.ones(values.shape).astype(dtype)
    with fails(DTypeError, call.forward.__name__, argument):
        call.with_arg(argument, wrong)()


@pytest.mark.parametrize(
    ("name", "argument"), [(name, a) for name, a in FLOATS if len(make_call(name).floats) > 1]
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_mixed_float_dtypes(name, argument, dtype):
    call = make_call(name)
    with fails(DTypeError, call.forward.__name__, argument):
        call.with_arg(argument, call.floats[argument].astype(dtype))()


@pytest.mark.parametrize(("name", "argument"), ARRAYS)
@pytest.mark.parametrize("change", [lambda a: a.tolist(), lambda a: [*a], lambda _: "words"])
def test_an_argument_that_is_no_array(name, argument, change):
    call = make_call(name)
    with fails(ShapeError, call.forward.__name__, argument):
        call.with_arg(argument, change(call.arrays[argument]))()


@pytest.mark.parametrize(("name", "argument"), [a for a in ARRAYS if a not in ANY_SHAPE])
def test_an_axis_too_many_or_too_few(name, argument):
    call = make_call(name)
    function = call.forward.__name__
    array = call.arrays[argument]
    with fails(ShapeError, function, argument):
        call.with_arg(argument, array[0])()
    if (function, argument) == ("affine_forward", "x"):
        return  # takes images, flattens them
    with fails(ShapeError, function, argument):
        call.with_arg(argument, array[None])()
    with fails(ShapeError, function, argument):
        call.with_arg(argument, array[..., None])()


def bound_axes():
    """Axes whose letter stands more than once: a length of their own would be wrong."""
    found = []
    for name in CALLS:
        call = make_call(name)
        letters = Counter(axis[-1] for axes in call.shapes.values() for axis in axes.split())
        for argument in call.arrays:
            for place, axis in enumerate(call.shapes[argument].split()):
                if letters[axis[-1]] > 1:
                    found.append((name, argument, place))
    return found


@pytest.mark.parametrize(("name", "argument", "axis"), bound_axes())
@pytest.mark.parametrize("change", ["longer", "one", "empty"])
def test_an_axis_of_another_length(name, argument, axis, change):
    """Length 1 would broadcast and 0 would vanish in a sum: both are errors as well."""
    call = make_call(name)
    array = call.arrays[argument]
    length = {"longer": array.shape[axis] + 1, "one": 1, "empty": 0}[change]
    wrong = np.resize(array, (*array.shape[:axis], length, *array.shape[axis + 1 :]))
    with fails(ShapeError, call.forward.__name__, *call.args, *call.kwargs):
        call.with_arg(argument, wrong)()


@every_upstream
def test_an_upstream_gradient_that_does_not_fit(name, argument):
    call = make_call(name)
    *outs, cache = call()
    right = layer_calls.upstream(call, outs)
    function = call.backward.__name__

    def backward(wrong):
        return layer_calls.backward(call, cache, right | {argument: wrong})

    gradient = right[argument]
    backward(gradient)
    for wrong in [gradient[0], gradient[None], gradient[..., None], gradient.tolist(), 1.0, "d"]:
        with fails(ShapeError, function, argument):
            backward(wrong)
    for axis in range(gradient.ndim):
        for wrong in (np.take(gradient, [0], axis), np.repeat(gradient, 2, axis)):
            with fails(ShapeError, function, argument):
                backward(wrong)
    for dtype in (np.float32, np.longdouble, int, bool, complex):
        with fails(DTypeError, function, argument):
            backward(gradient.astype(dtype))


def test_a_mixed_cache_is_refused():
    """An upstream gradient of the forward's own dtype, whatever that was."""
    call = make_call("lstm", np.float32)
    out, cache = call()
    with fails(DTypeError, "lstm_backward", "dh"):
        layers.lstm_backward(np.ones(out.shape), cache)


IDS = [
    ("word_embedding", "word_embedding_forward", "x"),
    ("softmax_loss", "softmax_loss", "y"),
    ("temporal_softmax_loss", "temporal_softmax_loss", "y"),
]


@pytest.mark.parametrize(("name", "function", "argument"), IDS)
@pytest.mark.parametrize("dtype", [float, np.float32, bool, complex, object])
def test_ids_that_are_no_integers(name, function, argument, dtype):
    call = make_call(name)
    with fails(DTypeError, function, argument):
        call.with_arg(argument, call.args[argument].astype(dtype))()


@pytest.mark.parametrize(("name", "function", "argument"), IDS)
@pytest.mark.parametrize("wrong", [-1, 7, 2**31, -(2**62)])
def test_ids_outside_the_vocabulary(name, function, argument, wrong):
    call = make_call(name)
    if name == "temporal_softmax_loss":
        call = call.with_arg("mask", np.ones_like(call.args["mask"]))
    words = call.args[argument].copy()
    words.flat[-1] = wrong
    with fails(InputError, function, argument) as caught:
        call.with_arg(argument, words)()
    assert str(wrong) in str(caught.value)
    assert "[0, 7)" in str(caught.value)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint64])
def test_ids_of_every_integer_dtype_work(dtype):
    for name, _, argument in IDS:
        call = make_call(name)
        expected = layer_calls.arrays_in(layer_calls.run(call)[0])
        came = layer_calls.run(call.with_arg(argument, call.args[argument].astype(dtype)))
        for a, b in zip(layer_calls.arrays_in(came[0]), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_empty_vocabulary():
    none = np.zeros((2, 0))
    with fails(InputError, "softmax_loss", "y"):
        layers.softmax_loss(none, np.zeros(2, int), np.ones(2))
    with fails(InputError, "word_embedding_forward", "x"):
        layers.word_embedding_forward(np.zeros(2, int), np.zeros((0, 3)))


def test_affine_of_items_without_axes():
    with fails(ShapeError, "affine_forward", "x"):
        layers.affine_forward(np.ones(3), np.ones((3, 2)), np.ones(2))


@pytest.mark.parametrize("mask_dtype", [complex, "U1", object])
def test_a_mask_that_weighs_nothing(mask_dtype):
    call = make_call("temporal_softmax_loss")
    with fails(DTypeError, "temporal_softmax_loss", "mask"):
        call.with_arg("mask", call.args["mask"].astype(mask_dtype))()


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize(
    ("batch_sizes", "error"),
    [
        ((3, 2), ShapeError),  # too many sequences
        ((1, 2, 2), ShapeError),  # grows
        ((2, 2), ShapeError),  # too few rows
        ((2, 2, 2), ShapeError),  # too many
        ((2, 2, 2, -1), ShapeError),
        ((), ShapeError),
        ((2.0, 2.0, 1.0), DTypeError),
        (np.array([2.0, 2.0, 1.0]), DTypeError),
        (("2", "2", "1"), DTypeError),
    ],
)
def test_batch_sizes_that_do_not_fit(name, batch_sizes, error):
    call = make_call(name)
    assert call.args["batch_sizes"] == (2, 2, 1)
    with fails(error, call.forward.__name__, "batch_sizes"):
        call.with_arg("batch_sizes", batch_sizes)()


@pytest.mark.parametrize("name", PACKED)
def test_batch_sizes_may_be_a_list_or_an_array(name):
    call = make_call(name)
    expected = call()[0]
    for same in ([2, 2, 1], np.array([2, 2, 1]), (2, 2, 1, 0, 0)):
        np.testing.assert_array_equal(call.with_arg("batch_sizes", same)()[0], expected)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize(
    ("tokens", "error"),
    [
        ([0, 1, 2, 3, 4], ShapeError),  # no array
        (np.array([[0, 1, 2, 3, 4]]), ShapeError),
        (np.array([0, 1, 2, 3, 4.0]), DTypeError),
        (np.array([0, 1, 2, 3, 5]), InputError),  # no row of x
        (np.array([0, 1, 2, 3, -1]), InputError),
    ],
)
def test_tokens_that_are_no_rows_of_x(name, tokens, error):
    call = make_call(name)
    assert len(call.args["x"]) == 5
    with fails(error, call.forward.__name__, "tokens"):
        call.forward(*call.args.values(), **call.kwargs, tokens=tokens)


@pytest.mark.parametrize("name", PACKED)
def test_batch_sizes_are_those_of_the_tokens(name):
    call = make_call(name)
    tokens = np.array([4, 4, 1, 1, 0, 4])
    with fails(ShapeError, call.forward.__name__, "batch_sizes"):
        call.forward(*call.args.values(), **call.kwargs, tokens=tokens)
    longer = call.with_arg("batch_sizes", (2, 2, 2))
    assert len(longer.forward(*longer.args.values(), **longer.kwargs, tokens=tokens)[0]) == 6


@pytest.mark.parametrize(
    ("lengths", "error"),
    [
        ([2, 1], ShapeError),
        (np.array([[2, 1]]), ShapeError),
        (np.array(2), ShapeError),
        (np.array([2.0, 1.0]), DTypeError),
        (np.array([True, False]), DTypeError),
        (np.array([2, -1]), InputError),
    ],
)
def test_lengths_that_cannot_be(lengths, error):
    with fails(error, "pack_lengths", "lengths"):
        layers.pack_lengths(lengths)


@pytest.mark.parametrize(
    ("param", "says"),
    [
        ({"mode": "train"}, "p"),
        ({"p": 0.5}, "mode"),
        ({"mode": "train", "p": 0.0}, "p"),
        ({"mode": "train", "p": -0.1}, "p"),
        ({"mode": "train", "p": 1.1}, "p"),
        ({"mode": "train", "p": float("nan")}, "p"),
        ({"mode": "train", "p": "half"}, "p"),
        ({"mode": "training", "p": 0.5}, "mode"),
        ({"mode": None, "p": 0.5}, "mode"),
        ({"mode": "train", "p": 0.5, "rng": 3}, "rng"),
        ({"mode": "train", "p": 0.5, "rng": np.random}, "rng"),
        ({"mode": "train", "p": 0.5, "seed": -1}, "seed"),
        ({"mode": "train", "p": 0.5, "seed": 0.5}, "seed"),
    ],
)
def test_dropout_parameters_that_cannot_be(param, says):
    with fails(InputError, "dropout_forward", says):
        layers.dropout_forward(np.ones((2, 3)), param)


def test_sigmoid_out_that_does_not_fit():
    x = np.ones((2, 3), np.float32)
    with fails(ShapeError, "sigmoid", "out"):
        layers.sigmoid(x[0], out=x)
    with fails(DTypeError, "sigmoid", "out"):
        layers.sigmoid(x, out=np.empty((2, 3)))
    with fails(ShapeError, "sigmoid", "out"):
        layers.sigmoid(x, out=[0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("never", [[99], [-1], [0, 5], [0.5], ["a"]])
def test_a_word_that_is_none_is_not_passed_over(never, dtype):
    h, w, b = np.ones((2, 3), dtype), np.ones((3, 5), dtype), np.zeros(5, dtype)
    wrong = InputError if isinstance(never[0], int) else DTypeError
    with fails(wrong, "best_words", "never"):
        layers.best_words(h, w, b, 1, never=never)
    assert layers.best_words(h, w, b, 2, never=[0]).words.tolist() == [[1, 2]] * 2
