"""A model of every cell is rebuilt from what is saved of it, and nothing else is allocated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.data import Vocabulary
from unrolled.errors import CheckpointError
from unrolled.layers.cells import CELLS
from unrolled.rebuilding import rebuild_model

VOCABULARY = Vocabulary(("<NULL>", "<START>", "<END>", "<UNK>", "a", "dog"))
HERE = Path("somewhere")


def model_of(cell_type, **options):
    return CaptioningRNN(VOCABULARY.word_to_idx, 4, 5, 5, cell_type, seed=1, **options)


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "tie_weights": True, "dropout": 0.5}])
def test_a_rebuilt_model_says_the_same(cell_type, options):
    model = model_of(cell_type, **options)
    config = json.loads(json.dumps(model.config))
    twin = rebuild_model(VOCABULARY, config, model.params, HERE)
    assert twin.config == model.config
    assert list(twin.params) == list(model.params)
    images = images_for(cell_type, 3, 4, np.float32)
    np.testing.assert_array_equal(twin.sample(images), model.sample(images))


@pytest.mark.parametrize("cell_type", CELLS)
def test_a_rebuilt_model_is_normalised_and_gated_as_before(cell_type):
    options = {"layer_norm": True, "attention_gate": CELLS[cell_type].attends, "num_layers": 2}
    model = model_of(cell_type, **options)
    twin = rebuild_model(VOCABULARY, model.config, model.params, HERE)
    images = images_for(cell_type, 3, 4, np.float32)
    np.testing.assert_array_equal(twin.sample(images), model.sample(images))
    captions = np.array([[1, 4, 5, 2], [1, 5, 2, 0], [1, 4, 4, 4]])
    assert twin.loss(images, captions).loss == model.loss(images, captions).loss


def test_a_configuration_from_before_there_were_layers_is_of_one():
    model = model_of("lstm")
    later = {"num_layers", "layer_norm", "feature_dropout", "attention_penalty", "attention_gate"}
    config = {key: value for key, value in model.config.items() if key not in later}
    assert rebuild_model(VOCABULARY, config, model.params, HERE).config == model.config


def test_weights_of_another_number_of_layers_are_refused():
    model = model_of("gru", num_layers=2)
    with pytest.raises(CheckpointError, match="Wx_2: expected nothing"):
        rebuild_model(VOCABULARY, model.config | {"num_layers": 1}, model.params, HERE)


@pytest.mark.parametrize("layers", [0, -1, 10**9, 2.0, True, None, "2"])
def test_a_number_of_layers_that_cannot_be(layers):
    model = model_of("rnn")
    with pytest.raises(ValueError, match="num_layers"):
        rebuild_model(VOCABULARY, model.config | {"num_layers": layers}, model.params, HERE)
