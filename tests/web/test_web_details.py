"""What is behind a caption, of every kind of cell."""

from __future__ import annotations

import json

import numpy as np
import pytest

from unrolled.captioner import Captioner, Captioners
from unrolled.data import Vocabulary
from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN
from unrolled.web.details import explain

VOCABULARY = Vocabulary(("<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "runs"))


@pytest.mark.parametrize("cell", CELLS)
def test_details_are_there_for_each_word(cell):
    model = CaptioningRNN(VOCABULARY.word_to_idx, input_dim=6, cell_type=cell, hidden_dim=5, seed=1)
    captioner = Captioner(model, VOCABULARY, {})
    rng = np.random.default_rng(0)
    shape = (1, 9, 6) if captioner.sees_grid else (1, 6)
    features = rng.standard_normal(shape).astype(np.float32)
    told = explain(Captioners((captioner,)), {"max_length": 30}, [features], "a dog runs")
    json.dumps(told, allow_nan=False)
    assert [word["word"] for word in told["words"]] == ["a", "dog", "runs", "<END>"]
    assert ("attention" in told) == captioner.sees_grid
    if captioner.sees_grid:
        maps = np.array(told["attention"])
        assert maps.shape == (4, 3, 3)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, atol=0.001)
    assert ("gates" in told) == (cell != "rnn")
    assert all(len(means) == 4 for means in told.get("gates", {}).values())
