"""A model's parameters: their names and shapes, and what they start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS, variant
from unrolled.layers.stack import stacked


def parameter_shapes(
    V: int,
    D: int,
    W: int,
    H: int,
    cell_type: str,
    tie_weights: bool,
    num_layers: int = 1,
    *,
    layer_norm: bool = False,
    attention_gate: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Name the parameters of a model, and their shapes.

    Parameters
    ----------
    V, D, W, H : int
        Words, and widths of the features, of the word vectors and of the recurrence.
    cell_type : str
        One of `unrolled.layers.cells.CELLS`.
    tie_weights : bool
    num_layers : int
    layer_norm, attention_gate : bool

    Returns
    -------
    dict of str to tuple of int

    Raises
    ------
    InputError
        If there is no such cell.
    """
    cell = variant(CELLS[cell_type], layer_norm=layer_norm, attention_gate=attention_gate)
    shapes: dict[str, tuple[int, ...]] = {"W_proj": (D, H), "b_proj": (H,), "W_embed": (V, W)}
    shapes |= stacked(cell, num_layers).shapes(W, H)
    if not tie_weights:
        shapes["W_vocab"] = (H, V)
    return shapes | {"b_vocab": (V,)}


def initial_params(
    shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any], seed: int | None
) -> dict[str, Array]:
    """Draw weights from N(0, 1/fan-in), word vectors from N(0, 0.01^2); biases are 0, gains 1.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        From `parameter_shapes`.
    dtype : dtype
    seed : int, optional
        Fresh weights every time unless given.

    Returns
    -------
    dict of str to array
    """
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in shapes.items():
        if name.startswith(("b", "g")):
            params[name] = np.full(shape, name.startswith("g"), dtype)
        else:
            scale = 100 if name == "W_embed" else np.sqrt(shape[0])
            params[name] = (rng.standard_normal(shape) / scale).astype(dtype)
    return params


def given_params(
    where: str,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype[Any],
    given: Mapping[str, Array],
) -> dict[str, Array]:
    """Take weights that somebody has, in the model's dtype.

    Parameters
    ----------
    where : str
        Who asks, for the message.
    shapes : mapping of str to tuple of int
        From `parameter_shapes`.
    dtype : dtype
    given : mapping of str to array

    Returns
    -------
    dict of str to array
        In the order of the shapes; the arrays themselves where they are of that dtype.

    Raises
    ------
    InputError
        If they are not of those names and shapes.
    """
    different = misfits(shapes, given)
    if different:
        raise InputError(f"{where}: params do not fit ({different})")
    return {name: given[name].astype(dtype, copy=False) for name in shapes}


def misfits(shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Array]) -> str:
    """Say which arrays are not there, not wanted, or of another shape.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
    given : mapping of str to array

    Returns
    -------
    str
        For people; empty where all fit.
    """
    came = {name: value.shape for name, value in given.items()}
    return "; ".join(
        f"{name}: expected {shapes.get(name, 'nothing')}, got {came.get(name, 'nothing')}"
        for name in sorted(shapes.keys() | came.keys())
        if shapes.get(name) != came.get(name)
    )
