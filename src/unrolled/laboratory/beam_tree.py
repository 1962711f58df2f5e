"""The beam as a tree: every hypothesis that was ever kept, and what became of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.decoding import BeamStep, Hypothesis, Speaker, beam_search
from unrolled.errors import InputError
from unrolled.layers.arrays import Array


class BeamTree(NamedTuple):
    """M nodes: the root is ``<START>``, every other a word that a kept hypothesis said.

    Attributes
    ----------
    words : tuple of M str
    parent : (M,) int
        The node before; -1 of the root, which is node 0.
    step : (M,) int
        How many words were said with this one; 0 of the root.
    log_p : (M,) float64
        Of the word after those before it, in nats.
    total : (M,) float64
        Of all words up to this one.
    kept : (M,) bool
        Whether a caption that the search ended with goes through it.
    rank : (M,) int
        Of a caption's last word its place among those that the search ended with, 0 the best;
        -1 of other nodes.
    """

    words: tuple[str, ...]
    parent: Array
    step: Array
    log_p: Array
    total: Array
    kept: Array
    rank: Array

    def path(self, node: int) -> list[int]:
        """Give the nodes from the first word to one.

        Parameters
        ----------
        node : int

        Returns
        -------
        list of int
        """
        nodes = []
        while node > 0:
            nodes.append(node)
            node = int(self.parent[node])
        return nodes[::-1]


def beam_tree(model: Speaker, features: Any, *, width: int = 3, **options: Any) -> BeamTree:
    """Search for captions of one image, and keep every hypothesis that the beam held.

    Parameters
    ----------
    model : Speaker
    features : (1, ...), the model's dtype
        Of one image.
    width : int
    **options
        Of `unrolled.decoding.beam_search`.

    Returns
    -------
    BeamTree

    Raises
    ------
    InputError
        If the features are of several images, or an option is out of range.
    ShapeError, DTypeError
        If the features do not fit the model.

    References
    ----------
    Graves (2012), algorithm 1.
    """
    steps: list[BeamStep] = []
    found = beam_search(model, features, width=width, **options, on_step=steps.append)
    if len(found) != 1:
        raise InputError(f"beam_tree: expected features of one image, got {len(found)}")
    ids = model.word_to_idx
    nodes, leaves = _grow(steps, ids["<START>"], ids["<NULL>"])
    parent, words, depth, total = (np.array(column) for column in zip(*nodes, strict=True))
    before = np.where(parent < 0, 0.0, total[parent])
    tree = BeamTree(
        tuple({i: word for word, i in ids.items()}[word] for word in words.tolist()),
        parent,
        depth,
        total - before,
        total,
        np.zeros(len(nodes), bool),
        np.full(len(nodes), -1),
    )
    _mark(tree, words, leaves, found[0], ids["<END>"])
    return tree


def _grow(
    steps: list[BeamStep], start: int, null: int
) -> tuple[list[tuple[int, int, int, float]], list[int]]:
    """Give nodes as (parent, word, step, total), and those that the last hypotheses stand at."""
    nodes = [(-1, start, 0, 0.0)]
    at = [0] * steps[0].parents.shape[1]
    for depth, step in enumerate(steps, 1):
        now = []
        for parent, word, total in zip(
            step.parents[0].tolist(),
            step.words[0].tolist(),
            step.log_probs[0].tolist(),
            strict=True,
        ):
            now.append(at[parent])
            if word != null and total > -np.inf:  # no caption that stays as it is, nor none at all
                nodes.append((at[parent], word, depth, total))
                now[-1] = len(nodes) - 1
        at = now
    return nodes, at


def _mark(
    tree: BeamTree, words: Array, leaves: list[int], found: list[Hypothesis], end: int
) -> None:
    """Mark the ways to the captions that the search ended with."""
    ranks = {h.words + ((end,) if h.finished else ()): rank for rank, h in enumerate(found)}
    for leaf in leaves:
        path = tree.path(leaf)
        rank = ranks.pop(tuple(words[path].tolist()), None)  # two groups may have found the same
        if rank is not None:
            tree.rank[leaf] = rank
            tree.kept[[0, *path]] = True
