"""Inverted dropout: scale while training, do nothing afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array, check_floats, check_gradient


class DropoutCache(NamedTuple):
    """What `dropout_backward` needs."""

    dropout_param: Mapping[str, Any]
    mask: Array | None
    out: Array


def dropout_forward(x: Array, dropout_param: Mapping[str, Any]) -> tuple[Array, DropoutCache]:
    r"""Inverted dropout, :math:`y = x \cdot m / p` with :math:`m \sim \mathrm{Bernoulli}(p)`.

    Parameters
    ----------
    x : float array of any shape
    dropout_param : mapping
        ``p``: the probability to *keep* a number, in (0, 1]; ``mode``: ``"train"`` or ``"test"``
        (then y = x); ``rng``: a `numpy.random.Generator`, or ``seed``: an int that gives the same
        mask at every call, as a gradient check wants it.

    Returns
    -------
    out : array like x, dtype of x
    cache : DropoutCache

    Raises
    ------
    InputError
        If p or mode is missing or cannot be right, rng is no Generator, or seed cannot be one.
    DTypeError
        If x is not floating point.

    References
    ----------
    Srivastava et al. (2014), section 10 (dropout scaled at training time).
    """
    dtype = check_floats("dropout_forward", x=x)
    keep, mode, rng = (dropout_param.get(key) for key in ("p", "mode", "rng"))
    if not isinstance(keep, (int, float, np.number)) or not 0 < keep <= 1:
        raise InputError(
            "dropout_forward: p in dropout_param, the probability to keep, must be in (0, 1], "
            f"got {keep!r}"
        )
    if mode not in ("train", "test"):
        raise InputError(
            f'dropout_forward: mode in dropout_param must be "train" or "test", got {mode!r}'
        )
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise InputError(
            "dropout_forward: rng in dropout_param must be a numpy.random.Generator, "
            f"got {type(rng).__name__}; make one with np.random.default_rng"
        )
    if mode == "test":
        out = x.copy()
        return out, DropoutCache(dropout_param, None, out)
    rng = rng or _seeded(dropout_param.get("seed"))
    mask = (rng.random(x.shape, dtype=np.float32) < keep).astype(dtype)
    mask /= dtype.type(keep)
    out = x * mask
    return out, DropoutCache(dropout_param, mask, out)


def _seeded(seed: Any) -> np.random.Generator:
    """Make a generator; NumPy's own errors about a seed would not say whose it is."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise InputError(
            "dropout_forward: seed in dropout_param must be an int of at least 0, "
            f"got {seed!r} ({error})"
        ) from None


def dropout_backward(dout: Array, cache: DropoutCache) -> Array:
    r"""Backward pass of `dropout_forward`, :math:`dx = dy \cdot m / p`.

    Parameters
    ----------
    dout : array like the forward's output
    cache : DropoutCache, from `dropout_forward`

    Returns
    -------
    dx : array like dout

    Raises
    ------
    ShapeError, DTypeError
        If dout is not shaped and typed as the forward's output.

    References
    ----------
    Srivastava et al. (2014), section 10.
    """
    check_gradient("dropout_backward", "dout", dout, cache.out.shape, cache.out.dtype)
    return dout.copy() if cache.mask is None else dout * cache.mask
