"""Beam search against exhaustive search, the model's own loss, and greedy sampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.decoding import beam_search
from unrolled.errors import InputError, ShapeError
from unrolled.model import CaptioningRNN

VOCABULARY = {"<NULL>": 2, "<START>": 0, "<END>": 4, "<UNK>": 1, "a": 3, "dog": 5}
END = VOCABULARY["<END>"]


def tiny_model(seed: int, cell_type: str = "lstm") -> CaptioningRNN:
    """A model whose words are far from equally likely, so that the search has work to do."""
    model = CaptioningRNN(VOCABULARY, 3, 4, 5, cell_type, np.float64, seed=seed)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        model.params[name] = 1.5 * rng.standard_normal(value.shape)
    return model


def log_prob(model: CaptioningRNN, features: np.ndarray, words: tuple[int, ...]) -> float:
    """The model's own loss of one caption, as the issue's definition has it."""
    caption = np.array([[VOCABULARY["<START>"], *words]])
    return -float(model.loss(features, caption).loss)


def exhaustive(
    model: CaptioningRNN, features: np.ndarray, max_length: int, allowed: list[int]
) -> list[tuple[float, tuple[int, ...]]]:
    """Every caption there is, likeliest first."""
    captions = [
        (*words, END)
        for n in range(max_length)
        for words in itertools.product([w for w in allowed if w != END], repeat=n)
    ]
    captions += itertools.product([w for w in allowed if w != END], repeat=max_length)
    return sorted(((log_prob(model, features, c), c) for c in captions), reverse=True)


@given(seed=st.integers(0, 10_000), cell_type=st.sampled_from(["rnn", "lstm"]))
@settings(max_examples=15, deadline=None)
def test_wide_beam_is_exhaustive(seed: int, cell_type: str) -> None:
    model = tiny_model(seed, cell_type)
    features = np.random.default_rng(seed).standard_normal((1, 3))
    allowed = [VOCABULARY[w] for w in ("a", "dog", "<END>")]
    expected = exhaustive(model, features, 3, allowed)
    (found,) = beam_search(model, features, width=len(expected), max_length=3)
    assert len(found) == len(expected)
    for (value, words), hypothesis in zip(expected, found, strict=True):
        said = (*hypothesis.words, END) if hypothesis.finished else hypothesis.words
        assert said == words
        assert hypothesis.log_prob == pytest.approx(value, abs=1e-9)


@given(seed=st.integers(0, 10_000), width=st.integers(1, 4), n=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_log_prob_is_the_loss_of_the_caption(seed: int, width: int, n: int) -> None:
    model = tiny_model(seed)
    features = np.random.default_rng(seed).standard_normal((n, 3))
    found = beam_search(model, features, width=width, max_length=6)
    assert len(found) == n
    for row, hypotheses in zip(features, found, strict=True):
        assert 1 <= len(hypotheses) <= width
        assert [h.log_prob for h in hypotheses] == sorted(h.log_prob for h in hypotheses)[::-1]
        for h in hypotheses:
            said = (*h.words, END) if h.finished else h.words
            assert h.log_prob == pytest.approx(log_prob(model, row[None], said), abs=1e-9)
            assert not set(h.words) & {VOCABULARY[w] for w in ("<NULL>", "<START>", "<UNK>")}


@given(seed=st.integers(0, 10_000), cell_type=st.sampled_from(["rnn", "lstm"]))
@settings(max_examples=30, deadline=None)
def test_width_one_is_greedy(seed: int, cell_type: str) -> None:
    model = tiny_model(seed, cell_type)
    features = np.random.default_rng(seed).standard_normal((7, 3))
    sampled = model.sample(features, max_length=8)
    # <NULL> is forbidden here, as a search cannot tell a said one from the padding.
    for row, (h,) in zip(
        sampled.tolist(),
        beam_search(model, features, width=1, max_length=8, never=[]),
        strict=True,
    ):
        said = (*h.words, END) if h.finished else h.words
        agreed = row[: row.index(VOCABULARY["<NULL>"])] if VOCABULARY["<NULL>"] in row else row
        assert said[: len(agreed)] == tuple(agreed)


def test_batch_does_not_matter() -> None:
    model = tiny_model(3)
    features = np.random.default_rng(3).standard_normal((9, 3))
    together = beam_search(model, features, width=3, max_length=10)
    alone = [beam_search(model, row[None], width=3, max_length=10)[0] for row in features]
    for a, b in zip(together, alone, strict=True):
        assert [h.words for h in a] == [h.words for h in b]


def test_length_norm_ranks_by_log_prob_per_word() -> None:
    model = tiny_model(11)
    features = np.random.default_rng(1).standard_normal((20, 3))
    for hypotheses in beam_search(model, features, width=4, max_length=8, length_norm=1.0):
        per_word = [h.log_prob / (len(h.words) + h.finished) for h in hypotheses]
        assert per_word == sorted(per_word, reverse=True)


def test_width_finds_at_least_the_greedy_probability_when_exhaustive_does() -> None:
    model = tiny_model(5)
    features = np.random.default_rng(2).standard_normal((1, 3))
    (greedy,) = beam_search(model, features, width=1, max_length=4)
    (best,) = beam_search(model, features, width=200, max_length=4)
    assert best[0].log_prob >= greedy[0].log_prob


def test_longest_length_cuts_and_says_so() -> None:
    model = tiny_model(0)
    model.params["b_vocab"][END] = -1e4
    (hypotheses,) = beam_search(model, np.zeros((1, 3)), width=2, max_length=4)
    assert all(len(h.words) == 4 and not h.finished for h in hypotheses)


def test_float32_log_prob_holds_at_huge_scores() -> None:
    model = tiny_model(0)
    for name, value in model.params.items():
        model.params[name] = value.astype(np.float32)
    model.dtype = np.dtype(np.float32)
    model.params["b_vocab"] += np.float32(1e4)
    (hypotheses,) = beam_search(model, np.zeros((1, 3), np.float32), width=3)
    assert all(np.isfinite(h.log_prob) for h in hypotheses)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"width": 0}, "width"), ({"max_length": 0}, "max_length")],
)
def test_bad_arguments(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        beam_search(tiny_model(0), np.zeros((1, 3)), **arguments)


def test_features_of_another_encoder() -> None:
    with pytest.raises(ShapeError, match="encoder"):
        beam_search(tiny_model(0), np.zeros((1, 4)))


def test_vocabulary_without_end() -> None:
    model = CaptioningRNN({"<NULL>": 0, "<START>": 1, "a": 2}, 3, 4, 5)
    with pytest.raises(InputError, match="<END>"):
        beam_search(model, np.zeros((1, 3), np.float32))
