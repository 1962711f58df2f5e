"""A model unrolled over captions, in float64, with every step kept."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError, ShapeError
from unrolled.laboratory.cells import STEPS, Step, layer_kinds
from unrolled.layers import affine_forward, word_embedding_forward
from unrolled.layers.arrays import Array, check_ids, check_shapes
from unrolled.layers.memory import Memory
from unrolled.model import CaptioningRNN


class Unrolled(NamedTuple):
    """What a model did over N captions of T words out.

    Attributes
    ----------
    model : CaptioningRNN
        In float64.
    kinds : tuple of Y str
        The cell of each layer, lowest first; see `unrolled.laboratory.cells.STEPS`.
    words_in, words_out : (N, T) int
        Read and to be said at each step.
    counts : (N, T) bool
        Whether the word out is one, and not padding.
    steps : tuple of T tuples of Y Step
    """

    model: CaptioningRNN
    kinds: tuple[str, ...]
    words_in: Array
    words_out: Array
    counts: Array
    steps: tuple[tuple[Step, ...], ...]

    @property
    def lengths(self) -> Array:
        """Words out of each caption, ``<END>`` included, (N,) int."""
        lengths: Array = self.counts.sum(axis=1)
        return lengths

    def scores(self, t: int) -> Array:
        """Score the word to be said at a step.

        Parameters
        ----------
        t : int

        Returns
        -------
        (N, V) float64
            Logits.
        """
        h = self.steps[t][-1].state[0]
        return affine_forward(h, vocab_weights(self.model), self.model.params["b_vocab"])[0]


def unroll(model: CaptioningRNN, features: Array, captions: Array) -> Unrolled:
    """Read captions word by word, as the model does in training but without dropout.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, D) float
        Or (N, L, D) for a cell that attends; of any floating-point dtype.
    captions : (N, T + 1) int
        ``<START> words <END>``, padded with ``<NULL>``.

    Returns
    -------
    Unrolled

    Raises
    ------
    ShapeError, DTypeError
        If the features do not fit the model, or the captions are not (N, T + 1) ids.
    InputError
        If a word lies outside the vocabulary, or padding is followed by a word.
    """
    model = in_float64(model)
    size = check_shapes("unroll", captions=(captions, "N T"))
    if size["T"] < 2 or size["N"] != len(features):
        raise ShapeError(
            "unroll: captions must be (N, T + 1), a row for each image, with at least a word in "
            f"and a word out; got {captions.shape} for {len(features)} images"
        )
    check_ids("unroll", captions, len(model.word_to_idx), name="captions")
    counts = captions[:, 1:] != model.word_to_idx["<NULL>"]
    if (counts[:, 1:] & ~counts[:, :-1]).any():
        raise InputError("unroll: a caption has a word after <NULL>, which is its padding")
    kinds = layer_kinds(model)
    states, A = _start(model, kinds, np.asarray(features, np.float64))
    weights = [layer_weights(model, layer) for layer in range(len(kinds))]
    steps = []
    for words in captions[:, :-1].T:
        x, _ = word_embedding_forward(words, model.params["W_embed"])
        done: list[Step] = []
        for kind, state, own in zip(kinds, states, weights, strict=True):
            done.append(STEPS[kind].forward(x, state, A, own))
            x = done[-1].state[0]
        states = [step.state for step in done]
        steps.append(tuple(done))
    return Unrolled(model, tuple(kinds), captions[:, :-1], captions[:, 1:], counts, tuple(steps))


def in_float64(model: CaptioningRNN) -> CaptioningRNN:
    """Copy a model in float64: what is measured of it is not that of rounding.

    Parameters
    ----------
    model : CaptioningRNN

    Returns
    -------
    CaptioningRNN
    """
    wide = copy.copy(model)
    wide.dtype = np.dtype(np.float64)
    wide.params = {name: value.astype(np.float64) for name, value in model.params.items()}
    return wide


def vocab_weights(model: CaptioningRNN) -> Array:
    """Give the vocabulary layer's weights, which may be the word vectors'.

    Parameters
    ----------
    model : CaptioningRNN

    Returns
    -------
    (H, V)
    """
    params = model.params
    weights: Array = params["W_embed"].T if model.tie_weights else params["W_vocab"]
    return weights


def layer_weights(model: CaptioningRNN, layer: int) -> list[Array]:
    """Give the weights of a layer's cell, in its order.

    Parameters
    ----------
    model : CaptioningRNN
    layer : int
        0 for the lowest.

    Returns
    -------
    list of array
    """
    kind = layer_kinds(model)[layer]
    return [model.params[named(name, layer)] for name in STEPS[kind].cell.shapes(1, 1)]


def named(name: str, layer: int) -> str:
    """Name a weight of a layer as the model's parameters have it: ``Wh``, ``Wh_2``.

    Parameters
    ----------
    name : str
    layer : int
        0 for the lowest.

    Returns
    -------
    str
    """
    return name if layer == 0 else f"{name}_{layer + 1}"


def _start(
    model: CaptioningRNN, kinds: list[str], features: Array
) -> tuple[list[tuple[Array, ...]], Array | None]:
    """Give each layer's state before the first word, lowest first, and the image's locations."""
    members = list(model.start(features))  # the highest layer's first
    states: list[tuple[Array, ...]] = []
    A = None
    for kind in reversed(kinds):
        count = STEPS[kind].cell.members
        own, members = members[:count], members[count:]
        if isinstance(own[-1], Memory):
            A = own.pop().parts[0]
        states.insert(0, tuple(own))
    return states, A
