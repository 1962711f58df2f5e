r"""Affine layers: :math:`y = x W + b`, once per item or once per item and time step."""

from __future__ import annotations

import math
from typing import NamedTuple

from unrolled.errors import ShapeError
from unrolled.layers.arrays import Array, check_floats, check_gradient, check_shapes
from unrolled.layers.product import check_precision, product


class AffineCache(NamedTuple):
    """What `affine_backward` and `temporal_affine_backward` need."""

    x: Array
    w: Array
    b: Array
    out: Array
    precision: str = "float32"


class AffineGrads(NamedTuple):
    """Gradients of the loss, each shaped as the forward's argument."""

    dx: Array
    dw: Array
    db: Array


def affine_forward(
    x: Array, w: Array, b: Array, *, precision: str = "float32"
) -> tuple[Array, AffineCache]:
    r"""Affine layer, :math:`y = x W + b`, each item flattened to D numbers.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) float, with d_1 ... d_k = D
    w : (D, M) float
    b : (M,) float
    precision : "float32" or "bfloat16"
        Of what the product multiplies where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    out : (N, M), dtype of x
    cache : AffineCache

    Raises
    ------
    ShapeError
        If D or M do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.
    InputError
        If there is no such precision.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.5.6.
    """
    check_floats("affine_forward", x=x, w=w, b=b)
    rows = _flatten("affine_forward", x)
    check_shapes("affine_forward", x=(rows, "N D"), w=(w, "D M"), b=(b, "M"))
    check_precision("affine_forward", precision)
    out = product(rows, w, b, precision=precision)
    return out, AffineCache(x, w, b, out, precision)


def affine_backward(dout: Array, cache: AffineCache) -> AffineGrads:
    r"""Backward pass of `affine_forward`.

    :math:`dx = dy\,W^T`, :math:`dW = x^T dy`, :math:`db = \sum_n dy_n`.

    Parameters
    ----------
    dout : (N, M), dtype of the forward's output
    cache : AffineCache, from `affine_forward`

    Returns
    -------
    AffineGrads

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 6.5.6.
    """
    x, w, _, out, precision = cache
    check_gradient("affine_backward", "dout", dout, out.shape, out.dtype)
    rows = _flatten("affine_backward", x)
    dx = product(dout, w.T, precision=precision).reshape(x.shape)
    return AffineGrads(dx, product(rows.T, dout, precision=precision), dout.sum(axis=0))


def temporal_affine_forward(
    x: Array, w: Array, b: Array, *, precision: str = "float32"
) -> tuple[Array, AffineCache]:
    r"""Affine layer at every time step, :math:`y_{nt} = x_{nt} W + b`, as one product.

    Parameters
    ----------
    x : (N, T, D) float
    w : (D, M) float
    b : (M,) float
    precision : "float32" or "bfloat16"
        Of what the product multiplies where x is float32; see `unrolled.layers.product`.

    Returns
    -------
    out : (N, T, M), dtype of x
    cache : AffineCache

    Raises
    ------
    ShapeError
        If D or M do not match.
    DTypeError
        If the arguments are not of one floating-point dtype.
    InputError
        If there is no such precision.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 10.2.
    """
    check_floats("temporal_affine_forward", x=x, w=w, b=b)
    size = check_shapes("temporal_affine_forward", x=(x, "N T D"), w=(w, "D M"), b=(b, "M"))
    rows = x.reshape(size["N"] * size["T"], size["D"])
    check_precision("temporal_affine_forward", precision)
    out = product(rows, w, b, precision=precision).reshape(size["N"], size["T"], size["M"])
    return out, AffineCache(x, w, b, out, precision)


def temporal_affine_backward(dout: Array, cache: AffineCache) -> AffineGrads:
    r"""Backward pass of `temporal_affine_forward`: that of `affine_backward` over all N T rows.

    Parameters
    ----------
    dout : (N, T, M), dtype of the forward's output
    cache : AffineCache, from `temporal_affine_forward`

    Returns
    -------
    AffineGrads

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), section 10.2.2.
    """
    x, w, _, out, precision = cache
    check_gradient("temporal_affine_backward", "dout", dout, out.shape, out.dtype)
    steps = x.shape[0] * x.shape[1]
    rows, drows = x.reshape(steps, x.shape[2]), dout.reshape(steps, dout.shape[2])
    dx = product(drows, w.T, precision=precision).reshape(x.shape)
    return AffineGrads(dx, product(rows.T, drows, precision=precision), drows.sum(axis=0))


def _flatten(where: str, x: Array) -> Array:
    """One row per item: (N, d_1, ..., d_k) to (N, D), also where N is 0."""
    if x.ndim < 2:
        raise ShapeError(f"{where}: x must be (N, d_1, ..., d_k), got {x.shape}")
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))
