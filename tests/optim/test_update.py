"""The update rules against their equations for one number, and what `update` promises."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import optim
from unrolled.errors import DTypeError, InputError, ShapeError

RULES = [
    optim.Adam(),
    optim.Adam(beta1=0.8, beta2=0.95, eps=1e-3),
    optim.AdamW(),
    optim.AdamW(beta1=0.0, beta2=0.5),
    optim.SGD(),
    optim.SGD(momentum=0.0),
    optim.RMSProp(),
    optim.RMSProp(alpha=0.5, eps=1e-2),
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


def scalar_walk(rule, w, gradients, rate, decay):
    """One weight followed by hand: plain Python numbers, straight from the papers."""
    m = v = u = 0.0
    for t, g in enumerate(gradients, start=1):
        if isinstance(rule, optim.AdamW):
            w = w - rate * decay * w
        else:
            g = g + decay * w
        if isinstance(rule, optim.Adam):
            m = rule.beta1 * m + (1 - rule.beta1) * g
            v = rule.beta2 * v + (1 - rule.beta2) * g**2
            m_hat, v_hat = m / (1 - rule.beta1**t), v / (1 - rule.beta2**t)
            w = w - rate * m_hat / (math.sqrt(v_hat) + rule.eps)
        elif isinstance(rule, optim.SGD):
            u = rule.momentum * u + g
            w = w - rate * u
        else:
            v = rule.alpha * v + (1 - rule.alpha) * g**2
            w = w - rate * g / (math.sqrt(v) + rule.eps)
    return w


def make(rng, dtype=np.float64):
    params = {
        "W": rng.normal(size=(3, 5)),
        "b": rng.normal(size=5),
        "E": rng.normal(size=(2, 3, 4)),
    }
    return {name: array.astype(dtype) for name, array in params.items()}


def copies(arrays):
    return {name: array.copy() for name, array in arrays.items()}


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        assert left[name].tobytes() == right[name].tobytes(), name


@each_rule
@settings(max_examples=25, deadline=None)
@given(
    w=st.floats(-3, 3),
    gradients=st.lists(st.floats(-10, 10), min_size=1, max_size=6),
    rate=st.floats(1e-4, 0.5),
    decay=st.sampled_from([0.0, 0.3]),
)
def test_one_weight_moves_as_the_equations_say(rule, w, gradients, rate, decay):
    params = {"W": np.full((2, 2), w)}
    state = optim.init_state(params, rule)
    for g in gradients:
        grads = {"W": np.full((2, 2), g)}
        optim.update(params, grads, state, rule, learning_rate=rate, weight_decay=decay)
    expected = scalar_walk(rule, w, gradients, rate, decay)
    # A gradient next to zero is divided by its own size: what rounds there is a share of the rate.
    np.testing.assert_allclose(params["W"], expected, rtol=1e-12, atol=1e-9 * rate)
    assert state[f"{rule.name}.step"] == len(gradients)


@each_rule
@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 40000])
def test_walking_in_stretches_changes_nothing(rule, size):
    rng = np.random.default_rng(size)
    values, gradients = rng.normal(size=(1, size)), rng.normal(size=(3, 1, size))
    params = {"W": values.copy()}
    state = optim.init_state(params, rule)
    for g in gradients:
        optim.update(params, {"W": g}, state, rule, learning_rate=0.01, weight_decay=0.1)
    for i in {0, size // 2, size - 1}:
        expected = scalar_walk(rule, values[0, i], gradients[:, 0, i], 0.01, 0.1)
        assert params["W"][0, i] == pytest.approx(expected, rel=1e-12)


@each_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_params_and_state_change_in_place_and_grads_never(rule, dtype):
    rng = np.random.default_rng(0)
    params, grads = make(rng, dtype), make(rng, dtype)
    state = optim.init_state(params, rule)
    arrays = {**params, **state}
    before, grads_before = copies(arrays), copies(grads)
    optim.update(params, grads, state, rule, learning_rate=0.1, weight_decay=0.1, clip_norm=0.5)
    assert_same(grads, grads_before)
    for name, array in {**params, **state}.items():
        assert array is arrays[name]
        assert array.dtype == before[name].dtype
        assert not np.array_equal(array, before[name]), name


@each_rule
def test_float32_follows_float64_to_rounding(rule):
    wide, narrow = make(np.random.default_rng(1)), make(np.random.default_rng(1), np.float32)
    states = [optim.init_state(p, rule) for p in (wide, narrow)]
    rng = np.random.default_rng(2)
    for _ in range(20):
        grads = make(rng)
        small = {name: g.astype(np.float32) for name, g in grads.items()}
        optim.update(wide, grads, states[0], rule, learning_rate=0.01)
        optim.update(narrow, small, states[1], rule, learning_rate=0.01)
    for name in wide:
        np.testing.assert_allclose(narrow[name], wide[name], rtol=1e-5, atol=1e-5)


@each_rule
def test_biases_do_not_decay(rule):
    rng = np.random.default_rng(3)
    grads = make(rng)
    plain, decayed = make(np.random.default_rng(4)), make(np.random.default_rng(4))
    for params, decay in ((plain, 0.0), (decayed, 0.5)):
        state = optim.init_state(params, rule)
        optim.update(params, grads, state, rule, learning_rate=0.1, weight_decay=decay)
    assert np.array_equal(plain["b"], decayed["b"])
    assert not np.array_equal(plain["W"], decayed["W"])
    assert not np.array_equal(plain["E"], decayed["E"])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-3, 100))
def test_norm_and_clipping(seed, clip_norm):
    rng = np.random.default_rng(seed)
    params, grads = make(rng), make(rng)
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in grads.values()]))
    assert optim.global_norm(grads) == pytest.approx(norm, rel=1e-13)
    before = copies(params)
    rule = optim.SGD(momentum=0.0)
    returned = optim.update(
        params, grads, optim.init_state(params, rule), rule, learning_rate=1.0, clip_norm=clip_norm
    )
    assert returned == pytest.approx(norm, rel=1e-13)
    moved = {name: before[name] - params[name] for name in params}
    assert optim.global_norm(moved) == pytest.approx(min(norm, clip_norm), rel=1e-9)
    direction = moved["W"] / grads["W"]
    np.testing.assert_allclose(direction, direction[0, 0], rtol=1e-9)


def test_norm_is_summed_in_float64():
    grads = {"big": np.full((3,), 1e30, np.float32), "many": np.ones((1_000_003,), np.float32)}
    assert optim.global_norm({"big": grads["big"]}) == pytest.approx(math.sqrt(3) * 1e30, rel=1e-6)
    assert optim.global_norm({"many": grads["many"]}) == pytest.approx(math.sqrt(1_000_003), 1e-15)


@each_rule
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_an_error_and_changes_nothing(rule, bad):
    rng = np.random.default_rng(5)
    params, grads = make(rng), make(rng)
    state = optim.init_state(params, rule)
    optim.update(params, grads, state, rule, learning_rate=0.1)
    grads["E"][1, 2, 3] = bad
    before = copies({**params, **state})
    with pytest.raises(
        InputError, match=r"gradient of E holds 1 of 24 .* at \(1, 2, 3\): -?(nan|inf)"
    ):
        optim.update(params, grads, state, rule, learning_rate=0.1)
    assert_same({**params, **state}, before)


def test_a_gradient_whose_square_overflows_needs_clipping():
    params = {"W": np.ones((2, 2), np.float32)}
    grads = {"W": np.full((2, 2), 1e25, np.float32)}
    rule = optim.Adam()
    state = optim.init_state(params, rule)
    with pytest.raises(InputError, match=r"its square overflows.*set clip_norm"):
        optim.update(params, grads, state, rule, learning_rate=0.1)
    assert state["adam.step"] == 0
    assert optim.update(params, grads, state, rule, learning_rate=0.1, clip_norm=1.0) > 1e25
    np.testing.assert_allclose(params["W"], 0.9, rtol=1e-6)
    with pytest.raises(InputError, match="overflows float64"):
        optim.global_norm({"W": np.full(3, 1e200)})


def test_memory_stays_small():
    params = {"W": np.zeros((1000, 1000), np.float32)}
    grads = {"W": np.ones((1000, 1000), np.float32)}
    rule = optim.AdamW()
    state = optim.init_state(params, rule)
    tracemalloc.start()
    try:
        optim.update(params, grads, state, rule, learning_rate=0.1, weight_decay=0.1, clip_norm=1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < params["W"].nbytes / 4


def test_non_contiguous_gradients_are_read_in_the_right_order():
    rng = np.random.default_rng(6)
    gradient = rng.normal(size=(4, 6))
    results = []
    for form in (gradient, np.asfortranarray(gradient), np.repeat(gradient, 2, axis=1)[:, ::2]):
        params = {"W": np.zeros((4, 6))}
        rule = optim.SGD()
        optim.update(params, {"W": form}, optim.init_state(params, rule), rule, learning_rate=1.0)
        results.append(params["W"])
    assert np.array_equal(results[0], -gradient)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_empty_parameters_are_fine():
    params = {"W": np.zeros((0, 4)), "b": np.ones(2)}
    grads = {"W": np.zeros((0, 4)), "b": np.ones(2)}
    rule = optim.SGD()
    state = optim.init_state(params, rule)
    assert optim.update(params, grads, state, rule, learning_rate=0.5) == pytest.approx(2**0.5)
    np.testing.assert_array_equal(params["b"], 0.5)
    assert optim.update({}, {}, {"sgd.step": np.zeros((), np.int64)}, rule, learning_rate=1) == 0


def spoil(what, params, grads, state):
    """Make one mistake in a sound call; say which error and words must come."""
    match what:
        case "gradient missing":
            del grads["b"]
            return InputError, r"missing \['b'\]"
        case "gradient left over":
            grads["c"] = np.ones(3)
            return InputError, r"left over \['c'\]"
        case "state of another rule":
            state["sgd.u.W"] = state.pop("adam.m.W")
            return InputError, r"missing \['adam.m.W'\], left over \['sgd.u.W'\].*init_state"
        case "gradient shape":
            grads["b"] = np.ones(4)
            return ShapeError, r"gradient of b must be \(5,\), got \(4,\)"
        case "gradient dtype":
            grads["b"] = grads["b"].astype(np.float32)
            return DTypeError, "gradient of b must be float64, got float32"
        case "state shape":
            state["adam.v.W"] = np.zeros((5, 3))
            return ShapeError, r"state adam.v.W must be \(3, 5\), got \(5, 3\)"
        case "state dtype":
            state["adam.v.W"] = np.zeros((3, 5), np.float32)
            return DTypeError, "state adam.v.W must be float64"
        case "count dtype":
            state["adam.step"] = np.zeros(())
            return DTypeError, r"adam.step must be \(\) int64"
        case "half precision":
            params["W"] = params["W"].astype(np.float16)
            return DTypeError, "W must be float32 or float64, got float16"
        case "not contiguous":
            params["W"] = np.asfortranarray(params["W"])
            return InputError, "W must be writable and C-contiguous"
        case "read-only":
            params["W"].setflags(write=False)
            return InputError, "W must be writable"
        case _:
            state["adam.m.W"].setflags(write=False)
            return InputError, "adam.m.W must be writable"


@pytest.mark.parametrize(
    "what",
    [
        "gradient missing",
        "gradient left over",
        "state of another rule",
        "gradient shape",
        "gradient dtype",
        "state shape",
        "state dtype",
        "count dtype",
        "half precision",
        "not contiguous",
        "read-only",
        "read-only state",
    ],
)
def test_arrays_that_do_not_belong_together_change_nothing(what):
    rng = np.random.default_rng(7)
    params, grads, rule = make(rng), make(rng), optim.Adam()
    state = optim.init_state(params, rule)
    error, words = spoil(what, params, grads, state)
    before = copies({**params, **state})
    with pytest.raises(error, match=words):
        optim.update(params, grads, state, rule, learning_rate=0.1)
    assert_same({**params, **state}, before)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"learning_rate": -1.0}, "learning_rate must be finite and at least 0, got -1.0"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": 1.0, "weight_decay": math.inf}, "weight_decay"),
        ({"learning_rate": 1.0, "clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"learning_rate": 1.0, "clip_norm": math.nan}, "clip_norm must be above 0"),
    ],
)
def test_numbers_out_of_range(numbers, words):
    params = make(np.random.default_rng(8))
    rule = optim.SGD()
    with pytest.raises(InputError, match=words):
        optim.update(params, params, optim.init_state(params, rule), rule, **numbers)


def test_rules_are_made_by_name():
    assert optim.make_rule("adamw", beta2=0.98) == optim.AdamW(beta2=0.98)
    assert [optim.make_rule(name).name for name in optim.RULES] == list(optim.RULES)
    with pytest.raises(InputError, match="no update rule 'adamm'; choose one of adam, adamw, sgd"):
        optim.make_rule("adamm")
    with pytest.raises(InputError, match="sgd has no constant 'beta1'; it has momentum"):
        optim.make_rule("sgd", beta1=0.9)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("adam", {"beta1": 1.0}),
        ("adam", {"beta2": -0.1}),
        ("adam", {"eps": 0.0}),
        ("rmsprop", {"alpha": math.nan}),
        ("rmsprop", {"eps": math.inf}),
    ],
)
def test_constants_out_of_range(name, constants):
    (constant,) = constants
    with pytest.raises(InputError, match=f"{name}: {constant} must be"):
        optim.make_rule(name, **constants)
