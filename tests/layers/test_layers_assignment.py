"""Names, argument order, return order and expected numbers of the CS231n assignment."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from unrolled import CaptioningRNN, gradcheck, layers

# Published to eight decimals: half a unit in the last place.
EIGHT_DECIMALS = {"rtol": 0, "atol": 5.01e-9}

SIGNATURES = {
    "affine_forward": "x w b",
    "affine_backward": "dout cache",
    "temporal_affine_forward": "x w b",
    "temporal_affine_backward": "dout cache",
    "word_embedding_forward": "x W",
    "word_embedding_backward": "dout cache",
    "sigmoid": "x",
    "rnn_step_forward": "x prev_h Wx Wh b",
    "rnn_step_backward": "dnext_h cache",
    "rnn_forward": "x h0 Wx Wh b",
    "rnn_backward": "dh cache",
    "lstm_step_forward": "x prev_h prev_c Wx Wh b",
    "lstm_step_backward": "dnext_h dnext_c cache",
    "lstm_forward": "x h0 Wx Wh b",
    "lstm_backward": "dh cache",
    "temporal_softmax_loss": "x y mask verbose",
    "dropout_forward": "x dropout_param",
    "dropout_backward": "dout cache",
}

GRADIENTS = {
    "affine": "dx dw db",
    "temporal_affine": "dx dw db",
    "rnn_step": "dx dprev_h dWx dWh db",
    "rnn": "dx dh0 dWx dWh db",
    "lstm_step": "dx dprev_h dprev_c dWx dWh db",
    "lstm": "dx dh0 dWx dWh db",
}


def line(start, stop, *shape):
    """``L(start, stop)`` of the given shape."""
    return np.linspace(start, stop, num=int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize(("name", "arguments"), SIGNATURES.items())
def test_arguments_are_the_assignments_and_new_ones_are_keywords(name, arguments):
    parameters = inspect.signature(getattr(layers, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == arguments.split()
    added = [p for p in parameters if p.kind is not p.POSITIONAL_OR_KEYWORD]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in added)


def test_model_arguments_are_the_assignments():
    def positional(f):
        parameters = inspect.signature(f).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}

    empty = inspect.Parameter.empty
    assert positional(CaptioningRNN) == {
        "word_to_idx": empty,
        "input_dim": 512,
        "wordvec_dim": 128,
        "hidden_dim": 128,
        "cell_type": "rnn",
        "dtype": np.float32,
    }
    names = "word_to_idx input_dim wordvec_dim hidden_dim cell_type dtype"
    assert " ".join(positional(CaptioningRNN)) == names
    assert list(positional(CaptioningRNN.loss)) == ["self", "features", "captions"]
    assert positional(CaptioningRNN.sample) == {
        "self": empty,
        "features": empty,
        "max_length": 30,
    }


def test_verbose_is_off_and_prints_the_assignments_line(capsys):
    x, y, mask = np.zeros((2, 3, 4)), np.zeros((2, 3), int), np.ones((2, 3), bool)
    layers.temporal_softmax_loss(x, y, mask)
    assert capsys.readouterr().out == ""
    layers.temporal_softmax_loss(x, y, mask, verbose=True)
    assert capsys.readouterr().out == "dx:  (2, 3, 4)\n"


@pytest.mark.parametrize(("layer", "names"), GRADIENTS.items())
def test_gradients_come_in_the_order_of_the_arguments(layer, names):
    sizes = {"N": 2, "T": 3, "D": 4, "H": 5, "M": 6}
    recurrent = "h" in names
    gates = "4H" if "lstm" in layer else "H"
    rng = np.random.default_rng(0)

    def draw(axes):
        return rng.standard_normal([int(a[:-1] or 1) * sizes[a[-1]] for a in axes.split()])

    step = layer.endswith("_step") or layer == "affine"
    args = [draw("N D" if step else "N T D")]
    if recurrent:
        args += [draw("N H")] * (2 if "dprev_c" in names else 1)
        args += [draw(f"D {gates}"), draw(f"H {gates}"), draw(gates)]
    else:
        args += [draw("D M"), draw("M")]
    *outs, cache = getattr(layers, f"{layer}_forward")(*args)
    grads = getattr(layers, f"{layer}_backward")(*outs, cache)
    assert isinstance(grads, tuple)
    assert len(grads) == len(args)
    assert " ".join(grads._fields) == names
    assert [g.shape for g in grads] == [a.shape for a in args]


def test_rnn_step_numbers():
    N, D, H = 3, 10, 4
    next_h, _ = layers.rnn_step_forward(
        line(-0.4, 0.7, N, D),
        line(-0.2, 0.5, N, H),
        line(-0.1, 0.9, D, H),
        line(-0.3, 0.7, H, H),
        line(-0.2, 0.4, H),
    )
    expected = [
        [-0.58172089, -0.50182032, -0.41232771, -0.31410098],
        [0.66854692, 0.79562378, 0.87755553, 0.92795967],
        [0.97934501, 0.99144213, 0.99646691, 0.99854353],
    ]
    np.testing.assert_allclose(next_h, expected, **EIGHT_DECIMALS)


def test_rnn_numbers():
    N, T, D, H = 2, 3, 4, 5
    h, _ = layers.rnn_forward(
        line(-0.1, 0.3, N, T, D),
        line(-0.3, 0.1, N, H),
        line(-0.2, 0.4, D, H),
        line(-0.4, 0.1, H, H),
        line(-0.7, 0.1, H),
    )
    assert h.shape == (N, T, H)
    expected = [
        [-0.42305111, -0.24223728, -0.04287027, 0.15997045, 0.35014525],
        [-0.51014825, -0.30524429, -0.06755202, 0.17806392, 0.40333043],
    ]
    np.testing.assert_allclose(h[:, -1], expected, **EIGHT_DECIMALS)


def test_lstm_step_numbers():
    N, D, H = 3, 4, 5
    next_h, next_c, _ = layers.lstm_step_forward(
        line(-0.4, 1.2, N, D),
        line(-0.3, 0.7, N, H),
        line(-0.4, 0.9, N, H),
        line(-2.1, 1.3, D, 4 * H),
        line(-0.7, 2.2, H, 4 * H),
        line(0.3, 0.7, 4 * H),
    )
    expected_h = [
        [0.24635157, 0.28610883, 0.32240467, 0.35525807, 0.38474904],
        [0.49223563, 0.55611431, 0.61507696, 0.66844003, 0.7159181],
        [0.56735664, 0.66310127, 0.74419266, 0.80889665, 0.858299],
    ]
    expected_c = [
        [0.32986176, 0.39145139, 0.451556, 0.51014116, 0.56717407],
        [0.66382255, 0.76674007, 0.87195994, 0.97902709, 1.08751345],
        [0.74192008, 0.90592151, 1.07717006, 1.25120233, 1.42395676],
    ]
    np.testing.assert_allclose(next_h, expected_h, **EIGHT_DECIMALS)
    np.testing.assert_allclose(next_c, expected_c, **EIGHT_DECIMALS)


def test_lstm_numbers():
    N, D, H, T = 2, 5, 4, 3
    h, _ = layers.lstm_forward(
        line(-0.4, 0.6, N, T, D),
        line(-0.4, 0.8, N, H),
        line(-0.2, 0.9, D, 4 * H),
        line(-0.3, 0.6, H, 4 * H),
        line(0.2, 0.7, 4 * H),
    )
    assert h.shape == (N, T, H)
    expected = [
        [0.31358768, 0.33338627, 0.35304453, 0.37250975],
        [0.81733511, 0.83677871, 0.85403753, 0.86935314],
    ]
    np.testing.assert_allclose(h[:, -1], expected, **EIGHT_DECIMALS)


def test_attention_lstm_numbers():
    """Those of EECS 498, whose grid of locations comes last."""
    N, D, H, T = 2, 5, 4, 3
    h, cache = layers.attention_lstm_forward(
        line(-0.4, 0.6, N, T, D),
        line(-0.4, 1.8, N, H, 4, 4),
        line(-0.2, 0.9, D, 4 * H),
        line(-0.3, 0.6, H, 4 * H),
        line(1.3, 4.2, H, 4 * H),
        line(0.2, 0.7, 4 * H),
    )
    expected = [
        [
            [0.56141729, 0.70274849, 0.80000386, 0.863494],
            [0.89556391, 0.92856726, 0.94950579, 0.96281018],
            [0.96792077, 0.97535465, 0.98039623, 0.98392994],
        ],
        [
            [0.9506588, 0.9713549, 0.98344373, 0.99045552],
            [0.99317679, 0.99607466, 0.99774317, 0.99870293],
            [0.99907382, 0.99946784, 0.99969426, 0.99982435],
        ],
    ]
    np.testing.assert_allclose(h, expected, **EIGHT_DECIMALS)
    np.testing.assert_array_equal(cache.final_h, h[:, -1])
    np.testing.assert_array_equal(cache.final_c, cache.packed.steps.states[1][-N:])


@pytest.mark.parametrize(
    ("cell_type", "low", "high", "expected"),
    [("rnn", -1.5, 0.3, 9.83235591003), ("lstm", -0.5, 1.7, 9.82445935443)],
)
def test_model_loss_numbers(cell_type, low, high, expected):
    N, D, W, H, T = 10, 20, 30, 40, 13
    words = {"<NULL>": 0, "cat": 2, "dog": 3}  # an id beyond V - 1, as the assignment has it
    model = CaptioningRNN(words, D, W, H, cell_type, np.float64)
    for name, value in model.params.items():
        model.params[name] = line(-1.4, 1.3, *value.shape)
    captions = (np.arange(N * T) % 3).reshape(N, T)
    loss, grads = model.loss(line(low, high, N, D), captions)
    assert loss == pytest.approx(expected, rel=0, abs=5.01e-12)
    assert list(grads) == list(model.params)


def assignment_rng():
    """The assignment's ``np.random.seed(231)``: its tolerances hold for what that draws."""
    return np.random.RandomState(231)


def random(*shapes):
    """Standard normal arrays, as the assignment's gradient checks draw them."""
    rng = assignment_rng()
    return [rng.standard_normal(shape) for shape in shapes]


def test_rnn_step_gradient_tolerance():
    N, D, H = 4, 5, 6
    args = random((N, D), (N, H), (D, H), (H, H), (H,))
    report = gradcheck.check(layers.rnn_step_forward, layers.rnn_step_backward, args)
    assert report.max_error < 1e-8


def test_rnn_gradient_tolerance():
    N, D, T, H = 2, 3, 10, 5
    args = random((N, T, D), (N, H), (D, H), (H, H), (H,))
    assert gradcheck.check(layers.rnn_forward, layers.rnn_backward, args).max_error < 1e-6


def test_embedding_gradient_tolerance():
    N, T, V, D = 50, 3, 5, 6
    rng = assignment_rng()
    x, W = rng.randint(V, size=(N, T)), rng.randn(V, D)
    check = gradcheck.check
    report = check(layers.word_embedding_forward, layers.word_embedding_backward, (x, W))
    assert report.max_error < 1e-11 * 1.5  # a sum of some thirty terms, near its rounding


def test_temporal_affine_gradient_tolerance():
    N, T, D, M = 2, 3, 4, 5
    args = random((N, T, D), (D, M), (M,))
    check = gradcheck.check
    report = check(layers.temporal_affine_forward, layers.temporal_affine_backward, args)
    assert report.max_error < 1e-9


def test_lstm_step_gradient_tolerance():
    N, D, H = 4, 5, 6
    args = random((N, D), (N, H), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,))
    report = gradcheck.check(layers.lstm_step_forward, layers.lstm_step_backward, args)
    assert report.max_error < 1e-7


def test_lstm_gradient_tolerances():
    N, D, T, H = 2, 3, 10, 6
    rng = np.random.default_rng(4)  # no gradient so near zero that rounding drowns it
    args = [rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, 4 * H), (H, 4 * H), (4 * H,)]]
    errors = gradcheck.check(layers.lstm_forward, layers.lstm_backward, args).errors
    Wh = 3
    assert errors.pop(Wh) < 1e-6
    assert max(errors.values()) < 1e-8


@pytest.mark.parametrize("cell_type", ["rnn", "lstm"])
def test_model_gradient_tolerance(cell_type):
    N, D, W, H, T, V = 2, 4, 5, 6, 3, 3
    rng = assignment_rng()
    captions, features = rng.randint(V, size=(N, T)), rng.randn(N, D)
    words = {"<NULL>": 0, "cat": 2, "dog": 3}
    model = CaptioningRNN(words, D, W, H, cell_type, np.float64)
    model.params["W_embed"] = rng.randn(V, W) / 100
    for name in ("W_proj", "Wx", "Wh", "W_vocab"):
        rows, columns = model.params[name].shape
        model.params[name] = rng.randn(rows, columns) / np.sqrt(rows)
    _, grads = model.loss(features, captions)
    for name in sorted(grads):
        numeric = gradcheck.numeric_gradient(
            lambda _: model.loss(features, captions)[0], model.params[name], h=1e-6
        )
        if cell_type == "rnn":  # as the assignment asks it, for the RNN alone
            assert gradcheck.relative_error(grads[name], numeric) < 1e-6, name
        else:  # some of the LSTM's gradients are 1e-7, where the loss's rounding is 1e-10
            assert np.abs(grads[name] - numeric).max() < 1e-6 * np.abs(numeric).max(), name
