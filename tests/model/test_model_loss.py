"""The captioning loss: against stepping word by word, and what must not change it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.layers.cells import CELLS
from unrolled.model import words

D, W, H = 4, 3, 5
WORDS = {"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3, "a": 4, "dog": 5, "runs": 6}
V = len(WORDS)
CAPTIONS = np.array(
    [
        [1, 4, 5, 6, 2, 0, 0],
        [1, 2, 0, 0, 0, 0, 0],
        [1, 5, 5, 5, 5, 5, 2],
        [1, 4, 0, 6, 0, 2, 0],  # NULL in the middle
        [0, 0, 0, 0, 0, 0, 0],
    ]
)
every_cell = pytest.mark.parametrize("cell_type", CELLS)


def model_of(cell_type, dtype=np.float64, words=WORDS, **options):
    model = CaptioningRNN(words, D, W, H, cell_type, dtype, seed=1, **options)
    rng = np.random.default_rng(2)
    for name, value in model.params.items():  # large, so that a mistake shows
        model.params[name] = rng.standard_normal(value.shape).astype(dtype)
    return model


def features_of(cell_type, n, dtype=np.float64):
    return images_for(cell_type, n, D, dtype, seed=3)


def loss_by_stepping(model, features, captions):
    """Mean over the captions of the sum of -log p of every word that is not NULL."""
    total = 0.0
    for n, caption in enumerate(captions):
        state = model.start(features[n : n + 1])
        for word, following in itertools.pairwise(caption):
            scores, state = model.step(np.array([word]), state)
            p = np.exp(scores[0]) / np.exp(scores[0]).sum()
            total -= np.log(p[following]) if following != model.word_to_idx["<NULL>"] else 0
    return total / len(captions)


@every_cell
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_the_loss_is_that_of_stepping_word_by_word(cell_type, tie_weights, layers):
    options = {"tie_weights": tie_weights, "num_layers": layers}
    model = CaptioningRNN(WORDS, D, H if tie_weights else W, H, cell_type, float, seed=4, **options)
    features = features_of(cell_type, len(CAPTIONS))
    expected = loss_by_stepping(model, features, CAPTIONS)
    assert model.loss(features, CAPTIONS).loss == pytest.approx(expected, rel=1e-12)


@every_cell
@pytest.mark.parametrize("layers", [1, 2])
def test_the_loss_of_a_normed_cell_is_that_of_stepping(cell_type, layers):
    options = {"layer_norm": True, "num_layers": layers}
    model, features = model_of(cell_type, **options), features_of(cell_type, len(CAPTIONS))
    expected = loss_by_stepping(model, features, CAPTIONS)
    assert model.loss(features, CAPTIONS).loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cell_type", [name for name, cell in CELLS.items() if cell.attends])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_loss_of_a_gated_cell_is_that_of_stepping(cell_type, layer_norm):
    options = {"layer_norm": layer_norm, "attention_gate": True, "num_layers": 2}
    model, features = model_of(cell_type, **options), features_of(cell_type, len(CAPTIONS))
    expected = loss_by_stepping(model, features, CAPTIONS)
    assert model.loss(features, CAPTIONS).loss == pytest.approx(expected, rel=1e-12)


@every_cell
@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 4), steps=st.integers(1, 5), seed=st.integers(0, 999))
def test_any_captions_cost_what_stepping_says(cell_type, n, steps, seed):
    captions = np.random.default_rng(seed).integers(V, size=(n, steps + 1))
    model, features = model_of(cell_type), features_of(cell_type, n)
    expected = loss_by_stepping(model, features, captions)
    assert model.loss(features, captions).loss == pytest.approx(expected, rel=1e-11, abs=1e-13)


@every_cell
def test_a_batch_is_the_mean_of_its_captions(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    loss, grads = model.loss(features, CAPTIONS)
    alone = [model.loss(features[n : n + 1], CAPTIONS[n : n + 1]) for n in range(len(CAPTIONS))]
    assert loss == pytest.approx(np.mean([one.loss for one in alone]), rel=1e-12)
    for name, gradient in grads.items():
        mean = np.mean([one.grads[name] for one in alone], axis=0)
        np.testing.assert_allclose(gradient, mean, rtol=1e-10, atol=1e-12)


@every_cell
@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(len(CAPTIONS))))
def test_the_order_of_the_captions_does_not_matter(cell_type, order):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    expected, came = model.loss(features, CAPTIONS), model.loss(features[order], CAPTIONS[order])
    assert came.loss == pytest.approx(expected.loss, rel=1e-12)
    for name, gradient in expected.grads.items():
        np.testing.assert_allclose(came.grads[name], gradient, rtol=1e-10, atol=1e-12)


@every_cell
@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(V)))
def test_the_order_of_the_word_ids_does_not_matter(cell_type, order):
    """START, END and NULL are found by name: with any ids the same words cost the same."""
    model, features, order = (
        model_of(cell_type),
        features_of(cell_type, len(CAPTIONS)),
        np.array(order),
    )
    loss, grads = model.loss(features, CAPTIONS)
    other = model_of(cell_type, words={word: int(order[i]) for word, i in WORDS.items()})

    def reorder(arrays):
        back = np.argsort(order)
        return {
            **arrays,
            "W_embed": arrays["W_embed"][back],
            "W_vocab": arrays["W_vocab"][:, back],
            "b_vocab": arrays["b_vocab"][back],
        }

    other.params = reorder(model.params)
    came = other.loss(features, order[CAPTIONS])
    assert came.loss == pytest.approx(loss, rel=1e-12)
    for name, gradient in reorder(grads).items():
        np.testing.assert_allclose(came.grads[name], gradient, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(other.sample(features, 6), order[model.sample(features, 6)])


@every_cell
def test_more_padding_and_what_comes_in_after_the_last_word_change_nothing(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    expected = model.loss(features, CAPTIONS)
    padded = np.pad(CAPTIONS, ((0, 0), (0, 3)))
    came = model.loss(features, padded)
    assert came.loss == expected.loss
    for name, gradient in expected.grads.items():
        np.testing.assert_array_equal(came.grads[name], gradient)


@every_cell
def test_captions_that_are_all_null_cost_nothing_and_teach_nothing(cell_type):
    model = model_of(cell_type)
    loss, grads = model.loss(features_of(cell_type, 2), np.zeros((2, 4), int))
    assert loss == 0
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, np.zeros_like(model.params[name]), strict=True)


@every_cell
def test_no_captions(cell_type):
    model = model_of(cell_type, np.float32)
    loss, grads = model.loss(features_of(cell_type, 0, np.float32), np.zeros((0, 4), int))
    assert loss == 0
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, np.zeros_like(model.params[name]), strict=True)


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_dtype_shapes_and_keys(cell_type, dtype, dropout, tie_weights):
    width = H if tie_weights else W
    options = {"dropout": dropout, "tie_weights": tie_weights, "seed": 0}
    model = CaptioningRNN(WORDS, D, width, H, cell_type, dtype, **options)
    rng = np.random.default_rng(0)
    loss, grads = model.loss(features_of(cell_type, 5, dtype), CAPTIONS.astype(np.int32), rng=rng)
    shapes = {
        "W_proj": (D, H),
        "b_proj": (H,),
        "W_embed": (V, width),
        **CELLS[cell_type].shapes(width, H),
        "W_vocab": (H, V),
        "b_vocab": (V,),
    }
    if tie_weights:
        del shapes["W_vocab"]
    for arrays in (model.params, grads):
        assert {name: a.shape for name, a in arrays.items()} == shapes
        assert list(arrays) == list(shapes)
        assert {a.dtype for a in arrays.values()} == {np.dtype(dtype)}
    assert loss.dtype == dtype
    start = model.start(features_of(cell_type, 2, dtype))
    scores, state = model.step(np.array([1, 4]), start)
    assert {a[0].dtype for a in (start, state)} == {np.dtype(dtype)}
    assert scores.dtype == dtype
    assert scores.shape == (2, V)


@every_cell
@pytest.mark.parametrize("tie_weights", [False, True])
def test_nothing_that_goes_in_is_changed_and_nothing_that_comes_out_shares_it(
    cell_type, tie_weights
):
    options = {"dropout": 0.5, "tie_weights": tie_weights, "seed": 0}
    model = CaptioningRNN(WORDS, D, H if tie_weights else W, H, cell_type, float, **options)
    features, captions = features_of(cell_type, len(CAPTIONS)), CAPTIONS.copy()
    inputs = [features, captions, *model.params.values()]
    before = [a.copy() for a in inputs]
    for array in inputs:
        array.flags.writeable = False
    _, grads = model.loss(features, captions, rng=np.random.default_rng(0))
    model.sample(features, 5)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy, strict=True)
    for gradient in grads.values():
        assert gradient.flags.writeable
        assert not any(np.shares_memory(gradient, array) for array in inputs)


@every_cell
def test_memory_layout_does_not_matter(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    expected = model.loss(features, CAPTIONS)
    model.params = {name: np.asfortranarray(value) for name, value in model.params.items()}
    came = model.loss(np.flip(np.flip(features).copy()), np.asfortranarray(CAPTIONS))
    assert came.loss == pytest.approx(expected.loss, rel=1e-13)
    for name, gradient in expected.grads.items():
        np.testing.assert_allclose(came.grads[name], gradient, rtol=1e-11, atol=1e-13)


@every_cell
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64])
def test_captions_of_every_integer_dtype(cell_type, dtype):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    assert model.loss(features, CAPTIONS.astype(dtype)).loss == model.loss(features, CAPTIONS).loss


@every_cell
def test_float32_is_float64_to_its_rounding(cell_type):
    narrow, wide = model_of(cell_type, np.float32), model_of(cell_type)
    wide.params = {name: value.astype(float) for name, value in narrow.params.items()}
    features = features_of(cell_type, len(CAPTIONS), np.float32)
    expected = wide.loss(features.astype(float), CAPTIONS)
    came = narrow.loss(features, CAPTIONS)
    assert came.loss == pytest.approx(expected.loss, rel=1e-6)
    for name, gradient in expected.grads.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(came.grads[name], gradient, rtol=0, atol=2e-5 * scale)


@every_cell
def test_huge_features_and_weights_stay_finite(cell_type):
    model = model_of(cell_type, np.float32)
    model.params = {name: 1e4 * value for name, value in model.params.items()}
    loss, grads = model.loss(1e4 * features_of(cell_type, len(CAPTIONS), np.float32), CAPTIONS)
    assert np.isfinite(loss)
    assert loss > 0
    assert all(np.isfinite(gradient).all() for gradient in grads.values())


@every_cell
def test_dropout_is_drawn_from_the_generator_and_only_when_there_is_one(cell_type):
    plain, dropping = model_of(cell_type), model_of(cell_type, dropout=0.5)
    features = features_of(cell_type, len(CAPTIONS))

    def loss(model, seed=None):
        rng = None if seed is None else np.random.default_rng(seed)
        return model.loss(features, CAPTIONS, rng=rng).loss

    assert loss(dropping) == loss(plain) == loss(plain, 0)
    assert loss(dropping, 0) == loss(dropping, 0)
    assert len({loss(dropping, seed) for seed in range(4)} | {loss(plain)}) == 5


@every_cell
def test_words_read_once_cost_and_teach_what_words_read_each_time_do(cell_type, monkeypatch):
    """Also where each is dropped out of in its own way: then none is read for another."""
    features = features_of(cell_type, len(CAPTIONS))
    model = model_of(cell_type, dropout=0.4)
    for seed in (None, 5):
        results = []
        for least in (np.inf, 0):
            monkeypatch.setattr(words, "_SPARED", dict.fromkeys((False, True), least))
            rng = None if seed is None else np.random.default_rng(seed)
            results.append(model.loss(features, CAPTIONS, rng=rng))
        (loss, grads), (once_loss, once_grads) = results
        np.testing.assert_allclose(once_loss, loss, rtol=1e-12)
        for name, gradient in grads.items():
            np.testing.assert_allclose(once_grads[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("read", "width", "once"),
    [
        ([6, 4, 4, 6], 499, None),
        ([6, 4, 4, 6], 500, [4, 6]),  # half come again
        ([4, 4, 5, 6], 999, None),
        ([4, 4, 5, 6], 1000, [4, 5, 6]),
    ],
)
def test_words_are_read_once_where_that_spares_enough(read, width, once):
    captions = np.array([[*read, 2]])
    packed = words.pack_words(captions, 0, np.dtype(np.float64))
    found, tokens = packed.once(V, width)
    if once is None:
        assert tokens is None
        np.testing.assert_array_equal(found, read)
    else:
        np.testing.assert_array_equal(found, once)
        np.testing.assert_array_equal(found[tokens], read)


@every_cell
def test_dropout_leaves_no_trace_when_captions_are_sampled(cell_type):
    features = features_of(cell_type, 6)
    plain, dropping = model_of(cell_type), model_of(cell_type, dropout=0.9)
    np.testing.assert_array_equal(dropping.sample(features), plain.sample(features))


@every_cell
def test_a_little_step_against_the_gradient_lowers_the_loss(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, len(CAPTIONS))
    loss, grads = model.loss(features, CAPTIONS)
    step = 1e-5
    for name, gradient in grads.items():
        model.params[name] = model.params[name] - step * gradient
    fall = step * sum((gradient**2).sum() for gradient in grads.values())
    assert loss - model.loss(features, CAPTIONS).loss == pytest.approx(fall, rel=1e-2)
