"""Greedy captions: the likeliest word at every step, END by name, NULL after it."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.layers.cells import CELLS
from unrolled.layers.memory import Memory

D, W, H = 6, 4, 8
ODD = {"dog": 0, "<END>": 1, "a": 2, "<NULL>": 5, "runs": 4, "<START>": 3}
NULL, START, END = ODD["<NULL>"], ODD["<START>"], ODD["<END>"]
every_cell = pytest.mark.parametrize("cell_type", CELLS)


def model_of(cell_type, dtype=np.float64):
    """A model whose captions end early, late and never (a test makes sure of it)."""
    model = CaptioningRNN(ODD, D, W, H, cell_type, dtype)
    rng = np.random.default_rng(14)
    for name, value in model.params.items():
        model.params[name] = (2 * rng.standard_normal(value.shape)).astype(dtype)
    model.params["b_vocab"][END] = 2.0
    model.params["b_vocab"][NULL] = -100.0
    return model


def features_of(cell_type, n, dtype=np.float64):
    return images_for(cell_type, n, D, dtype, seed=1)


def greedy(model, features, max_length):
    """One image after another, one word after another."""
    captions = np.full((len(features), max_length), NULL)
    for n in range(len(features)):
        state, word = model.start(features[n : n + 1]), START
        for t in range(max_length):
            scores, state = model.step(np.array([word]), state)
            word = captions[n, t] = int(scores[0].argmax())
            if word == END:
                break
    return captions


@every_cell
def test_captions_are_those_of_stepping_greedily(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, 40)
    captions = model.sample(features, 12)
    assert captions.shape == (40, 12)
    assert captions.dtype == np.int32
    np.testing.assert_array_equal(captions, greedy(model, features, 12))


@every_cell
def test_null_follows_end_and_nothing_else_does(cell_type):
    captions = model_of(cell_type).sample(features_of(cell_type, 40), 12)
    ends = [list(row).index(END) if END in row else None for row in captions]
    assert None in ends, "a caption that never ends, or the test proves little"
    assert len({end for end in ends if end is not None}) > 1, "captions that end at several places"
    for row, end in zip(captions, ends, strict=True):
        said = row if end is None else row[:end]
        assert not set(said) & {NULL, END}
        assert end is None or set(row[end + 1 :]) <= {NULL}


@every_cell
def test_the_first_word_is_the_first_one_said_and_not_start(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, 10)
    scores, _ = model.step(np.full(10, START), model.start(features))
    for max_length in (1, 2, 30):
        captions = model.sample(features, max_length)
        np.testing.assert_array_equal(captions[:, 0], scores.argmax(axis=1))


@every_cell
def test_a_shorter_caption_is_the_beginning_of_a_longer_one(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, 10)
    longest = model.sample(features, 12)
    for max_length in range(13):
        shorter = model.sample(features, max_length)
        np.testing.assert_array_equal(shorter, longest[:, :max_length])
        assert shorter.dtype == np.int32


@every_cell
def test_a_batch_says_what_each_image_says_alone(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, 20)
    captions = model.sample(features)
    assert captions.shape == (20, 30)
    for n in range(20):
        np.testing.assert_array_equal(model.sample(features[n : n + 1])[0], captions[n])
    np.testing.assert_array_equal(model.sample(features[::-1]), captions[::-1])
    np.testing.assert_array_equal(model.sample(np.asfortranarray(features)), captions)


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_images(cell_type, dtype):
    captions = model_of(cell_type, dtype).sample(features_of(cell_type, 0, dtype), 7)
    assert captions.shape == (0, 7)
    assert captions.dtype == np.int32


@every_cell
def test_all_captions_may_end_at_once(cell_type):
    model = model_of(cell_type)
    model.params["b_vocab"][END] = 1e4
    expected = np.full((3, 30), NULL)
    expected[:, 0] = END
    np.testing.assert_array_equal(model.sample(features_of(cell_type, 3)), expected)


@every_cell
def test_sampling_does_not_change_the_state_that_start_gave(cell_type):
    model = model_of(cell_type)
    state = model.start(features_of(cell_type, 3))
    before = copy.deepcopy(state)
    first, _ = model.step(np.array([0, 1, 2]), state)
    for now, then in zip(arrays_of(state), arrays_of(before), strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(first, model.step(np.array([0, 1, 2]), state)[0])


def arrays_of(state):
    """Open what a cell keeps of the image."""
    memories = [s for s in state if isinstance(s, Memory)]
    arrays = [s for s in state if not isinstance(s, Memory)]
    return [*arrays, *(part for memory in memories for part in (*memory.parts, memory.rows))]
