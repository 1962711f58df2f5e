"""What a model is made of: initial weights, seeds, options, and arguments that cannot be right."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.layers.cells import CELLS

WORDS = {"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3, "dog": 4}
every_cell = pytest.mark.parametrize("cell_type", CELLS)


def make(**options):
    return CaptioningRNN(WORDS, **{"input_dim": 6, "wordvec_dim": 4, "hidden_dim": 5, **options})


def test_defaults_are_the_assignments():
    model = CaptioningRNN(WORDS)
    assert model.cell_type == "rnn"
    assert model.dtype == np.float32
    shapes = {name: value.shape for name, value in model.params.items()}
    assert shapes == {
        "W_proj": (512, 128),
        "b_proj": (128,),
        "W_embed": (5, 128),
        "Wx": (128, 128),
        "Wh": (128, 128),
        "b": (128,),
        "W_vocab": (128, 5),
        "b_vocab": (5,),
    }
    assert model.config["dropout"] == 0
    assert model.config["tie_weights"] is False


@every_cell
def test_initial_weights_have_the_assignments_scale(cell_type):
    words = {"<NULL>": 0} | {f"word {i}": i for i in range(1, 400)}
    model = CaptioningRNN(words, 300, 200, 250, cell_type, np.float64, seed=0)
    scales = {"W_proj": 300**-0.5, "W_embed": 0.01, "Wx": 200**-0.5, "Wh": 250**-0.5}
    scales |= {"W_vocab": 250**-0.5, "Wattn": 250**-0.5}
    scales |= {"Wa": 250**-0.5, "Ua": 250**-0.5, "wa": 250**-0.5}
    for name, value in model.params.items():
        if name in scales:
            assert value.std() == pytest.approx(
                scales[name], rel=max(0.02, 3 * value.size**-0.5)
            ), name
            assert abs(value.mean()) < 4 * scales[name] / np.sqrt(value.size)
        else:
            np.testing.assert_array_equal(value, 0)


@every_cell
@pytest.mark.parametrize("tie_weights", [False, True])
def test_equal_seeds_give_equal_weights(cell_type, tie_weights):
    def weights(seed, dtype=np.float64):
        options = {"wordvec_dim": 5, "tie_weights": tie_weights, "dtype": dtype}
        return make(cell_type=cell_type, seed=seed, **options).params

    first, again, other = weights(7), weights(7), weights(8)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name], strict=True)
        if not name.startswith("b"):
            assert (value != other[name]).all()
    for name, value in weights(7, np.float32).items():
        np.testing.assert_array_equal(value, first[name].astype(np.float32), strict=True)


def test_no_seed_gives_other_weights_every_time_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert (make().params["Wx"] != make().params["Wx"]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_forget_bias_goes_to_the_forget_gate():
    H = 5
    model, plain = make(cell_type="lstm", forget_bias=1.5, seed=0), make(cell_type="lstm", seed=0)
    expected = np.zeros(4 * H, np.float32)
    expected[H : 2 * H] = 1.5
    np.testing.assert_array_equal(model.params["b"], expected, strict=True)
    for name in set(model.params) - {"b"}:
        np.testing.assert_array_equal(model.params[name], plain.params[name])


def test_a_forget_bias_keeps_the_cell_state():
    """The second gate of the step function is the one that is biased."""
    model = make(cell_type="lstm", forget_bias=50.0, dtype=np.float64, seed=0)
    for name in ("Wx", "Wh"):
        model.params[name] *= 0
    h, c = np.zeros((1, 5)), np.linspace(-3, 3, 5)[None]
    _, (_, next_c) = model.step(np.array([3]), (h, c))
    np.testing.assert_allclose(next_c, c)


@every_cell
def test_tied_weights_are_one_matrix(cell_type):
    model = make(wordvec_dim=5, tie_weights=True, cell_type=cell_type, dtype=float, seed=0)
    twin = make(wordvec_dim=5, cell_type=cell_type, dtype=float, seed=0)
    twin.params = model.params | {"W_vocab": model.params["W_embed"].T}
    features = images_for(cell_type, 3, 6)
    captions = np.array([[1, 3, 4, 2], [1, 4, 2, 0], [1, 2, 0, 0]])
    tied, untied = model.loss(features, captions), twin.loss(features, captions)
    assert tied.loss == untied.loss
    both = untied.grads["W_embed"] + untied.grads["W_vocab"].T
    np.testing.assert_allclose(tied.grads["W_embed"], both, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(model.sample(features), twin.sample(features))


@every_cell
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.25, "feature_dropout": 0.5, "num_layers": 3},
        {"wordvec_dim": 5, "tie_weights": True, "num_layers": 2},
    ],
)
def test_the_config_makes_the_model_again(cell_type, options):
    model = make(cell_type=cell_type, dtype=np.float64, seed=0, **options)
    config = json.loads(json.dumps(model.config))
    twin = CaptioningRNN(WORDS, **config)
    assert twin.config == model.config
    for name, value in twin.params.items():
        assert value.shape == model.params[name].shape
        assert value.dtype == model.params[name].dtype


def test_the_vocabulary_is_a_copy():
    words = dict(WORDS)
    model = CaptioningRNN(words, 6, 4, 5)
    words["cat"] = 5
    assert model.word_to_idx == WORDS
    assert model.idx_to_word == {i: word for word, i in WORDS.items()}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell_type": "transformer"}, "cell_type"),
        ({"cell_type": "LSTM"}, "cell_type"),
        ({"cell_type": None}, "cell_type"),
        ({"cell_type": ["rnn"]}, "cell_type"),
        ({"input_dim": 0}, "input_dim"),
        ({"wordvec_dim": -1}, "wordvec_dim"),
        ({"hidden_dim": 2.0}, "hidden_dim"),
        ({"num_layers": 0}, "num_layers"),
        ({"num_layers": 101}, "num_layers must be at most 100"),
        ({"layer_norm": 1}, "layer_norm must be true or false, got 1"),
        (
            {"attention_gate": True, "cell_type": "gru"},
            "gru attends to nothing; leave out attention_gate",
        ),
        ({"hidden_dim": "5"}, "hidden_dim"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"feature_dropout": 1.0}, "feature_dropout"),
        ({"dtype": int}, "dtype"),
        ({"dtype": complex}, "dtype"),
        ({"dtype": "zzz"}, "dtype must be one of NumPy's, got 'zzz'"),
        ({"dropout": "x"}, "dropout must be a number in [0, 1), got 'x'"),
        ({"feature_dropout": None}, "feature_dropout"),
        ({"seed": -1}, "seed must be an integer, 0 or more, got -1"),
        ({"seed": "x"}, "seed"),
        ({"forget_bias": "x", "cell_type": "lstm"}, "forget_bias"),
        ({"attention_penalty": "x", "cell_type": "attention"}, "attention_penalty"),
        ({"forget_bias": 1.0}, "forget gate"),
        ({"attention_penalty": 1.0}, "attends"),
        ({"attention_penalty": -1.0, "cell_type": "attention"}, "attention_penalty"),
        ({"attention_penalty": float("nan"), "cell_type": "attention"}, "attention_penalty"),
        ({"tie_weights": True}, "tie_weights"),
        ({"word_to_idx": {}}, "<NULL>"),
        ({"word_to_idx": {"<START>": 0, "<END>": 1}}, "<NULL>"),
        ({"word_to_idx": {"<NULL>": 0, "a": 1, "b": 1}}, "word_to_idx"),
    ],
)
def test_arguments_that_cannot_be_right(options, says):
    arguments = {"word_to_idx": WORDS, "input_dim": 6, "wordvec_dim": 4, "hidden_dim": 5}
    with pytest.raises(InputError, match=rf"\ACaptioningRNN: .*{re.escape(says)}"):
        CaptioningRNN(**{**arguments, **options})


@pytest.mark.parametrize("missing", ["<START>", "<END>"])
def test_sampling_needs_start_and_end_but_training_does_not(missing):
    words = {word: i for i, word in enumerate(WORDS.keys() - {missing})}
    model = CaptioningRNN(words, 6, 4, 5, dtype=float)
    features = np.ones((2, 6))
    assert np.isfinite(model.loss(features, np.ones((2, 3), int)).loss)
    with pytest.raises(InputError, match=missing):
        model.sample(features)


FEATURES = [
    (np.ones((2, 7)), ShapeError),
    (np.ones(6), ShapeError),
    (np.ones((2, 1, 6)), ShapeError),
    (np.ones((2, 6), np.float32), DTypeError),
    (np.ones((2, 6), int), DTypeError),
    ([[1.0] * 6] * 2, ShapeError),
]


@pytest.mark.parametrize(("features", "error"), FEATURES)
def test_features_that_do_not_fit(features, error):
    model = make(dtype=float)
    captions = np.ones((2, 3), int)
    for call in (lambda: model.loss(features, captions), lambda: model.start(features),
                 lambda: model.sample(features)):  # fmt: skip
        with pytest.raises(error, match=r"\ACaptioningRNN: .*features"):
            call()


@pytest.mark.parametrize(
    ("captions", "error"),
    [
        (np.ones((3, 3), int), ShapeError),
        (np.ones((1, 3), int), ShapeError),
        (np.ones(3, int), ShapeError),
        (np.ones((2, 1), int), ShapeError),
        (np.ones((2, 0), int), ShapeError),
        ([[1, 2], [1, 2]], ShapeError),
        (np.ones((2, 3)), DTypeError),
        (np.ones((2, 3), bool), DTypeError),
        (np.array([[1, 5], [1, 2]]), InputError),
        (np.array([[1, -1], [1, 2]]), InputError),
        (np.array([[5, 1], [1, 2]]), InputError),
        (np.array([[1, 2, 0, 0, -1], [1, 2, 3, 4, 2]]), InputError),  # after the last word too
    ],
)
def test_captions_that_do_not_fit(captions, error):
    with pytest.raises(error, match=r"\ACaptioningRNN\.loss: .*captions"):
        make(dtype=float).loss(np.ones((2, 6)), captions)


@pytest.mark.parametrize("max_length", [-1, 2.5, "30", None])
def test_a_max_length_that_cannot_be(max_length):
    with pytest.raises(InputError, match=r"CaptioningRNN\.sample: max_length"):
        make(dtype=float).sample(np.ones((2, 6)), max_length)


@every_cell
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (np.array([1, 5]), InputError),
        (np.array([-1, 1]), InputError),
        (np.array([1.0, 2.0]), DTypeError),
        (np.array([1, 2, 3]), ShapeError),
        (np.array([[1], [2]]), ShapeError),
    ],
)
def test_words_to_step_with_that_do_not_fit(cell_type, words, error):
    model = make(cell_type=cell_type, dtype=float)
    with pytest.raises(error):
        model.step(words, model.start(images_for(cell_type, 2, 6)))


@pytest.mark.parametrize(("name", "said"), [("Wh", "Wh is float64"), ("b_proj", "b is float64")])
def test_parameters_of_a_mixed_dtype_are_refused(name, said):
    model = make(dtype=np.float32)
    model.params[name] = model.params[name].astype(float)
    with pytest.raises(DTypeError, match=said):
        model.loss(np.ones((2, 6), np.float32), np.ones((2, 3), int))


def test_a_projection_is_held_to_its_shape_and_precision():
    model = make(dtype=np.float32)
    with pytest.raises(InputError, match="precision must be one of"):
        model.start(np.ones((2, 6), np.float32), precision="half")
    model.params["b_proj"] = model.params["b_proj"][:1]
    with pytest.raises(ShapeError, match="b must be"):
        model.start(np.ones((2, 6), np.float32))
