"""What a search takes, weights laid out once and steps compiled, is the model's own text.

`tests/kernels/test_kernels_choice.py` runs this on every path.
"""

from __future__ import annotations

import numpy as np
import pytest

from cell_images import images_for
from unrolled import CaptioningRNN
from unrolled.errors import InputError
from unrolled.layers.cells import CELLS

WORDS = {word: i for i, word in enumerate(("<NULL>", "<START>", "<END>", *"abcdefghij"))}
D, W, H, N = 11, 9, 21, 5

OFF = {"float32": 1e-4, "bfloat16": 0.1}


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("precision", OFF)
def test_a_ready_model_says_what_the_model_says_in_float64(cell_type, precision):
    """Three words, one of which is read twice; weights so large that every part of a step tells."""
    rng = np.random.default_rng(4)
    model = CaptioningRNN(WORDS, D, W, H, cell_type, np.float32)
    exact = CaptioningRNN(WORDS, D, W, H, cell_type, np.float64)
    for name, value in model.params.items():
        model.params[name] = (0.4 * rng.standard_normal(value.shape)).astype(np.float32)
        exact.params[name] = model.params[name].astype(np.float64)
    images = images_for(cell_type, N, D, np.float32)
    ready = model.ready(precision)
    state, want = ready.start(images), exact.start(images.astype(np.float64))
    for words in rng.integers(3, len(WORDS), (2, N))[[0, 1, 0]]:
        best, state = ready.best_words(words, state, 3)
        scores, want = exact.step(words, want)
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        likeliest = -np.sort(-log_p, axis=1)[:, :3]
        np.testing.assert_allclose(best.log_p, likeliest, atol=OFF[precision])
        said = np.take_along_axis(log_p, best.words, axis=1)
        np.testing.assert_allclose(best.log_p, said, atol=OFF[precision])
        np.testing.assert_allclose(state[0], want[0], atol=OFF[precision])


def test_a_model_of_given_weights_is_the_one_they_are_of():
    model = CaptioningRNN(WORDS, D, W, H, "lstm", np.float32, seed=3)
    again = CaptioningRNN(WORDS, D, W, H, "lstm", np.float32, params=model.params)
    assert list(again.params) == list(model.params)
    for name, value in model.params.items():
        np.testing.assert_array_equal(again.params[name], value)


def test_weights_that_do_not_fit_are_refused_by_name():
    params = CaptioningRNN(WORDS, D, W, H, "lstm").params
    params["Wx"] = params["Wx"].T
    del params["b"]
    with pytest.raises(InputError, match=r"Wx: expected \(9, 84\), got \(84, 9\); b: expected"):
        CaptioningRNN(WORDS, D, W, H, "lstm", params=params)
