r"""Layer normalisation: each row to mean 0 and variance 1, then scaled and shifted by number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes

EPSILON = 1e-5
"""What is added to the variance, as in PyTorch."""


class LayerNormCache(NamedTuple):
    """What `layer_norm_backward` needs; normal is (N, D), scale is (N, 1)."""

    g: Array
    normal: Array
    scale: Array


class LayerNormGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dg: Array
    db: Array


def layer_norm_forward(x: Array, g: Array, b: Array) -> tuple[Array, LayerNormCache]:
    r"""Layer normalisation, :math:`y = g (x - \mu) / \sqrt{\sigma^2 + \epsilon} + b`.

    :math:`\mu` and :math:`\sigma^2` are each row's own mean and variance, and
    :math:`\epsilon = 10^{-5}`.

    Parameters
    ----------
    x : (N, D) float
    g : (D,) float
    b : (D,) float

    Returns
    -------
    out : (N, D), dtype of x
    cache : LayerNormCache

    Raises
    ------
    ShapeError
        If D does not match.
    DTypeError
        If the arguments are not of one floating-point dtype.

    References
    ----------
    Ba, Kiros & Hinton (2016), equation 4.
    """
    check_floats("layer_norm_forward", x=x, g=g, b=b)
    check_shapes("layer_norm_forward", x=(x, "N D"), g=(g, "D"), b=(b, "D"))
    normal = x - _mean(x)
    scale = 1 / np.sqrt(_mean(normal * normal) + x.dtype.type(EPSILON))
    normal *= scale
    return normal * g + b, LayerNormCache(g, normal, scale)


def layer_norm_backward(dout: Array, cache: LayerNormCache) -> LayerNormGrads:
    r"""Backward pass of `layer_norm_forward`.

    With :math:`n` the normalised row and :math:`dn = g\,dy`:
    :math:`dx = (dn - \overline{dn} - n\,\overline{dn\,n}) / \sqrt{\sigma^2 + \epsilon}`.

    Parameters
    ----------
    dout : (N, D), dtype of the forward's output
    cache : LayerNormCache, from `layer_norm_forward`

    Returns
    -------
    LayerNormGrads

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Ba, Kiros & Hinton (2016), equation 4.
    """
    g, normal, scale = cache
    check_gradient("layer_norm_backward", "dout", dout, normal.shape, normal.dtype)
    dnormal = dout * g
    dx = (dnormal - _mean(dnormal) - normal * _mean(dnormal * normal)) * scale
    return LayerNormGrads(dx, (dout * normal).sum(axis=0), dout.sum(axis=0))


def _mean(x: Array) -> Array:
    """Average each row of (N, D), also where D is 0."""
    mean: Array = x.sum(axis=1, keepdims=True) / x.dtype.type(max(x.shape[1], 1))
    return mean
