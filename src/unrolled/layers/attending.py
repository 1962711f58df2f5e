"""What a recurrence looks at: an image's locations, as an attention weighs them at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.attention import location_products, softmax, softmax_gradient, weighted_sum
from unrolled.layers.attention_gate import (
    AttentionGateCache,
    attention_gate_backward,
    attention_gate_forward,
)
from unrolled.layers.core import Shapes
from unrolled.layers.packing import pad_rows
from unrolled.layers.recurring import Look, Steps

Gate: TypeAlias = tuple[Array, ...]


class Scorer(NamedTuple):
    """How an attention weighs locations; ``*weights`` are those of `shapes`, in its order.

    Attributes
    ----------
    shapes : ``H -> {name: shape}``
    keys : ``(A, *weights, precision) -> keys``
        What of the locations (N, L, H) is the same at every step: A itself, or a product with it.
    score : ``(h, keys, *weights, precision) -> scores``
        Of n sequences and N of keys, n or more: (n, H) to (n, L).
    back : ``(steps, A, keys, *weights) -> (unscore, finish)``
        ``unscore(rows, dscores)`` gives the derivative by a step's h, and ``finish(dscores)``
        after the last, with those of all rows, that by A and by the weights.
    remember : ``(A, *weights) -> parts``
        What of images a `Memory` keeps while captions are said.
    glance : ``(h, memory, *weights) -> attn``
        What R captions attend to then at one word, (R, H).
    """

    shapes: Callable[[int], Shapes]
    keys: Callable[..., Array]
    score: Callable[..., Array]
    back: Callable[..., tuple[Callable[[slice, Array], Array], Callable[[Array], Sequence[Array]]]]
    remember: Callable[..., tuple[Array, ...]]
    glance: Callable[..., Array]


class Looked(NamedTuple):
    """What `unlooking` needs: alphas (P, L), what each location weighed, and the gate's caches."""

    A: Array
    keys: Array
    alphas: Array
    gates: list[AttentionGateCache]


def looking(
    A: Array, rows: int, scorer: Scorer, weights: Sequence[Array], gate: Gate, precision: str
) -> tuple[Look, Looked]:
    """Say how a recurrence looks at its images.

    Parameters
    ----------
    A : (N, L, H) float
    rows : int
        P, of the recurrence.
    scorer : Scorer
    weights : sequence of array
        Of the scorer.
    gate : tuple of array
        ``wbeta`` and ``bbeta``, or nothing.
    precision : "float32" or "bfloat16"

    Returns
    -------
    look : callable
        For `unrolled.layers.recurring.read_steps`.
    looked : Looked
        What looking fills.
    """
    keys = scorer.keys(A, *weights, precision=precision)
    looked = Looked(A, keys, np.empty((rows, A.shape[1]), A.dtype), [])

    def look(rows: slice, h: Array) -> Array:
        alphas = softmax(scorer.score(h, keys, *weights, precision=precision))
        looked.alphas[rows] = alphas
        attn = weighted_sum(alphas, A[: len(h)])
        if gate:
            attn, kept = attention_gate_forward(h, attn, *gate)
            looked.gates.append(kept)
        return attn

    return look, looked


def unlooking(
    looked: Looked,
    steps: Steps,
    scorer: Scorer,
    weights: Sequence[Array],
    gate: Gate,
    dalphas: Array | None,
) -> tuple[Look, Callable[[], tuple[Array, ...]]]:
    """Say how a recurrence goes back through what it looked at.

    Parameters
    ----------
    looked : Looked, from `looking`
    steps : Steps
        Of the recurrence.
    scorer : Scorer
    weights : sequence of array
        Of the scorer.
    gate : tuple of array
        ``wbeta`` and ``bbeta``, or nothing.
    dalphas : (P, L), optional
        Derivative of the loss by the alphas on other ways than h; zero unless given.

    Returns
    -------
    unlook : callable
        For `unrolled.layers.recurring.unread_steps`.
    finish : callable
        After the last step, gives the derivatives by A, by the scorer's weights and by the gate's.
    """
    A, keys, alphas, gates = looked
    dattn, dscores = np.empty_like(steps.states[0]), np.empty_like(alphas)
    unscore, finish_scores = scorer.back(steps, A, keys, *weights)
    gates_back, dgate = reversed(gates), tuple(np.zeros_like(w) for w in gate)

    def unlook(rows: slice, dlooked: Array) -> Array:
        dattn[rows] = dlooked
        dh: Array | float = 0.0
        if gate:
            back = attention_gate_backward(dattn[rows], next(gates_back))
            dh, dattn[rows] = back.dprev_h, back.dattn
            for total, d in zip(dgate, back[2:], strict=True):
                total += d
        dweights = location_products(A[: len(dlooked)], dattn[rows])
        if dalphas is not None:
            dweights += dalphas[rows]
        dscores[rows] = softmax_gradient(dweights, alphas[rows])
        through_scores: Array = unscore(rows, dscores[rows]) + dh
        return through_scores

    def finish() -> tuple[Array, ...]:
        dA, *dweights = finish_scores(dscores)
        dA += by_image(alphas, dattn, A, steps.batch_sizes)
        return dA, *dweights, *dgate

    return unlook, finish


def by_image(weights: Array, values: Array, A: Array, batch_sizes: Sequence[int]) -> Array:
    """Add up over an image's steps the products of what locations weighed and a vector.

    Parameters
    ----------
    weights : (P, L)
    values : (P, H)
    A : (N, L, H)
        Whose shape and type the sum has.
    batch_sizes : T ints

    Returns
    -------
    (N, L, H)
    """
    total = np.zeros_like(A, order="C")
    weighed, came = pad_rows(weights, batch_sizes), pad_rows(values, batch_sizes)
    np.matmul(weighed.transpose(1, 2, 0), came.swapaxes(0, 1), out=total[: weighed.shape[1]])
    return total
