"""Scheduled sampling: which words in are replaced, by what, and how often."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_run import SETTINGS, VOCAB, make_batches, make_model

from unrolled.errors import InputError, ShapeError
from unrolled.gradcheck import numeric_gradient, relative_error
from unrolled.model import CaptioningRNN
from unrolled.training import TrainingConfig
from unrolled.training.objectives import make_objective
from unrolled.training.scheduled import own_word_probability, scheduled_words


def certain_model():
    """Whatever it reads, it says: dog after a, runs after dog, else a."""
    model = CaptioningRNN(VOCAB, 5, len(VOCAB), len(VOCAB), "rnn", seed=0)
    for name, value in model.params.items():
        model.params[name] = np.zeros_like(value)
    model.params["W_embed"] += 5 * np.eye(len(VOCAB), dtype=np.float32)
    model.params["Wx"] += np.eye(len(VOCAB), dtype=np.float32)
    a, dog, runs = VOCAB["a"], VOCAB["dog"], VOCAB["runs"]
    model.params["W_vocab"][:, a] = 50
    for word, following in ((a, dog), (dog, runs)):
        model.params["W_vocab"][word, a] = 0
        model.params["W_vocab"][word, following] = 50
    return model


def test_every_word_in_but_the_first_may_be_the_models_own():
    captions = np.array([[1, 3, 3, 3, 3, 2], [1, 3, 3, 2, 0, 0]])
    features = np.zeros((2, 5), np.float32)
    words = scheduled_words(certain_model(), features, captions, 1.0, np.random.default_rng(0))
    a, dog, runs = VOCAB["a"], VOCAB["dog"], VOCAB["runs"]
    assert words[0].tolist() == [1, a, dog, runs, a]  # each after its own, not people's, words
    assert words[1, :3].tolist() == [1, a, dog]
    assert words[1, 4] == 0  # padding stays
    same = scheduled_words(certain_model(), features, captions, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(same, captions[:, :-1])
    assert captions[0].tolist() == [1, 3, 3, 3, 3, 2]


def test_words_are_replaced_as_often_as_they_shall():
    captions = np.tile([1, 3, 3, 3, 3, 2], (2000, 1))
    features = np.zeros((2000, 5), np.float32)
    words = scheduled_words(certain_model(), features, captions, 0.3, np.random.default_rng(0))
    shares = (words != captions[:, :-1]).mean(axis=0)
    assert shares[0] == 0
    np.testing.assert_allclose(shares[1:], 0.3, atol=0.04)


def test_what_ends_a_caption_is_never_fed():
    model = make_model()
    model.params["b_vocab"][[VOCAB["<END>"], VOCAB["<NULL>"], VOCAB["<START>"]]] = 50
    batch = next(make_batches().epoch(0))
    rng = np.random.default_rng(0)
    words = scheduled_words(model, batch.features, batch.captions, 1.0, rng)
    fed = words[:, 1:][batch.captions[:, 1:-1] != 0]
    assert fed.min() >= VOCAB["<UNK>"]


def test_the_probability_rises_by_the_epoch():
    assert [own_word_probability(0.6, epoch, 4) for epoch in range(4)] == pytest.approx(
        [0, 0.2, 0.4, 0.6]
    )
    assert own_word_probability(0.6, 0, 1) == 0.6


def test_the_loss_is_of_peoples_words_after_the_models():
    model = make_model()
    batch = next(make_batches().epoch(0))
    config = TrainingConfig(**SETTINGS, scheduled_sampling=0.8)
    objective = make_objective(model, config, null=0, reward=None, max_length=4)
    rng = np.random.default_rng(4)
    words = scheduled_words(model, batch.features, batch.captions, 0.8, rng)
    expected = model.loss(batch.features, batch.captions, rng=rng, words_in=words)
    told = objective(batch, np.random.default_rng(4), 1)
    assert told.nats == float(expected.loss) * len(batch.captions)
    assert (words != batch.captions[:, :-1]).any()
    first = objective(batch, np.random.default_rng(4), 0)
    plain = model.loss(batch.features, batch.captions, rng=np.random.default_rng(4))
    assert first.nats == float(plain.loss) * len(batch.captions)


def test_the_gradient_with_words_in_is_numeric():
    model = CaptioningRNN(VOCAB, 3, 4, 4, "lstm", np.float64, seed=2, tie_weights=True)
    model.params["W_embed"] *= 100  # so that a mistake shows
    rng = np.random.default_rng(1)
    features, words_in = rng.normal(size=(3, 3)), rng.integers(0, len(VOCAB), size=(3, 4))
    captions = np.array([[1, 4, 5, 6, 2], [1, 4, 2, 0, 0], [1, 2, 0, 0, 0]])
    grads = model.loss(features, captions, words_in=words_in).grads
    for name, value in model.params.items():

        def loss(_):
            return float(model.loss(features, captions, words_in=words_in).loss)

        assert relative_error(grads[name], numeric_gradient(loss, value)) < 1e-5, name
    with pytest.raises(ShapeError, match=r"words_in must be \(3, 4\), a word for each word out"):
        model.loss(features, captions, words_in=captions)
    for wrong in (-1, len(VOCAB)):
        words_in[1, 2] = wrong  # behind the caption's last word, where nothing reads it
        with pytest.raises(InputError, match=f"words_in holds the id {wrong}"):
            model.loss(features, captions, words_in=words_in)


def test_what_does_not_go_together():
    with pytest.raises(InputError, match="scheduled_sampling must be at least 0 and at most 1"):
        TrainingConfig(scheduled_sampling=1.5)
    with pytest.raises(InputError, match="scheduled_sampling is of cross-entropy"):
        TrainingConfig(objective="self-critical", scheduled_sampling=0.1)
    with pytest.raises(InputError, match="ema_decay must be at least 0 and below 1, got 1"):
        TrainingConfig(ema_decay=1)
