"""Models of a handful of words, small enough to try every caption there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN

VOCABULARY = {"<NULL>": 2, "<START>": 0, "<END>": 4, "<UNK>": 1, "a": 3, "dog": 5, "runs": 6}
NULL, START, END, UNK = (VOCABULARY[word] for word in ("<NULL>", "<START>", "<END>", "<UNK>"))
SAYABLE = tuple(VOCABULARY[word] for word in ("a", "dog", "runs"))

KINDS = (*((cell, 1) for cell in CELLS), ("gru", 2), ("additive", 3))
"""Every cell, and some of them stacked."""


def tiny_model(seed: int, cell_type: str = "lstm", layers: int = 1, *, D: int = 3, H: int = 5):
    """A model whose words are far from equally likely, so that a search has work to do."""
    model = CaptioningRNN(VOCABULARY, D, 4, H, cell_type, np.float64, seed=seed, num_layers=layers)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        model.params[name] = 1.5 * rng.standard_normal(value.shape)
    return model


def features_for(model: CaptioningRNN, count: int, seed: int = 0) -> np.ndarray:
    places = (4,) if CELLS[model.cell_type].attends else ()
    D = model.params["W_proj"].shape[0]
    return np.random.default_rng(seed).standard_normal((count, *places, D))


def every_caption(max_length: int) -> Iterator[tuple[int, ...]]:
    """Every caption there is for a person, ``<END>`` last unless the longest length cuts it."""
    for n in range(max_length):
        for words in itertools.product(SAYABLE, repeat=n):
            yield (*words, END)
    yield from itertools.product(SAYABLE, repeat=max_length)


def kept(said, *, min_length=0, no_repeat_ngram=0, prefix=(), never=()):
    """Whether a caption keeps the rules, each read as its sentence in `Rules` has it."""
    words = [word for word in said if word != END]
    runs = [tuple(words[i : i + no_repeat_ngram]) for i in range(len(words) - no_repeat_ngram + 1)]
    return (
        len(words) >= min_length
        and tuple(said[: len(prefix)]) == tuple(VOCABULARY[word] for word in prefix)
        and not {VOCABULARY[word] for word in never} & set(words)
        and not (no_repeat_ngram and len(set(runs)) < len(runs))
    )


def log_prob(models, features, said) -> float:
    """The log-probability of a caption by the models' own losses: of the mean, where several."""
    if len(models) == 1:
        return -float(models[0].loss(features[0][None], np.array([[START, *said]])).loss)
    total = 0.0
    for t in range(len(said)):
        weights = np.eye(len(said))[t : t + 1]
        losses = [
            float(model.loss(row[None], np.array([[START, *said]]), weights=weights).loss)
            for model, row in zip(models, features, strict=True)
        ]
        total += np.log(np.mean(np.exp(-np.array(losses))))
    return float(total)
