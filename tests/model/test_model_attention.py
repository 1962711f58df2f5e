"""A model that attends: its locations have no order, and captions of an image share its memory."""

from __future__ import annotations

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.decoding import beam_search
from unrolled.errors import ShapeError
from unrolled.layers.cells import CELLS
from unrolled.layers.memory import Memory

WORDS = {"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3, "dog": 4, "runs": 5, "far": 6}
D, W, H = 4, 3, 5
CAPTIONS = np.array([[1, 3, 4, 2, 0], [1, 4, 6, 5, 2], [1, 2, 0, 0, 0]])
attending = pytest.mark.parametrize("cell_type", [name for name, c in CELLS.items() if c.attends])


def model_of(cell_type, **options):
    model = CaptioningRNN(WORDS, D, W, H, cell_type, float, seed=1, **options)
    rng = np.random.default_rng(2)
    for name, value in model.params.items():
        model.params[name] = value + rng.standard_normal(value.shape)
    return model


@attending
def test_locations_have_no_order(cell_type):
    model, features = model_of(cell_type), images_for(cell_type, 3, D)
    expected = model.loss(features, CAPTIONS)
    came = model.loss(features[:, ::-1], CAPTIONS)
    assert came.loss == pytest.approx(expected.loss, rel=1e-13)
    for name, gradient in expected.grads.items():
        np.testing.assert_allclose(came.grads[name], gradient, rtol=1e-10, atol=1e-13)


@attending
def test_a_grid_is_its_locations(cell_type):
    model, features = model_of(cell_type), images_for(cell_type, 3, D)
    grid = features.reshape(3, 2, 3, D)
    assert model.loss(grid, CAPTIONS).loss == model.loss(features, CAPTIONS).loss
    np.testing.assert_array_equal(model.sample(grid), model.sample(features))


@attending
def test_what_stands_at_a_location_matters_and_not_only_the_mean(cell_type):
    model, features = model_of(cell_type), images_for(cell_type, 3, D)
    blurred = np.broadcast_to(features.mean(axis=1, keepdims=True), features.shape)
    assert abs(model.loss(blurred, CAPTIONS).loss - model.loss(features, CAPTIONS).loss) > 1e-3


@attending
@pytest.mark.parametrize("shape", [(3, D), (3, 0, D), (3, 2, D + 1), (3, 2, 1, 3, D), (2, 6, D)])
def test_features_that_are_no_locations(cell_type, shape):
    with pytest.raises(ShapeError, match=r"features|location"):
        model_of(cell_type).loss(np.ones(shape), CAPTIONS)


@attending
@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, -0.2),
        ({"num_layers": 2}, -0.2),
        ({"attention_gate": True}, -0.5),
        ({"attention_gate": True, "layer_norm": True}, -0.5),
    ],
    ids=str,
)
def test_beams_of_many_images_are_those_of_each_alone(cell_type, options, end):
    """Beams share an image's memory, change places, and images that are done go."""
    model = model_of(cell_type, **options)
    features = images_for(cell_type, 9, D)
    model.params["b_vocab"][2] = end  # so that captions end at several places
    together = beam_search(model, features, width=3, max_length=7)
    assert len({len(best[0].words) for best in together}) > 1, "images that are done at one time"
    for n, expected in enumerate(together):
        (alone,) = beam_search(model, features[n : n + 1], width=3, max_length=7)
        assert [h.words for h in alone] == [h.words for h in expected]
        assert [h.log_prob for h in alone] == pytest.approx([h.log_prob for h in expected])


@attending
@pytest.mark.parametrize("options", [{}, {"attention_gate": True, "layer_norm": True}], ids=str)
def test_a_caption_costs_what_the_beam_said(cell_type, options):
    model, features = model_of(cell_type, **options), images_for(cell_type, 1, D)
    for hypothesis in beam_search(model, features, width=4, max_length=6)[0]:
        said = [1, *hypothesis.words, *([2] if hypothesis.finished else [])]
        assert model.loss(features, np.array([said])).loss == pytest.approx(-hypothesis.log_prob)


def test_a_memory_is_indexed_and_repeated_as_the_array_it_stands_for():
    values = np.random.default_rng(0).standard_normal((4, 3, 2))
    memory, plain = Memory((values,)), values
    for change in (
        lambda m: np.repeat(m, 3, axis=0),
        lambda m: m[np.array([0, 1, 1, 3, 5, 4, 6, 8, 7, 11, 10, 9])],
        lambda m: m[np.arange(len(m)) % 4 != 2],
        lambda m: m[3:],
        lambda m: m[::-1],
        lambda m: m[:0],
    ):
        memory, plain = change(memory), change(plain)
        assert len(memory) == len(plain)
        # What lies by image reads what the image holds; by caption again it is the array.
        ones = memory.by_image(np.ones(len(plain)))
        (part,) = memory.parts
        read = memory.by_caption(ones[:, :, None, None] * part[:, None])
        np.testing.assert_array_equal(read, plain)


def test_beams_of_an_image_read_one_memory():
    values = np.zeros((4, 3, 2))
    memory = np.repeat(Memory((values,)), 5, axis=0)[np.arange(20)]
    (part,) = memory.parts
    assert part is values
    assert memory.by_image(np.arange(20)).tolist() == np.arange(20).reshape(4, 5).tolist()
    some = memory[np.array([0, 1, 5, 16])]
    assert len(some.parts[0]) == 3  # nobody reads the third image any more
    assert some.by_image(np.array([1, 2, 3, 4])).tolist() == [[1, 2], [3, 0], [4, 0]]


@attending
def test_a_gate_that_is_shut_reads_nothing_and_one_that_is_open_all(cell_type):
    features = images_for(cell_type, 3, D)
    plain, gated = model_of(cell_type), model_of(cell_type, attention_gate=True)
    gated.params |= plain.params
    for name, openness in {"wbeta": 0.0, "bbeta": 40.0}.items():
        gated.params[name] = np.full_like(gated.params[name], openness)
    assert gated.loss(features, CAPTIONS).loss == pytest.approx(plain.loss(features, CAPTIONS).loss)
    gated.params["bbeta"] *= -1
    plain.params["Wattn"] *= 0
    assert gated.loss(features, CAPTIONS).loss == pytest.approx(plain.loss(features, CAPTIONS).loss)


@attending
def test_the_penalty_is_on_what_each_location_weighed(cell_type):
    """Where all locations are alike, each of 6 weighs a sixth at each of 3, 4 and 1 words."""
    features = np.repeat(images_for(cell_type, 3, D)[:, :1], 6, axis=1)
    plain, penalised = model_of(cell_type), model_of(cell_type, attention_penalty=0.7)
    more = penalised.loss(features, CAPTIONS).loss - plain.loss(features, CAPTIONS).loss
    expected = sum(6 * (1 - words / 6) ** 2 for words in (3, 4, 1))
    assert more == pytest.approx(0.7 * expected / 3, rel=1e-9)


def test_a_penalty_that_is_numpys_widens_nothing():
    model = CaptioningRNN(WORDS, D, W, H, "attention", attention_penalty=np.float64(0.7))
    features = images_for("attention", 3, D).astype(np.float32)
    loss, grads = model.loss(features, CAPTIONS)
    assert {loss.dtype, *(grad.dtype for grad in grads.values())} == {np.dtype(np.float32)}
