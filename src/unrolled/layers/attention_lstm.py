r"""The LSTM that attends to an image: one step, whole sequences, and packed sequences.

.. math::

    \alpha_t &= \mathrm{softmax}(A h_{t-1} / \sqrt H) \qquad v_t = \alpha_t^T A \\
    a_t &= x_t W_x + h_{t-1} W_h + v_t W_{attn} + b

and the gates of :math:`a_t` are the LSTM's. Both states start from the mean of the locations. The
functions with the assignment's names take A as EECS 498 has it, (N, H, 4, 4) or any other grid;
`attention_lstm_packed_forward` takes (N, L, H), a location a row.

As :math:`v_t` hangs on :math:`h_{t-1}`, both products with weights stay in the time loop, as one:
:math:`[h_{t-1}, v_t] [W_h; W_{attn}]`. A's gradient is gathered after the loop, from what each step
weighed and what came back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.attending import Scorer, by_image
from unrolled.layers.attention import (
    as_grid,
    by_location,
    check_locations,
    location_products,
    scale_of,
    softmax,
    weighted_sum,
)
from unrolled.layers.composed import Composed, ComposedCache
from unrolled.layers.lstm import CORE, _cell_backward, _cell_forward
from unrolled.layers.memory import Memory
from unrolled.layers.packing import batch_major, check_batch_sizes, time_major
from unrolled.layers.product import check_precision
from unrolled.layers.recurring import Steps


class AttentionLSTMStepCache(NamedTuple):
    """What `attention_lstm_step_backward` needs; gates is (N, 4 H), after their nonlinearities."""

    x: Array
    prev_h: Array
    prev_c: Array
    attn: Array
    Wx: Array
    Wh: Array
    Wattn: Array
    gates: Array
    next_h: Array
    next_c: Array


class AttentionLSTMStepGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dprev_h: Array
    dprev_c: Array
    dattn: Array
    dWx: Array
    dWh: Array
    dWattn: Array
    db: Array


class AttentionLSTMCache(NamedTuple):
    """What `attention_lstm_backward` needs; grid is A's shape, (N, H, Y, X)."""

    packed: ComposedCache
    grid: tuple[int, ...]

    @property
    def alphas(self) -> Array:
        """What each location weighed, (T N, L), step by step."""
        return self.packed.alphas

    @property
    def final_h(self) -> Array:
        """Hidden state after the last step, (N, H)."""
        return self.packed.steps.final[0]

    @property
    def final_c(self) -> Array:
        """Cell state after the last step, (N, H)."""
        return self.packed.steps.final[1]


class AttentionLSTMGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dA: Array
    dWx: Array
    dWh: Array
    dWattn: Array
    db: Array


def attention_lstm_step_forward(
    x: Array,
    prev_h: Array,
    prev_c: Array,
    attn: Array,
    Wx: Array,
    Wh: Array,
    Wattn: Array,
    b: Array,
) -> tuple[Array, Array, AttentionLSTMStepCache]:
    r"""One LSTM step that also reads what was attended to: :math:`x W_x + h W_h + v W_{attn} + b`.

    Parameters
    ----------
    x : (N, D) float
    prev_h : (N, H) float
    prev_c : (N, H) float
    attn : (N, H) float
        From `attention_forward` of prev_h.
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    Wattn : (H, 4 H) float
    b : (4 H,) float

    Returns
    -------
    next_h : (N, H), dtype of x
    next_c : (N, H), dtype of x
    cache : AttentionLSTMStepCache

    Raises
    ------
    ShapeError
        If N, D or H do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    University of Michigan EECS 498-007 (2020), assignment 4; Xu et al. (2015), equations 1-3.
    """
    where = "attention_lstm_step_forward"
    floats = {"prev_h": prev_h, "prev_c": prev_c, "attn": attn, "Wx": Wx, "Wh": Wh}
    check_floats(where, x=x, **floats, Wattn=Wattn, b=b)
    check_shapes(
        where,
        x=(x, "N D"),
        prev_h=(prev_h, "N H"),
        prev_c=(prev_c, "N H"),
        attn=(attn, "N H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        Wattn=(Wattn, "H 4H"),
        b=(b, "4H"),
    )
    gates = x @ Wx + prev_h @ Wh + attn @ Wattn + b
    next_h, next_c = _cell_forward(gates, prev_c)
    cache = AttentionLSTMStepCache(x, prev_h, prev_c, attn, Wx, Wh, Wattn, gates, next_h, next_c)
    return next_h, next_c, cache


def attention_lstm_step_backward(
    dnext_h: Array, dnext_c: Array, cache: AttentionLSTMStepCache
) -> AttentionLSTMStepGrads:
    r"""Backward pass of `attention_lstm_step_forward`.

    What reaches prev_h through the attention is not in dprev_h: it is dattn's way on.

    Parameters
    ----------
    dnext_h : (N, H), dtype of the forward's output
    dnext_c : (N, H), dtype of the forward's output
        What reaches c' from the next step; what reaches it through h' is added here.
    cache : AttentionLSTMStepCache, from `attention_lstm_step_forward`

    Returns
    -------
    AttentionLSTMStepGrads

    Raises
    ------
    ShapeError, DTypeError
        If dnext_h or dnext_c is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes.
    """
    x, prev_h, prev_c, attn, Wx, Wh, Wattn, gates, next_h, next_c = cache
    where = "attention_lstm_step_backward"
    check_gradient(where, "dnext_h", dnext_h, next_h.shape, next_h.dtype)
    check_gradient(where, "dnext_c", dnext_c, next_c.shape, next_c.dtype)
    da = np.empty_like(gates)
    dprev_c = _cell_backward(dnext_h, dnext_c, gates, prev_c, np.tanh(next_c), da)
    return AttentionLSTMStepGrads(
        dx=da @ Wx.T,
        dprev_h=da @ Wh.T,
        dprev_c=dprev_c,
        dattn=da @ Wattn.T,
        dWx=x.T @ da,
        dWh=prev_h.T @ da,
        dWattn=attn.T @ da,
        db=da.sum(axis=0),
    )


def attention_lstm_forward(
    x: Array, A: Array, Wx: Array, Wh: Array, Wattn: Array, b: Array
) -> tuple[Array, AttentionLSTMCache]:
    r"""Attention LSTM over whole sequences, from :math:`h_0 = c_0` = the mean of A's locations.

    Parameters
    ----------
    x : (N, T, D) float
    A : (N, H, Y, X) float
        What stands at each location of the image.
    Wx : (D, 4 H) float
    Wh : (H, 4 H) float
    Wattn : (H, 4 H) float
    b : (4 H,) float

    Returns
    -------
    h : (N, T, H), dtype of x
    cache : AttentionLSTMCache

    Raises
    ------
    ShapeError
        If N, D or H do not match, or there is no location.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    University of Michigan EECS 498-007 (2020), assignment 4.
    """
    where = "attention_lstm_forward"
    check_floats(where, x=x, A=A, Wx=Wx, Wh=Wh, Wattn=Wattn, b=b)
    size = check_shapes(
        where,
        x=(x, "N T D"),
        A=(A, "N H Y X"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        Wattn=(Wattn, "H 4H"),
        b=(b, "4H"),
    )
    N, T = size["N"], size["T"]
    locations = by_location(where, A)
    h, cache = attention_lstm_packed_forward(time_major(x), locations, Wx, Wh, Wattn, b, (N,) * T)
    return batch_major(h, (N, T)), AttentionLSTMCache(cache, A.shape)


def attention_lstm_backward(dh: Array, cache: AttentionLSTMCache) -> AttentionLSTMGrads:
    r"""Backward pass of `attention_lstm_forward`: backpropagation through time.

    Parameters
    ----------
    dh : (N, T, H), dtype of the forward's output
        Derivative of the loss by each h_t where it left the recurrence.
    cache : AttentionLSTMCache, from `attention_lstm_forward`

    Returns
    -------
    AttentionLSTMGrads
        dA is (N, H, Y, X), as A was.

    Raises
    ------
    ShapeError, DTypeError
        If dh is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes; Vaswani et al. (2017), equation 1.
    """
    steps = cache.packed.steps
    N, T, H = cache.grid[0], len(steps.batch_sizes), cache.grid[1]
    check_gradient("attention_lstm_backward", "dh", dh, (N, T, H), steps.x.dtype)
    dx, dA, *rest = attention_lstm_packed_backward(time_major(dh), cache.packed)
    return AttentionLSTMGrads(batch_major(dx, (N, T)), as_grid(dA, cache.grid), *rest)


def attention_lstm_packed_forward(
    x: Array,
    A: Array,
    Wx: Array,
    Wh: Array,
    Wattn: Array,
    b: Array,
    batch_sizes: Sequence[int],
    *,
    tokens: Array | None = None,
    precision: str = "float32",
) -> tuple[Array, ComposedCache]:
    r"""Attention LSTM over packed sequences (see `unrolled.layers.packing`).

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
        If D or H do not match, there is no location, or the batch sizes or tokens do not fit.
    DTypeError
        If the arrays are not of one floating-point dtype, or batch sizes or tokens no integers.
    InputError
        If a token is no row of x, or there is no such precision.

    References
    ----------
    University of Michigan EECS 498-007 (2020), assignment 4.
    """
    where = "attention_lstm_packed_forward"
    check_floats(where, x=x, A=A, Wx=Wx, Wh=Wh, Wattn=Wattn, b=b)
    size = check_shapes(
        where,
        x=(x, "P D"),
        A=(A, "N L H"),
        Wx=(Wx, "D 4H"),
        Wh=(Wh, "H 4H"),
        Wattn=(Wattn, "H 4H"),
        b=(b, "4H"),
    )
    check_locations(where, A)
    check_batch_sizes(where, batch_sizes, size["N"], size["P"], tokens)
    check_precision(where, precision)
    weights = Wx, Wh, Wattn, b
    return ATTENTION.forward(x, A, *weights, batch_sizes, tokens=tokens, precision=precision)


def attention_lstm_packed_backward(
    dh: Array, cache: ComposedCache, *, dalphas: Array | None = None
) -> AttentionLSTMGrads:
    r"""Backward pass of `attention_lstm_packed_forward`.

    Back through the steps, the gates' gradients and what came back to :math:`v_t` and to the
    attention's scores; then over all rows at once the weights' gradients, and over all steps of an
    image at once A's, :math:`dA = \sum_t \alpha_t dv_t^T + de_t h_{t-1}^T`.

    Parameters
    ----------
    dh : (P, H), dtype of the forward's output
    cache : ComposedCache, from `attention_lstm_packed_forward`
    dalphas : (P, L), optional
        Derivative of the loss by ``cache.alphas`` on other ways than h; zero unless given.

    Returns
    -------
    AttentionLSTMGrads

    Raises
    ------
    ShapeError, DTypeError
        If dh or dalphas is not shaped and typed as the forward's output.

    References
    ----------
    Greff et al. (2017), appendix A, without peepholes; Vaswani et al. (2017), equation 1.
    """
    where, h = "attention_lstm_packed_backward", cache.steps.states[0]
    check_gradient(where, "dh", dh, h.shape, h.dtype)
    if dalphas is not None:
        check_gradient(where, "dalphas", dalphas, cache.alphas.shape, cache.alphas.dtype)
    return AttentionLSTMGrads(*ATTENTION.backward(dh, cache, dalphas=dalphas))


def _score(h: Array, A: Array, *, precision: str) -> Array:  # noqa: ARG001
    return location_products(A[: len(h)], h) * scale_of(A)


def _back(
    steps: Steps, A: Array, _: Array
) -> tuple[Callable[[slice, Array], Array], Callable[[Array], tuple[Array]]]:
    scale = scale_of(A)

    def unscore(_: slice, dscores: Array) -> Array:
        return weighted_sum(dscores, A[: len(dscores)]) * scale

    def finish(dscores: Array) -> tuple[Array]:
        return (by_image(dscores * scale, steps.prev_h, A, steps.batch_sizes),)

    return unscore, finish


def _glance(h: Array, memory: Memory) -> Array:
    (A,) = memory.parts
    alphas = softmax(memory.by_image(h) @ A.swapaxes(1, 2) * scale_of(A))
    return memory.by_caption(alphas @ A)


DOT_PRODUCT = Scorer(
    shapes=lambda _: {},
    keys=lambda A, **_: A,
    score=_score,
    back=_back,
    remember=lambda A: (A,),
    glance=_glance,
)
"""Locations weigh by their product with h."""

ATTENTION = Composed(CORE, DOT_PRODUCT)
