"""A small model learns fifty captions by heart, as the assignment asks of its models."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled import CaptioningRNN

NOUNS = "dog cat man woman child horse".split()  # noqa: SIM905
VERBS = "runs sits jumps eats".split()  # noqa: SIM905
PLACES = "grass sand snow water street".split()  # noqa: SIM905
NAMES = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "two", "on", "the", *NOUNS, *VERBS, *PLACES]
WORDS = {word: i for i, word in enumerate(NAMES)}


def fifty_captions(rng):
    """Captions of three to eight words, no two photos alike."""
    captions = np.zeros((50, 10), dtype=np.int32)
    for n, row in enumerate(captions):
        noun, verb, place = (
            list(words)[rng.integers(len(words))] for words in (NOUNS, VERBS, PLACES)
        )
        said = ["two" if n % 7 == 0 else "a", noun, verb]
        said += ["on", "the", place] if n % 3 else []
        said += ["a", NOUNS[n % 6]] if n % 5 == 0 else []
        row[: len(said) + 2] = [WORDS[word] for word in ("<START>", *said, "<END>")]
    return captions


@pytest.mark.parametrize(("cell_type", "most"), [("rnn", 0.1), ("lstm", 0.5)])
def test_fifty_captions_are_learnt_by_heart(cell_type, most):
    rng = np.random.default_rng(0)
    captions = fifty_captions(rng)
    features = rng.standard_normal((50, 40)).astype(np.float32)
    model = CaptioningRNN(WORDS, 40, 16, 48, cell_type, seed=0)

    means = {name: np.zeros_like(value) for name, value in model.params.items()}
    squares = {name: np.zeros_like(value) for name, value in model.params.items()}
    losses = []
    for step in range(1, 121):
        rows = rng.permutation(50)[:25]
        loss, grads = model.loss(features[rows], captions[rows])
        losses.append(loss)
        for name, g in grads.items():  # Adam, as Kingma & Ba (2015) have it
            means[name] += 0.1 * (g - means[name])
            squares[name] += 0.001 * (g * g - squares[name])
            mean, square = means[name] / (1 - 0.9**step), squares[name] / (1 - 0.999**step)
            model.params[name] = model.params[name] - 0.02 * mean / (np.sqrt(square) + 1e-8)

    assert losses[0] == pytest.approx(6 * np.log(len(WORDS)), rel=0.2)  # nothing known yet
    assert np.mean(losses[-4:]) < most
    said = model.sample(features, max_length=9)
    assert said.shape == (50, 9)
    np.testing.assert_array_equal((said == captions[:, 1:]).all(axis=1).mean(), 1.0)
