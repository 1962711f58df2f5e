"""Drawn captions: from the model's own distribution, or from what the options leave of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.decoding import draw_words, sample_captions
from unrolled.errors import InputError
from unrolled.model import CaptioningRNN

VOCABULARY = {"<NULL>": 2, "<START>": 0, "<END>": 4, "<UNK>": 1, "a": 3, "dog": 5}
NULL, START, END = (VOCABULARY[word] for word in ("<NULL>", "<START>", "<END>"))


def tiny_model(seed, scale=1.0):
    model = CaptioningRNN(VOCABULARY, 3, 4, 5, "lstm", np.float64, seed=seed)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        model.params[name] = scale * rng.standard_normal(value.shape)
    return model


def features_of(count):
    return np.random.default_rng(0).standard_normal((count, 3))


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    samples=st.integers(1, 4),
    max_length=st.integers(1, 6),
    temperature=st.floats(0.5, 2),
    never=st.sampled_from([(), ("<NULL>", "<START>", "<UNK>")]),
)
def test_log_probs_are_the_models_own_loss(seed, samples, max_length, temperature, never):
    model, features = tiny_model(1), features_of(3)
    options = {"max_length": max_length, "temperature": temperature, "never": never}
    rng = np.random.default_rng(seed)
    drawn = sample_captions(model, features, rng, samples=samples, **options)
    assert drawn.words.shape == (3, samples, max_length)
    for n in range(3):
        for k in range(samples):
            length, words = drawn.lengths[n, k], drawn.words[n, k]
            said = words[:length]
            assert END not in said[:-1]
            assert said[-1] == END or length == max_length
            assert (words[length:] == NULL).all()
            assert not {VOCABULARY[word] for word in never} & set(said.tolist())
            loss = model.loss(
                features[n : n + 1],
                np.array([[START, *said]]),
                weights=np.ones((1, length)),
            ).loss
            assert drawn.log_probs[n, k] == pytest.approx(-loss, rel=1e-9)


def test_words_are_drawn_as_often_as_they_are_likely():
    scores = np.tile(np.log([0.5, 0.2, 0.2, 0.1]), (40_000, 1))
    for options, expected in (
        ({}, [0.5, 0.2, 0.2, 0.1]),
        ({"forbidden": [0]}, [0, 0.4, 0.4, 0.2]),
        ({"temperature": 0.5}, np.array([25, 4, 4, 1]) / 34),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 9}, [0.5, 0.2, 0.2, 0.1]),
        ({"top_p": 0.4}, [1, 0, 0, 0]),
        ({"top_p": 0.6}, [5 / 7, 2 / 7, 0, 0]),
        ({"forbidden": [0], "top_p": 0.75}, [0, 0.5, 0.5, 0]),
        ({"forbidden": [1], "top_k": 2, "temperature": 1e9}, [0.5, 0, 0.5, 0]),
    ):
        drawn = draw_words(scores, np.random.default_rng(0), **options)
        shares = np.bincount(drawn, minlength=4) / len(drawn)
        np.testing.assert_allclose(shares, expected, atol=0.01, err_msg=str(options))
        assert (shares[np.asarray(expected) == 0] == 0).all(), options


def test_words_of_no_probability_are_never_drawn():
    class Extreme:
        def __init__(self, value):
            self.value = value

        def random(self, count):
            return np.full(count, self.value)

    scores = np.array([[-np.inf, 0.0, 0.0, -np.inf]])
    assert draw_words(scores, Extreme(0.0)).tolist() == [2]
    assert draw_words(scores, Extreme(np.nextafter(1, 0))).tolist() == [1]


def test_the_likeliest_word_alone_is_greedy():
    model, features = tiny_model(3), features_of(4)
    drawn = sample_captions(
        model, features, np.random.default_rng(0), top_k=1, max_length=7, never=()
    )
    np.testing.assert_array_equal(drawn.words[:, 0], model.sample(features, 7))


def test_equal_generators_draw_equal_captions():
    model, features = tiny_model(2), features_of(5)
    one, two, other = (
        sample_captions(model, features, np.random.default_rng(seed), samples=3, max_length=9)
        for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one.words != other.words).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"top_k": -1}, "top_k must be at least 0, got -1"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(InputError, match=words):
        sample_captions(tiny_model(0), features_of(1), np.random.default_rng(0), **options)


def test_a_vocabulary_that_cannot_end():
    model = CaptioningRNN({"<NULL>": 0, "a": 1}, 3, 4, 5)
    with pytest.raises(InputError, match="the vocabulary lacks <END>, <START>"):
        sample_captions(model, features_of(1).astype(np.float32), np.random.default_rng(0))
