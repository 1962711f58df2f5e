r"""Additive attention over an image's locations, and the LSTM that reads with it.

.. math:: e_{tl} = w_a^T \tanh(A_l W_a + h_{t-1} U_a)

in the place of `unrolled.layers.attention_lstm`'s scaled product, as Xu et al. (2015) have it;
their gate on what was attended to is `unrolled.layers.attention_gate`. :math:`A W_a` is one product
before the time loop. The hyperbolic tangents of a step, (N, L, K), are too many to be kept for the
way back: it makes them again, some images at a time, so that they stay in the CPU's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.attending import Scorer
from unrolled.layers.attention import (
    check_locations,
    location_products,
    softmax,
    softmax_gradient,
    weighted_sum,
)
from unrolled.layers.composed import Composed, ComposedCache
from unrolled.layers.lstm import CORE
from unrolled.layers.memory import Memory
from unrolled.layers.packing import check_batch_sizes
from unrolled.layers.product import check_precision, product
from unrolled.layers.recurring import Steps

_NUMBERS = 1 << 18  # tanhs at a time: a megabyte of float32


class AdditiveAttentionCache(NamedTuple):
    """What `additive_attention_backward` needs; keys is A Wa, (N, L, K), alphas (N, L)."""

    prev_h: Array
    A: Array
    Wa: Array
    Ua: Array
    wa: Array
    keys: Array
    alphas: Array


class AdditiveAttentionGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dprev_h: Array
    dA: Array
    dWa: Array
    dUa: Array
    dwa: Array


class AdditiveLSTMGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dA: Array
    dWx: Array
    dWh: Array
    dWattn: Array
    db: Array
    dWa: Array
    dUa: Array
    dwa: Array


def additive_attention_forward(
    prev_h: Array, A: Array, Wa: Array, Ua: Array, wa: Array
) -> tuple[Array, AdditiveAttentionCache]:
    r"""Additive attention, :math:`v = \alpha^T A`, :math:`\alpha = softmax(\tanh(A W + h U) w)`.

    Parameters
    ----------
    prev_h : (N, H) float
    A : (N, L, H) float
        What stands at each location of the image.
    Wa : (H, K) float
    Ua : (H, K) float
    wa : (K,) float

    Returns
    -------
    attn : (N, H), dtype of prev_h
    cache : AdditiveAttentionCache
        Its ``alphas`` add up to one over an image's L locations.

    Raises
    ------
    ShapeError
        If N, H or K do not match, or there is no location.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Bahdanau, Cho & Bengio (2015), appendix A.1.2; Xu et al. (2015), equations 4-5.
    """
    where = "additive_attention_forward"
    check_floats(where, prev_h=prev_h, A=A, Wa=Wa, Ua=Ua, wa=wa)
    check_shapes(
        where,
        prev_h=(prev_h, "N H"),
        A=(A, "N L H"),
        Wa=(Wa, "H K"),
        Ua=(Ua, "H K"),
        wa=(wa, "K"),
    )
    check_locations(where, A)
    keys = A @ Wa
    alphas = softmax(_scores(keys, prev_h @ Ua, wa))
    attn = weighted_sum(alphas, A)
    return attn, AdditiveAttentionCache(prev_h, A, Wa, Ua, wa, keys, alphas)


def additive_attention_backward(
    dattn: Array, cache: AdditiveAttentionCache
) -> AdditiveAttentionGrads:
    r"""Backward pass of `additive_attention_forward`.

    With :math:`de = \alpha (A\,dv - \alpha^T A\,dv)` and :math:`t` the hyperbolic tangents,
    :math:`ds_l = de_l w_a (1 - t_l^2)`: both products' gradients follow from :math:`ds`.

    Parameters
    ----------
    dattn : (N, H), dtype of the forward's output
    cache : AdditiveAttentionCache, from `additive_attention_forward`

    Returns
    -------
    AdditiveAttentionGrads

    Raises
    ------
    ShapeError, DTypeError
        If dattn is not shaped and typed as the forward's output.

    References
    ----------
    Bahdanau, Cho & Bengio (2015), appendix A.1.2.
    """
    prev_h, A, Wa, Ua, wa, keys, alphas = cache
    where = "additive_attention_backward"
    check_gradient(where, "dattn", dattn, prev_h.shape, prev_h.dtype)
    de = softmax_gradient(location_products(A, dattn), alphas)
    dkeys, dwa = np.zeros_like(keys), np.zeros_like(wa)
    dquery = _add_score_gradients(de, keys, prev_h @ Ua, wa, dkeys, dwa)
    dWa = _locations(A).T @ _locations(dkeys)
    dA = alphas[:, :, None] * dattn[:, None, :] + dkeys @ Wa.T
    return AdditiveAttentionGrads(dquery @ Ua.T, dA, dWa, prev_h.T @ dquery, dwa)


def additive_lstm_packed_forward(
    x: Array,
    A: Array,
    Wx: Array,
    Wh: Array,
    Wattn: Array,
    b: Array,
    Wa: Array,
    Ua: Array,
    wa: Array,
    batch_sizes: Sequence[int],
    *,
    tokens: Array | None = None,
    precision: str = "float32",
) -> tuple[Array, ComposedCache]:
    r"""LSTM with additive attention over packed sequences (see `unrolled.layers.packing`).

    Both states start from the mean of A's locations.

    Parameters
    ----------
    x : (P, D) float
        The tokens, time first; with ``tokens``, the rows that they share, (U, D).
    A : (N, L, H) float
        What stands at each location, in the order of the packing, longest sequence first.
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    Wattn : (H, 4 H) float
    b : (4 H,) float
    Wa : (H, K) float
    Ua : (H, K) float
    wa : (K,) float
    batch_sizes : T ints
        Sequences present at each step, never growing; they add up to P.
    tokens : (P,) int in [0, U), optional
        The row of x that each token is, where x is (U, D); otherwise token p is row p.
    precision : "float32" or "bfloat16"
        Of what products with weights multiply where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    h : (P, H), dtype of x
    cache : ComposedCache

    Raises
    ------
    ShapeError
        If D, H or K do not match, there is no location, or the batch sizes or tokens do not fit.
    DTypeError
        If the arrays are not of one floating-point dtype, or batch sizes or tokens no integers.
    InputError
        If a token is no row of x, or there is no such precision.

    References
    ----------
    Xu et al. (2015), section 3.1.2; Bahdanau, Cho & Bengio (2015), appendix A.1.2.
    """
    where = "additive_lstm_packed_forward"
    check_floats(where, x=x, A=A, Wx=Wx, Wh=Wh, Wattn=Wattn, b=b, Wa=Wa, Ua=Ua, wa=wa)
    size = check_shapes(
        where,
        x=(x, "P D"),
        A=(A, "N L H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        Wattn=(Wattn, "H 4H"),
        b=(b, "4H"),
        Wa=(Wa, "H K"),
        Ua=(Ua, "H K"),
        wa=(wa, "K"),
    )
    check_locations(where, A)
    check_batch_sizes(where, batch_sizes, size["N"], size["P"], tokens)
    check_precision(where, precision)
    weights = Wx, Wh, Wattn, b, Wa, Ua, wa
    return ADDITIVE.forward(x, A, *weights, batch_sizes, tokens=tokens, precision=precision)


def additive_lstm_packed_backward(
    dh: Array, cache: ComposedCache, *, dalphas: Array | None = None
) -> AdditiveLSTMGrads:
    r"""Backward pass of `additive_lstm_packed_forward`.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : ComposedCache, from `additive_lstm_packed_forward`
    dalphas : (P, L), optional
        Derivative of the loss by ``cache.alphas`` on other ways than h; zero unless given.

    Returns
    -------
    AdditiveLSTMGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh or dalphas is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes; Bahdanau, Cho & Bengio (2015), appendix
    A.1.2.
    """
    where, h = "additive_lstm_packed_backward", cache.steps.states[0]
    check_gradient(where, "dh", dh, h.shape, h.dtype)
    if dalphas is not None:
        check_gradient(where, "dalphas", dalphas, cache.alphas.shape, cache.alphas.dtype)
    return AdditiveLSTMGrads(*ADDITIVE.backward(dh, cache, dalphas=dalphas))


def _keys(A: Array, Wa: Array, *_: Array, precision: str) -> Array:
    keys = product(_locations(A), Wa, precision=precision)
    return keys.reshape(*A.shape[:2], Wa.shape[1])


def _score(h: Array, keys: Array, _: Array, Ua: Array, wa: Array, *, precision: str) -> Array:
    return _scores(keys[: len(h)], product(h, Ua, precision=precision), wa)


def _back(
    steps: Steps, A: Array, keys: Array, Wa: Array, Ua: Array, wa: Array
) -> tuple[Callable[[slice, Array], Array], Callable[[Array], tuple[Array, ...]]]:
    prev_h, precision = steps.prev_h, steps.precision
    queries = product(prev_h, Ua, precision=precision)
    dqueries, dkeys, dwa = np.empty_like(queries), np.zeros_like(keys), np.zeros_like(wa)

    def unscore(rows: slice, de: Array) -> Array:
        n = len(de)
        dqueries[rows] = _add_score_gradients(de, keys[:n], queries[rows], wa, dkeys[:n], dwa)
        return product(dqueries[rows], Ua.T, precision=precision)

    def finish(_: Array) -> tuple[Array, ...]:
        drows = _locations(dkeys)
        dA = product(drows, Wa.T, precision=precision).reshape(A.shape)
        dWa = product(_locations(A).T, drows, precision=precision)
        return dA, dWa, product(prev_h.T, dqueries, precision=precision), dwa

    return unscore, finish


def _glance(h: Array, memory: Memory, _: Array, Ua: Array, wa: Array) -> Array:
    A, keys = memory.parts
    queries = memory.by_image(h @ Ua)[:, :, None]
    alphas = softmax(np.tanh(keys[:, None] + queries) @ wa)
    return memory.by_caption(alphas @ A)


NETWORK = Scorer(
    shapes=lambda H: {"Wa": (H, H), "Ua": (H, H), "wa": (H,)},
    keys=_keys,
    score=_score,
    back=_back,
    remember=lambda A, Wa, *_: (A, A @ Wa),
    glance=_glance,
)
"""Locations weigh as a small network says."""

ADDITIVE = Composed(CORE, NETWORK)


def _scores(keys: Array, query: Array, wa: Array) -> Array:
    """Score each location: (N, L, K), (N, K) and (K,) to (N, L)."""
    scores = np.empty(keys.shape[:2], keys.dtype)
    for some in _blocks(keys):
        t = keys[some] + query[some, None, :]
        scores[some] = np.tanh(t, out=t) @ wa
    return scores


def _add_score_gradients(
    de: Array, keys: Array, query: Array, wa: Array, dkeys: Array, dwa: Array
) -> Array:
    """Go back through `_scores`: add to dkeys and dwa, return dquery."""
    dquery = np.empty_like(query)
    for some in _blocks(keys):
        t = keys[some] + query[some, None, :]
        np.tanh(t, out=t)
        dwa += de[some].reshape(-1) @ _locations(t)
        np.multiply(t, t, out=t)
        np.subtract(1, t, out=t)  # tanh' in terms of its output
        t *= de[some][:, :, None]
        t *= wa
        dkeys[some] += t
        dquery[some] = t.sum(axis=1)
    return dquery


def _blocks(keys: Array) -> Iterator[slice]:
    """Go over images (N, L, K), some at a time."""
    N, L, K = keys.shape
    size = max(1, _NUMBERS // max(1, L * K))
    for start in range(0, N, size):
        yield slice(start, start + size)


def _locations(A: Array) -> Array:
    """View (N, L, H) as rows of H."""
    return A.reshape(A.shape[0] * A.shape[1], A.shape[2])
