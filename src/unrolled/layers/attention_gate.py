"""The gate on what was attended to: by one number an image, how much of it is read at a step."""

from __future__ import annotations

from typing import NamedTuple

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.sigmoid import sigmoid


class AttentionGateCache(NamedTuple):
    """What `attention_gate_backward` needs; beta is (N, 1), how far the gate is open."""

    prev_h: Array
    attn: Array
    wbeta: Array
    beta: Array


class AttentionGateGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dprev_h: Array
    dattn: Array
    dwbeta: Array
    dbbeta: Array


def attention_gate_forward(
    prev_h: Array, attn: Array, wbeta: Array, bbeta: Array
) -> tuple[Array, AttentionGateCache]:
    r"""Gate what was attended to, :math:`z = \beta v`, :math:`\beta = \sigma(h w_\beta + b_\beta)`.

    Parameters
    ----------
    prev_h : (N, H) float
    attn : (N, M) float
        What was attended to with prev_h.
    wbeta : (H,) float
    bbeta : (1,) float

    Returns
    -------
    out : (N, M), dtype of prev_h
    cache : AttentionGateCache

    Raises
    ------
    ShapeError
        If N or H do not match, or bbeta is not one number.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Xu et al. (2015), section 4.2.1.
    """
    where = "attention_gate_forward"
    check_floats(where, prev_h=prev_h, attn=attn, wbeta=wbeta, bbeta=bbeta)
    check_shapes(
        where,
        prev_h=(prev_h, "N H"),
        attn=(attn, "N M"),
        wbeta=(wbeta, "H"),
        bbeta=(bbeta, "1"),
    )
    beta = sigmoid(prev_h @ wbeta + bbeta)[:, None]
    return beta * attn, AttentionGateCache(prev_h, attn, wbeta, beta)


def attention_gate_backward(dout: Array, cache: AttentionGateCache) -> AttentionGateGrads:
    r"""Backward pass of `attention_gate_forward`.

    With :math:`ds = \beta (1 - \beta) \, dz \cdot v`, a number an image: :math:`dh = ds\,w_\beta^T`
    and :math:`dw_\beta = h^T ds`; and :math:`dv = \beta\,dz`.

    Parameters
    ----------
    dout : (N, M), dtype of the forward's output
    cache : AttentionGateCache, from `attention_gate_forward`

    Returns
    -------
    AttentionGateGrads

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Xu et al. (2015), section 4.2.1.
    """
    prev_h, attn, wbeta, beta = cache
    check_gradient("attention_gate_backward", "dout", dout, attn.shape, attn.dtype)
    ds = (dout * attn).sum(axis=1, keepdims=True) * beta * (1 - beta)
    return AttentionGateGrads(ds * wbeta, beta * dout, prev_h.T @ ds[:, 0], ds.sum(axis=0))
