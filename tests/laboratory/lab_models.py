"""Small models of every cell in float64, with captions of unequal lengths."""

from __future__ import annotations

import numpy as np

from cell_images import images_for
from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN

VOCABULARY = {"<NULL>": 2, "<START>": 0, "<END>": 4, "<UNK>": 1, "a": 3, "dog": 5, "runs": 6}
START, END, NULL = VOCABULARY["<START>"], VOCABULARY["<END>"], VOCABULARY["<NULL>"]
D, H = 3, 4
CAPTIONS = np.array([[START, 3, 5, 6, 5, END], [START, 3, 5, END, NULL, NULL]])

KINDS = [*((cell, 1, False) for cell in CELLS), ("lstm", 2, True), ("gru", 3, False)]
KINDS += [("attention", 2, False), ("additive", 2, False), ("rnn", 1, True), ("gru", 2, True)]
KINDS += [("attention", 2, True), ("attention", 1, False, True), ("additive", 1, True, True)]
"""Every cell, with layer normalisation and gates on what is attended to, some of them stacked."""


def make_model(
    cell="lstm", layers=1, layer_norm=False, gated=False, *, seed=0, **more
) -> CaptioningRNN:
    """A model whose gates are neither all shut nor all open."""
    options = {"num_layers": layers, "layer_norm": layer_norm, "attention_gate": gated} | more
    options["seed"] = seed
    width = H if more.get("tie_weights") else 3
    model = CaptioningRNN(VOCABULARY, D, width, H, cell, np.float64, **options)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        model.params[name] = value + 0.8 * rng.standard_normal(value.shape)
    return model


def features_of(model, count=2, seed=0):
    return images_for(model.cell_type, count, D, seed=seed)


def states_of(model, features, words):
    """Every state after reading each word, by the model's own steps; and the scores."""
    state = model.start(features)
    states, scores = [], []
    for word in words:
        score, state = model.step(np.full(len(features), word), state)
        states.append(state)
        scores.append(score)
    return states, scores


def members_of(model):
    """Where each layer's h and c stand in the model's state: by layer, lowest first."""
    highest_first = []
    place = 0
    for layer in range(model.num_layers, 0, -1):
        lowest = CELLS[model.cell_type]
        cell = lowest if layer == 1 else lowest.above or lowest
        arrays = min(cell.members, 2)  # a third is the image's memory
        highest_first.append([*range(place, place + arrays)])
        place += cell.members
    return highest_first[::-1]
