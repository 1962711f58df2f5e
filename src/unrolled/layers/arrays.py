"""What every layer asks of its arguments: shapes that fit together and one float dtype."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unrolled import kernels
from unrolled.errors import DTypeError, InputError, ShapeError

Array: TypeAlias = NDArray[Any]


def check_array(where: str, name: str, array: Any) -> None:
    """Hold an argument to being a NumPy array: a list is never converted in silence.

    Parameters
    ----------
    where, name : str
        The function that asks and its argument, for the message.
    array : array

    Raises
    ------
    ShapeError
        If it is no array.
    """
    if not isinstance(array, (np.ndarray, np.generic)):
        raise ShapeError(
            f"{where}: {name} must be a NumPy array, got {type(array).__name__}; "
            "convert it with np.asarray"
        )


def check_shapes(where: str, **arguments: tuple[Array, str]) -> dict[str, int]:
    """Hold arrays to shapes written with letters, such as ``Wh=(Wh, "H 4H")``.

    A letter takes its value where it first stands and must keep it: the error names the argument,
    what it had to be given those before it, and what came.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    **arguments : (array, letters)
        One word of ``letters`` per axis: a letter, a factor and a letter (``4H``), or ``1``.

    Returns
    -------
    dict[str, int]
        The value of each letter.

    Raises
    ------
    ShapeError
        If an argument is no array, or its shape does not fit.
    """
    sizes = {"1": 1}
    for name, (array, letters) in arguments.items():
        check_array(where, name, array)
        axes = _axes(letters)
        if array.ndim != len(axes):
            raise ShapeError(
                f"{where}: {name} must have {len(axes)} axes ({_written(axes)}), "
                f"got shape {array.shape}"
            )
        for (_, factor, letter), size in zip(axes, array.shape, strict=True):
            known = sizes.setdefault(letter, size // factor)
            if size != factor * known:
                wanted = ", ".join(_axis_size(axis, sizes) for axis in axes)
                raise ShapeError(
                    f"{where}: {name} must be ({_written(axes)}) = ({wanted}) to match the "
                    f"arguments before it, got {array.shape}"
                )
    return sizes


class _Axis(NamedTuple):
    text: str
    factor: int
    letter: str


@functools.lru_cache(256)
def _axes(letters: str) -> tuple[_Axis, ...]:
    """Read the axes that letters name; layers ask with the same ones at every call."""
    return tuple(_Axis(axis, int(axis[:-1] or 1), axis[-1]) for axis in letters.split())


def _written(axes: Sequence[_Axis]) -> str:
    return ", ".join(axis.text for axis in axes)


def _axis_size(axis: _Axis, sizes: dict[str, int]) -> str:
    """Write the size an axis had to have, or its letters where nothing fixes it yet."""
    return str(axis.factor * sizes[axis.letter]) if axis.letter in sizes else axis.text


def check_floats(where: str, **arguments: Array) -> np.dtype[Any]:
    """Hold arrays to one floating-point dtype, so that nothing is widened in silence.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    **arguments : array

    Returns
    -------
    dtype
        The one they share.

    Raises
    ------
    ShapeError
        If an argument is no array.
    DTypeError
        If an argument is not floating point, or differs from the first.
    """
    first, reference = next(iter(arguments.items()))
    for name, array in arguments.items():
        check_array(where, name, array)
        if array.dtype.kind != "f":
            raise DTypeError(
                f"{where}: {name} must be floating point, got {array.dtype}; "
                f"convert it with .astype(np.float32) or np.float64"
            )
        if array.dtype != reference.dtype:
            raise DTypeError(
                f"{where}: {name} is {array.dtype} but {first} is {reference.dtype}; "
                f"convert one of them, mixed dtypes are never widened in silence"
            )
    return reference.dtype


def check_ids(
    where: str,
    ids: Array,
    size: int,
    *,
    name: str = "x",
    hint: str = "do the ids and the vocabulary belong together?",
) -> None:
    """Hold an array to integer ids in ``[0, size)``.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    ids : int array of any shape
    size : int
        Number of ids there are (V, the vocabulary).
    name : str
        The argument's name, for the message.
    hint : str
        What the message ends with.

    Raises
    ------
    ShapeError
        If the ids are no array.
    DTypeError
        If the ids are not integers.
    InputError
        If an id lies outside; negative ids do not count from the end.
    """
    check_array(where, name, ids)
    if ids.dtype.kind not in "iu":
        raise DTypeError(
            f"{where}: {name} must hold integer ids, got {ids.dtype}; convert it with .astype(int)"
        )
    if not kernels.ids_within(ids, size):
        low, high = int(ids.min()), int(ids.max())
        raise InputError(
            f"{where}: {name} holds the id {low if low < 0 else high}, "
            f"but ids must lie in [0, {size}); {hint}"
        )


def check_gradient(
    where: str, name: str, gradient: Array, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Hold an upstream gradient to the shape and dtype of the output it belongs to.

    Parameters
    ----------
    where, name : str
        The function that asks and its argument, for the message.
    gradient : array
    shape, dtype
        Those of the forward's output.

    Raises
    ------
    ShapeError, DTypeError
        If it is shaped or typed otherwise.
    """
    check_array(where, name, gradient)
    if gradient.shape != shape:
        raise ShapeError(
            f"{where}: {name} must have the shape of the forward's output {shape}, "
            f"got {gradient.shape}"
        )
    if gradient.dtype != dtype:
        raise DTypeError(
            f"{where}: {name} is {gradient.dtype} but the forward's output is {dtype}; "
            f"convert it with .astype({dtype})"
        )
