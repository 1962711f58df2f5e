"""Numeric gradients: what every backward pass is held against.

>>> import numpy as np
>>> from unrolled import gradcheck, layers
>>> rng = np.random.default_rng(0)
>>> x, h, Wx, Wh, b = (rng.standard_normal(s) for s in [(3, 4), (3, 5), (4, 5), (5, 5), (5,)])
>>> report = gradcheck.check(layers.rnn_step_forward, layers.rnn_step_backward, (x, h, Wx, Wh, b))
>>> report.max_error < 1e-8
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import DTypeError, InputError, ShapeError

Array = NDArray[Any]

# Central differences: how far the points lie, in units of h, and what each difference counts.
_STENCILS = {2: ((1, 1 / 2),), 4: ((1, 2 / 3), (2, -1 / 12))}


class GradientReport(NamedTuple):
    """Relative error of each gradient, by the argument's place in the forward's arguments."""

    errors: dict[int, float]

    @property
    def max_error(self) -> float:
        """The largest of the errors; 0.0 where there was nothing to check."""
        return max(self.errors.values(), default=0.0)


def relative_error(x: Array, y: Array) -> float:
    r"""Largest relative difference, :math:`\max |x - y| / \max(10^{-8}, |x| + |y|)`.

    Parameters
    ----------
    x, y : arrays of one shape

    Returns
    -------
    float
        0.0 for empty arrays, nan where a nan stands in either.

    Raises
    ------
    ShapeError
        If the shapes differ: broadcasting would hide a gradient summed over the wrong axis.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape:
        raise ShapeError(f"relative_error: the shapes must be equal, got {x.shape} and {y.shape}")
    if x.size == 0:
        return 0.0
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))


def numeric_gradient(
    f: Callable[[Array], Any],
    x: Array,
    df: Array | None = None,
    h: float = 1e-5,
    order: int = 2,
) -> Array:
    r"""Gradient by central differences, :math:`\sum_j df_j (f_j(x + h e_i) - f_j(x - h e_i)) / 2h`.

    That is of order 2. With :math:`\delta_k = f(x + k h e_i) - f(x - k h e_i)`, order 4 is

    .. math:: \sum_j df_j \frac{8 \, \delta_{1,j} - \delta_{2,j}}{12 h}.

    Each number of ``x`` is moved in place while ``f`` is called and put back afterwards, so that
    ``f`` may also read the array from elsewhere (a model's parameters).

    Parameters
    ----------
    f : callable
        Takes x; returns a number, or an array when df is given.
    x : float64 array
    df : array like f(x), optional
        Upstream gradient; f must return a scalar where there is none.
    h : float
        Half the distance of the two points.
    order : 2 or 4
        Of the error in h. With four points instead of two, h may be so large (1e-3) that the
        rounding of f no longer hides the gradients of a deep function that are near zero.

    Returns
    -------
    array like x

    Raises
    ------
    DTypeError
        If x is not a float64 array: float32 leaves three digits to compare.
    InputError
        If there is no such order.
    ShapeError
        If df, or nothing where there is none, has not the shape of f(x): broadcasting would hide
        a wrong upstream gradient.

    References
    ----------
    Press et al. (2007), Numerical Recipes, section 5.7.
    """
    dtype = getattr(x, "dtype", type(x).__name__)
    if dtype != np.float64:
        raise DTypeError(
            f"numeric_gradient: x must be a float64 array, got {dtype}: central differences in a "
            "narrower dtype leave too few digits to compare"
        )
    if order not in _STENCILS:
        raise InputError(f"numeric_gradient: order must be 2 or 4, got {order!r}")
    upstream = np.asarray(1.0 if df is None else df)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        value = x[index]
        for points, counts in _STENCILS[order]:
            try:
                x[index] = value + points * h
                above = np.array(f(x), dtype=np.float64)
                x[index] = value - points * h
                below = np.array(f(x), dtype=np.float64)
            finally:
                x[index] = value
            if above.shape != upstream.shape:
                raise ShapeError(
                    f"numeric_gradient: df must have the shape of f(x) {above.shape}, "
                    f"got {'no df' if df is None else upstream.shape}"
                )
            gradient[index] += counts * np.sum((above - below) * upstream) / h
    return gradient


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    args: Sequence[Any],
    *,
    seed: int = 0,
    h: float = 1e-5,
    order: int = 2,
) -> GradientReport:
    """Hold a backward pass to the numeric gradients of its own forward pass.

    Parameters
    ----------
    forward : callable
        Returns ``(out, cache)``, or ``(out_1, ..., out_k, cache)``.
    backward : callable
        Takes ``(dout, cache)`` or ``(dout_1, ..., dout_k, cache)``; returns one gradient per
        float64 argument, in order, or the gradient alone where there is one.
    args : sequence
        The forward's arguments. float64 arrays are checked, all others are passed on.
    seed : int
        Of the random upstream gradients.
    h : float
        Step of the central differences.
    order : 2 or 4
        Of their error; see `numeric_gradient`.

    Returns
    -------
    GradientReport

    Raises
    ------
    InputError
        If the backward returns another number of gradients than there are float64 arguments.
    ShapeError
        If a gradient has not the shape of its argument.
    """
    rng = np.random.default_rng(seed)
    *outs, cache = forward(*args)
    douts = [rng.standard_normal(np.shape(out)) for out in outs]
    grads = backward(*douts, cache)
    grads = grads if isinstance(grads, tuple) else (grads,)
    places = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if len(grads) != len(places):
        raise InputError(
            f"gradcheck.check: the forward has {len(places)} float64 arguments, "
            f"so the backward must return as many gradients, got {len(grads)}"
        )
    errors = {}
    for place, grad in zip(places, grads, strict=True):
        x = args[place]
        if np.shape(grad) != x.shape:
            raise ShapeError(
                f"gradcheck.check: the gradient of argument {place} must be shaped as the "
                f"argument, {x.shape}, got {np.shape(grad)}"
            )
        expected = np.zeros_like(x)
        for k, dout in enumerate(douts):
            expected += numeric_gradient(lambda _, k=k: forward(*args)[k], x, dout, h, order)  # type: ignore[misc]
        errors[place] = relative_error(grad, expected)
    return GradientReport(errors)
