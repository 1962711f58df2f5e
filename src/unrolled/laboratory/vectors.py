"""The word vectors: which words stand near each other, and a plane to see them on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.errors import InputError, ShapeError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN


class Neighbours(NamedTuple):
    """The nearest words of each of Q words.

    Attributes
    ----------
    words : tuple of Q str
    near : tuple of Q tuples of K str
        Nearest first.
    cosine : (Q, K) float64
        Of the angle between the two vectors.
    """

    words: tuple[str, ...]
    near: tuple[tuple[str, ...], ...]
    cosine: Array


class WordMap(NamedTuple):
    """Words and their neighbours on a plane.

    Attributes
    ----------
    words : tuple of M str
        Each once.
    of : (M,) int
        The first of `Neighbours.words` that a word is, or is near to.
    asked : (M,) bool
        Whether it is one of those itself.
    xy : (M, 2) float64
        Coordinates along the two directions in which these vectors differ most, in the vectors' own
        units.
    explained : (2,) float64
        Share of the vectors' variance along each.
    """

    words: tuple[str, ...]
    of: Array
    asked: Array
    xy: Array
    explained: Array


def neighbours(model: CaptioningRNN, words: Sequence[str], count: int = 6) -> Neighbours:
    r"""Find the words whose vectors point the same way, :math:`\cos = u^T v / \|u\| \|v\|`.

    Parameters
    ----------
    model : CaptioningRNN
        Its ``W_embed`` has the vectors.
    words : sequence of Q str
    count : int
        K. ``<NULL>``, ``<START>``, ``<END>`` and ``<UNK>`` are nobody's neighbours.

    Returns
    -------
    Neighbours

    Raises
    ------
    InputError
        If the model does not know a word, or has not so many.

    References
    ----------
    Mikolov, Yih & Zweig (2013), "Linguistic regularities in continuous space word representations",
    section 4.
    """
    unknown = [word for word in words if word not in model.word_to_idx]
    if unknown or not words:
        raise InputError(
            f"neighbours: the model does not know {', '.join(map(repr, unknown)) or 'no word'}; "
            "choose words of its vocabulary"
        )
    sayable = np.array(
        [i for word, i in model.word_to_idx.items() if not (word[0] == "<" and word[-1] == ">")]
    )
    if not 1 <= count < len(sayable):
        raise InputError(
            f"neighbours: count must be from 1 to {len(sayable) - 1}, the other words there are; "
            f"got {count}"
        )
    vectors = model.params["W_embed"].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    ids = np.array([model.word_to_idx[word] for word in words])
    cosine = vectors[ids] @ vectors[sayable].T
    cosine[ids[:, None] == sayable] = -np.inf  # a word is not its own neighbour
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
    near = tuple(tuple(model.idx_to_word[i] for i in row) for row in sayable[nearest].tolist())
    return Neighbours(tuple(words), near, np.take_along_axis(cosine, nearest, axis=1))


def word_map(model: CaptioningRNN, found: Neighbours) -> WordMap:
    """Lay words and their neighbours out on the plane in which their vectors differ most.

    Parameters
    ----------
    model : CaptioningRNN
    found : Neighbours

    Returns
    -------
    WordMap

    Raises
    ------
    ShapeError
        If there are fewer than three words, or the vectors are of one number.
    """
    of: dict[str, int] = {word: place for place, word in enumerate(found.words)}
    for place, near in enumerate(found.near):
        for word in near:
            of.setdefault(word, place)
    ids = [model.word_to_idx[word] for word in of]
    xy, explained = principal_components(model.params["W_embed"][ids], 2)
    asked = np.array([word in found.words for word in of])
    return WordMap(tuple(of), np.array([*of.values()]), asked, xy, explained)


def principal_components(x: Array, count: int) -> tuple[Array, Array]:
    r"""Project rows on the directions of their largest variance.

    With the centred rows :math:`X = U S V^T`: coordinates :math:`X V_k = U_k S_k`, of which
    :math:`S_k^2 / \sum_j S_j^2` of the variance is along each. The sign of a direction is such that
    its largest member is positive, so that a picture does not turn over from machine to machine.

    Parameters
    ----------
    x : (M, W) float
    count : int

    Returns
    -------
    coordinates : (M, count) float64
    explained : (count,) float64

    Raises
    ------
    ShapeError
        If there are not more rows than count, and as many columns.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 5.8.1.
    """
    M, W = x.shape
    if count >= M or count > W:
        raise ShapeError(
            f"principal_components: {count} directions need more than {count} rows of at least "
            f"{count} numbers, got {x.shape}"
        )
    centred = x.astype(np.float64)
    centred -= centred.mean(axis=0)
    U, S, Vt = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(Vt[:count]).argmax(axis=1)
    signs = np.where(Vt[np.arange(count), largest] < 0, -1.0, 1.0)
    total = (S**2).sum()
    explained = S[:count] ** 2 / (total if total > 0 else 1)
    return U[:, :count] * S[:count] * signs, explained
