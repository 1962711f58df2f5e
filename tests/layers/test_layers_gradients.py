"""Every public backward pass against numeric gradients, and proof that a wrong one is caught.

A new ``*_backward`` or ``*_loss`` without a case in `CASES` fails the first test. Cases have sizes
that are all different, T >= 3, ragged masks and lengths with sequences of 0 and 1, initial states
that are not zero, and words that come again.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN, gradcheck, layers
from unrolled.layers import lstm, rnn, softmax
from unrolled.layers.cells import CELLS, variant

TOLERANCE = 1e-6
N, T, D, H, M, V = 3, 4, 2, 5, 6, 7
BATCH_SIZES = (5, 3, 2, 1)  # of six sequences: lengths 4, 3, 2, 1, 1, 0
P = sum(BATCH_SIZES)
SHARED = np.array([1, 3, 1, 0, 3, 3, 1, 0, 4, 1, 3])  # the rows of x that tokens are; none is 2
GRID = (N, H, 2, 4)


class Case(NamedTuple):
    """A forward and a backward as `gradcheck.check` wants them, and their arguments."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    args: tuple[Any, ...]
    h: float = 1e-5
    order: int = 2

    def max_error(self) -> float:
        report = gradcheck.check(self.forward, self.backward, self.args, h=self.h, order=self.order)
        return report.max_error


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def weights(gates=1):
    return (D, gates * H), (H, gates * H), (gates * H,)


def of_layer(name, *args):
    """Look the functions up when called, so that a monkeypatched layer is the one checked."""
    return Case(
        lambda *a: getattr(layers, f"{name}_forward")(*a),
        lambda *d: getattr(layers, f"{name}_backward")(*d),
        args,
    )


def attending():
    Wx, Wh, b = weights(4)
    return Wx, Wh, Wh, b


def additive_arguments():
    shapes = [(P, D), (6, 7, H), *attending(), (H, 4), (H, 4), (4,)]
    return *draw(*shapes, seed=2), BATCH_SIZES


def of_alphas(name, *args):
    """A cell that attends, with a loss by what it attended to as well."""

    def forward(*arrays):
        h, cache = getattr(layers, f"{name}_forward")(*arrays)
        return h, cache.alphas, cache

    def backward(dh, dalphas, cache):
        return tuple(getattr(layers, f"{name}_backward")(dh, cache, dalphas=dalphas))

    return Case(forward, backward, args)


def of_lstm(name, args, states):
    """An LSTM from its own c0, with what comes out in the final cell state used too."""

    def forward(*arrays):
        *arrays, c0 = arrays
        h, cache = getattr(layers, f"{name}_forward")(*arrays, c0=c0)
        return h, cache.final_c, cache

    def backward(dh, dfinal_c, cache):
        grads = getattr(layers, f"{name}_backward")(dh, cache, dfinal_c=dfinal_c)
        return (*grads, grads.dc0)

    return Case(forward, backward, (*args, *draw((states, H), seed=9)))


def of_cell(cell_type, options, tokens=None):
    """A registered cell with options, by what a model asks of it, on ragged sequences."""
    cell = variant(CELLS[cell_type], **dict.fromkeys(options, True))
    image = (6, 3, H) if cell.attends else (6, H)
    rows = P if tokens is None else tokens.max() + 2  # the last one is nobody's
    args = draw((rows, D), image, *cell.shapes(D, H).values(), seed=3)

    def forward(*arrays):
        h, cache = cell.forward(*arrays, BATCH_SIZES, tokens=tokens)
        return (h, cache.alphas, cache) if cell.attends else (h, cache)

    def backward(*douts):
        *dhs, cache = douts
        more = {"dalphas": dhs[1]} if cell.attends else {}
        return tuple(cell.backward(dhs[0], cache, **more))

    # A small step would show rounding, where shared rows meet a norm and a gate.
    return Case(forward, backward, args, h=1e-3, order=4)


def of_loss(name, *args):
    """A loss gives its gradient at once."""

    def forward(*a):
        return getattr(layers, name)(*a)

    return Case(forward, lambda dout, dx: dout * dx, args)


def of_model(cell_type, hidden_dim=3, **options):
    """The whole model: the parameters are the arguments."""
    words = {"<NULL>": 0} | {f"word {i}": i for i in range(1, V)}
    size = {"wordvec_dim": 3} if options.get("tie_weights") else {}
    size = {"input_dim": D, "wordvec_dim": 4, "hidden_dim": hidden_dim} | size
    model = CaptioningRNN(words, cell_type=cell_type, dtype=np.float64, seed=0, **size, **options)
    for name, values in zip(
        model.params, draw(*(p.shape for p in model.params.values()), seed=12), strict=True
    ):
        model.params[name] += values
    captions = np.array(
        [
            [1, 3, 3, 5, 2, 3],
            [1, 0, 4, 0, 4, 0],  # NULL in the middle counts for nothing
            [0, 0, 0, 0, 0, 0],
            [1, 6, 0, 0, 0, 0],
            [4, 4, 4, 0, 2, 0],
        ]
    )
    features = images_for(cell_type, len(captions), D, seed=6)

    def forward(*params):
        model.params = dict(zip(model.params, params, strict=True))
        rng = np.random.default_rng(8)  # the same masks at every call
        return model.loss(features, captions, rng=rng if options else None)

    def backward(dout, grads):
        return tuple(dout * grad for grad in grads.values())

    # Some gradients are so near zero that a small step would show the loss's rounding, and a norm
    # of few numbers is so steep that a large one is too far.
    h = 1e-4 if options.get("layer_norm") else 1e-3
    return Case(forward, backward, tuple(model.params.values()), h=h, order=4)


def ids(*shape):
    """Words with repeats, and words that never come."""
    return np.random.default_rng(2).integers(1, V - 1, size=shape)


OPTIONS = [(), ("layer_norm",), ("attention_gate",), ("layer_norm", "attention_gate")]
RAGGED = np.arange(T) < np.array([T, 1, 0])[:, None]
REPEATED = np.array([3, 3, 1, 3, 6, 1])

CASES: dict[str, dict[str, Callable[[], Case]]] = {
    "affine_backward": {
        "rows": lambda: of_layer("affine", *draw((N, D), (D, M), (M,))),
        "images": lambda: of_layer("affine", *draw((N, 2, 1, 4), (8, M), (M,))),
    },
    "temporal_affine_backward": {
        "sequences": lambda: of_layer("temporal_affine", *draw((N, T, D), (D, M), (M,))),
    },
    "word_embedding_backward": {
        "sequences": lambda: of_layer("word_embedding", ids(N, T), *draw((V, D))),
        "packed": lambda: of_layer("word_embedding", REPEATED, *draw((V, D))),
        "Fortran order": lambda: of_layer("word_embedding", ids(T, N).T, *draw((V, D))),
    },
    "dropout_backward": {
        "train": lambda: of_layer(
            "dropout", *draw((N, T, D)), {"mode": "train", "p": 0.3, "seed": 4}
        ),
        "test": lambda: of_layer("dropout", *draw((N, D)), {"mode": "test", "p": 0.3}),
    },
    "rnn_step_backward": {
        "step": lambda: of_layer("rnn_step", *draw((N, D), (N, H), *weights())),
    },
    "rnn_backward": {
        "sequences": lambda: of_layer("rnn", *draw((N, T, D), (N, H), *weights())),
    },
    "rnn_packed_backward": {
        "ragged": lambda: of_layer("rnn_packed", *draw((P, D), (6, H), *weights()), BATCH_SIZES),
    },
    "lstm_step_backward": {
        "step": lambda: of_layer("lstm_step", *draw((N, D), (N, H), (N, H), *weights(4))),
    },
    "lstm_backward": {
        "no c0": lambda: of_layer("lstm", *draw((N, T, D), (N, H), *weights(4))),
        "c0": lambda: of_lstm("lstm", draw((N, T, D), (N, H), *weights(4)), N),
    },
    "lstm_packed_backward": {
        "no c0": lambda: of_layer("lstm_packed", *draw((P, D), (6, H), *weights(4)), BATCH_SIZES),
        "c0": lambda: of_lstm("lstm_packed", (*draw((P, D), (6, H), *weights(4)), BATCH_SIZES), 6),
    },
    "gru_step_backward": {
        "step": lambda: of_layer("gru_step", *draw((N, D), (N, H), *weights(3), (H,))),
    },
    "gru_backward": {
        "sequences": lambda: of_layer("gru", *draw((N, T, D), (N, H), *weights(3), (H,))),
    },
    "gru_packed_backward": {
        "ragged": lambda: of_layer(
            "gru_packed", *draw((P, D), (6, H), *weights(3), (H,), seed=1), BATCH_SIZES
        ),
    },
    "layer_norm_backward": {
        "rows": lambda: of_layer("layer_norm", *draw((N, H), (H,), (H,))),
    },
    "attention_backward": {
        "grid": lambda: of_layer("attention", *draw((N, H), GRID)),
    },
    "additive_attention_backward": {
        "locations": lambda: of_layer(
            "additive_attention", *draw((N, H), (N, 7, H), (H, 4), (H, 4), (4,))
        ),
    },
    "attention_gate_backward": {
        "rows": lambda: of_layer("attention_gate", *draw((N, H), (N, M), (H,), (1,))),
    },
    "additive_lstm_packed_backward": {
        "ragged": lambda: of_layer("additive_lstm_packed", *additive_arguments()),
        "alphas": lambda: of_alphas("additive_lstm_packed", *additive_arguments()),
    },
    "doubly_stochastic_loss": {
        "ragged": lambda: of_loss("doubly_stochastic_loss", *draw((P, 7)), BATCH_SIZES),
    },
    "attention_lstm_step_backward": {
        "step": lambda: of_layer(
            "attention_lstm_step", *draw((N, D), (N, H), (N, H), (N, H), *attending())
        ),
    },
    "attention_lstm_backward": {
        "sequences": lambda: of_layer("attention_lstm", *draw((N, T, D), GRID, *attending())),
    },
    "attention_lstm_packed_backward": {
        "ragged": lambda: of_layer(
            "attention_lstm_packed", *draw((P, D), (6, 7, H), *attending(), seed=1), BATCH_SIZES
        ),
        "alphas": lambda: of_alphas(
            "attention_lstm_packed", *draw((P, D), (6, 7, H), *attending(), seed=1), BATCH_SIZES
        ),
    },
    "softmax_loss": {
        "weighted": lambda: of_loss_with_fixed_weights(),
        "smoothed": lambda: of_loss_with_fixed_weights(smoothing=0.2),
    },
    "vocabulary_loss": {
        "weighted": lambda: of_vocabulary(),
        "smoothed": lambda: of_vocabulary(smoothing=0.2),
    },
    "temporal_softmax_loss": {
        "mask": lambda: of_loss("temporal_softmax_loss", *draw((N, T, V)), ids(N, T), RAGGED),
        "weights": lambda: of_loss(
            "temporal_softmax_loss",
            *draw((N, T, V)),
            ids(N, T),
            (RAGGED * np.arange(1, T + 1)).astype(np.float32),
        ),
    },
    "CaptioningRNN.loss": {
        **{f"{cell}": lambda cell=cell: of_model(cell) for cell in CELLS},
        **{f"{cell}, dropout": lambda cell=cell: of_model(cell, dropout=0.4) for cell in CELLS},
        **{
            f"{cell}, feature dropout": lambda cell=cell: of_model(cell, feature_dropout=0.4)
            for cell in CELLS
        },
        **{f"{cell}, tied": lambda cell=cell: of_model(cell, tie_weights=True) for cell in CELLS},
        **{
            f"{cell}, penalty": lambda cell=cell: of_model(cell, attention_penalty=0.7)
            for cell in CELLS
            if CELLS[cell].attends
        },
        **{
            f"{cell}, layers": lambda cell=cell: of_model(cell, num_layers=3, dropout=0.4)
            for cell in CELLS
        },
        **{
            f"{cell}, layer norm": lambda cell=cell: of_model(cell, layer_norm=True)
            for cell in CELLS
        },
        **{
            f"{cell}, gate": lambda cell=cell: of_model(
                cell, attention_gate=True, attention_penalty=0.7
            )
            for cell in CELLS
            if CELLS[cell].attends
        },
        "lstm, layer norm, layers": lambda: of_model("lstm", 4, layer_norm=True, num_layers=2),
        "lstm, forget bias": lambda: of_model("lstm", forget_bias=1.0),
    },
    "Cell.backward": {
        ", ".join([cell, *options, name]): lambda cell=cell, options=options, tokens=tokens: (
            of_cell(cell, options, tokens)
        )
        for cell in CELLS
        for options in OPTIONS
        for name, tokens in {"a row each": None, "shared rows": SHARED}.items()
        if CELLS[cell].attends or "attention_gate" not in options
    },
}


def of_loss_with_fixed_weights(**options):
    """The weights of `softmax_loss` are data: only the scores have a gradient."""
    x, row_weights = draw((len(REPEATED), V), (len(REPEATED),))
    return Case(
        lambda scores: layers.softmax_loss(scores, REPEATED, row_weights, **options),
        lambda dout, dx: dout * dx,
        (x,),
    )


def of_vocabulary(**options):
    """A fused loss gives its gradients with it; the weights of its rows are data."""
    *args, row_weights = draw((len(REPEATED), H), (H, V), (V,), (len(REPEATED),))

    def forward(h, w, b):
        loss, *grads = layers.vocabulary_loss(h, w, b, REPEATED, row_weights, **options)
        return loss, grads

    return Case(forward, lambda dout, grads: tuple(dout * g for g in grads), tuple(args))


ALL_CASES = [(name, case) for name, cases in CASES.items() for case in cases]
every_case = pytest.mark.parametrize(("name", "case"), ALL_CASES)


def public_backwards():
    """Names of everything public in the layers that gives a gradient."""
    found = set()
    for info in pkgutil.walk_packages(layers.__path__, "unrolled.layers."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            gives_gradient = name.endswith(("_backward", "_loss")) and not name.startswith("_")
            if gives_gradient and inspect.isfunction(value):
                found.add(name)
    return found


def test_every_public_backward_has_a_case():
    exported = {n for n in dir(layers) if n.endswith(("_backward", "_loss"))}
    assert public_backwards() == exported, "a backward pass is not exported by unrolled.layers"
    assert exported | {"CaptioningRNN.loss", "Cell.backward"} == set(CASES)


def test_every_cell_has_a_case():
    with_every_option = {
        f"{cell}{kind}"
        for cell in CELLS
        for kind in ("", ", dropout", ", feature dropout", ", tied", ", layers", ", layer norm")
    }
    assert with_every_option <= set(CASES["CaptioningRNN.loss"])


@every_case
def test_gradients_are_the_numeric_ones_and_a_wrong_one_would_fail(monkeypatch, name, case):
    """A thousandth more in one number of any one gradient must fail the case."""
    numeric = []

    def record(*args, **kwargs):
        numeric.append(compute(*args, **kwargs))
        return numeric[-1]

    compute, checked = gradcheck.numeric_gradient, CASES[name][case]()
    monkeypatch.setattr(gradcheck, "numeric_gradient", record)
    assert checked.max_error() < TOLERANCE

    floats = [a for a in checked.args if isinstance(a, np.ndarray) and a.dtype == np.float64]
    for place in range(len(floats)):
        replay = iter(numeric)  # the numeric side stays as it was, and is slow
        monkeypatch.setattr(gradcheck, "numeric_gradient", lambda *_, replay=replay: next(replay))
        wrong = checked._replace(backward=_spoilt(checked.backward, place))
        assert wrong.max_error() > 100 * TOLERANCE, f"gradient {place} could be wrong"


def _as_tuple(grads):
    return tuple(grads) if isinstance(grads, tuple) else (grads,)


def _spoilt(backward, place):
    def spoilt(*args):
        grads = [g.copy() for g in _as_tuple(backward(*args))]
        largest = np.unravel_index(np.abs(grads[place]).argmax(), grads[place].shape)
        grads[place][largest] *= 1.001
        return tuple(grads)

    return spoilt


def _embedding_without_repeats(dout, cache):
    dW = np.zeros_like(cache.W)
    dW[cache.x] = dout
    return dW


def _states_from_zero(h, h0, batch_sizes):
    from unrolled.layers.packing import previous_states

    return previous_states(h, np.zeros_like(h0), batch_sizes)


def _cell_backward_without_h(dnext_h, dnext_c, gates, prev_c, tanh_c, da):
    return lstm_cell_backward(np.zeros_like(dnext_h), dnext_c, gates, prev_c, tanh_c, da)


def _cell_backward_without_c(dnext_h, dnext_c, gates, prev_c, tanh_c, da):
    return lstm_cell_backward(dnext_h, np.zeros_like(dnext_c), gates, prev_c, tanh_c, da)


def _cell_backward_in_order_ifgo(dnext_h, dnext_c, gates, prev_c, tanh_c, da):
    dprev_c = lstm_cell_backward(dnext_h, dnext_c, gates, prev_c, tanh_c, da)
    swap = np.array([0, 1, 3, 2])
    da[:] = da.reshape(len(da), 4, -1)[:, swap].reshape(da.shape)
    return dprev_c


def _softmax_by_token(x, y, mask, verbose=False):
    loss, dx = temporal_softmax_loss(x, y, mask)
    return softmax.SoftmaxLoss(loss, dx * len(x) / np.sum(mask))


def _dropout_unscaled(dout, cache):
    return dout * (cache.mask != 0)


lstm_cell_backward = lstm._cell_backward
temporal_softmax_loss = layers.temporal_softmax_loss

MISTAKES = [
    ("word_embedding_backward", layers, "word_embedding_backward", _embedding_without_repeats),
    ("rnn_backward", rnn, "previous_states", _states_from_zero),
    ("rnn_packed_backward", rnn, "previous_states", _states_from_zero),
    ("lstm_backward", lstm, "previous_states", _states_from_zero),
    ("lstm_packed_backward", lstm, "previous_states", _states_from_zero),
    ("lstm_step_backward", lstm, "_cell_backward", _cell_backward_without_h),
    ("lstm_step_backward", lstm, "_cell_backward", _cell_backward_without_c),
    ("lstm_packed_backward", lstm, "_cell_backward", _cell_backward_without_c),
    ("lstm_packed_backward", lstm, "_cell_backward", _cell_backward_in_order_ifgo),
    ("temporal_softmax_loss", layers, "temporal_softmax_loss", _softmax_by_token),
    ("dropout_backward", layers, "dropout_backward", _dropout_unscaled),
]


@pytest.mark.parametrize(("name", "module", "function", "mistake"), MISTAKES)
def test_a_usual_mistake_is_caught(monkeypatch, name, module, function, mistake):
    monkeypatch.setattr(module, function, mistake)
    assert max(make().max_error() for make in CASES[name].values()) > 100 * TOLERANCE


def test_models_with_a_mistake_in_a_layer_are_caught(monkeypatch):
    monkeypatch.setattr(
        "unrolled.model.captioning.word_embedding_backward", _embedding_without_repeats
    )
    assert CASES["CaptioningRNN.loss"]["rnn"]().max_error() > 100 * TOLERANCE
