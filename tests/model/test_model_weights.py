"""The loss with a weight for each word out, of either sign."""

from __future__ import annotations

import numpy as np
import pytest
from test_model_loss import CAPTIONS, features_of, model_of

from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.gradcheck import numeric_gradient, relative_error
from unrolled.layers.cells import CELLS

N, T = CAPTIONS.shape[0], CAPTIONS.shape[1] - 1


def word_losses(model, features, captions):
    """Minus the log-probability of each word out, NULL among them, one call for each."""
    losses = np.empty((N, T))
    for n in range(N):
        for t in range(T):
            alone = np.zeros((N, T))
            alone[n, t] = 1
            losses[n, t] = model.loss(features, captions, weights=alone).loss * N
    return losses


@pytest.mark.parametrize("cell_type", CELLS)
def test_each_word_counts_by_its_weight(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, N)
    weights = np.random.default_rng(0).normal(size=(N, T))
    weights[2, 1:4] = 0
    losses = word_losses(model, features, CAPTIONS)
    loss = model.loss(features, CAPTIONS, weights=weights).loss
    assert loss == pytest.approx((weights * losses).sum() / N, rel=1e-12)
    counted = model.loss(features, CAPTIONS).loss
    assert counted == pytest.approx(losses[CAPTIONS[:, 1:] != 0].sum() / N, rel=1e-12)


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_gradient_is_numeric(cell_type, smoothing):
    model, features = model_of(cell_type), features_of(cell_type, N)
    options = {
        "weights": np.random.default_rng(1).normal(size=(N, T)),
        "label_smoothing": smoothing,
    }
    grads = model.loss(features, CAPTIONS, **options).grads
    for name, value in model.params.items():

        def loss(_, name=name):
            return float(model.loss(features, CAPTIONS, **options).loss)

        numeric = numeric_gradient(loss, value, h=1e-3, order=4)
        assert relative_error(grads[name], numeric) < 1e-6, name


def test_smoothed_targets_spread_over_the_vocabulary():
    """With all of the target spread, every word in turn is the true one."""
    model, features = model_of("lstm"), features_of("lstm", N)
    plain = model.loss(features, CAPTIONS).loss
    smoothed = model.loss(features, CAPTIONS, label_smoothing=0.2).loss
    out = CAPTIONS[:, 1:]
    uniform = []
    for word in range(len(model.word_to_idx)):
        # Only the last word out is replaced: no other word in changes.
        total = 0.0
        for t in range(T):
            captions = np.concatenate([CAPTIONS[:, : t + 1], np.full((N, 1), word)], axis=1)
            weights = np.zeros((N, t + 1))
            weights[:, t] = out[:, t] != 0
            total += model.loss(features, captions, weights=weights).loss
        uniform.append(total)
    assert smoothed == pytest.approx(0.8 * plain + 0.2 * np.mean(uniform), rel=1e-10)


@pytest.mark.parametrize("cell_type", CELLS)
def test_captions_of_an_image_share_its_features(cell_type):
    model, features = model_of(cell_type), features_of(cell_type, 3)
    captions = np.concatenate([CAPTIONS, CAPTIONS[::-1], CAPTIONS[:2]])[: 3 * 4]
    expected = model.loss(np.repeat(features, 4, axis=0), captions)
    found = model.loss(features, captions, captions_per_image=4)
    assert found.loss == expected.loss
    for name, value in expected.grads.items():
        np.testing.assert_allclose(found.grads[name], value, rtol=1e-10, atol=1e-12)
    with pytest.raises(ShapeError, match="captions for 4 images, 3 captions each, and features of"):
        model.loss(features, captions, captions_per_image=3)
    with pytest.raises(InputError, match="captions_per_image must be an integer, 1 or more, got 0"):
        model.loss(features, captions, captions_per_image=0)


def test_weights_that_cannot_be():
    model, features = model_of("rnn"), features_of("rnn", N)
    with pytest.raises(ShapeError, match=r"weights must be \(5, 6\), a number for each word out"):
        model.loss(features, CAPTIONS, weights=np.ones((N, T + 1)))
    with pytest.raises(DTypeError, match="weights must be numbers, got <U1"):
        model.loss(features, CAPTIONS, weights=np.full((N, T), "x"))
