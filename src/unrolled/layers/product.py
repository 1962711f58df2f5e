r"""The matrix product of all layers: compiled where it can be, and in the precision that is asked.

``"bfloat16"`` rounds both operands to bfloat16, eight bits of significand, and sums their products
in float32: what a CPU's bfloat16 units do. It is a choice for float32 arrays; other dtypes are
multiplied as they are, so that a gradient check in float64 stays one.
"""

from __future__ import annotations

import numpy as np

from unrolled import kernels
from unrolled.errors import InputError
from unrolled.layers.arrays import Array

PRECISIONS = ("float32", "bfloat16")

# Rows that OpenBLAS, NumPy's usual BLAS, multiplies up to twice as fast where the product is asked
# for as its transpose, of many rows and few columns.
_TRANSPOSED_ROWS = range(2, 33)


def check_precision(where: str, precision: str) -> None:
    """Hold a precision to being one there is.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    precision : str

    Raises
    ------
    InputError
        If it is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"{where}: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}"
        )


def runs_compiled(array: Array) -> bool:
    """Tell whether compiled kernels take this array: it is float32, and there are such.

    Parameters
    ----------
    array : array

    Returns
    -------
    bool
    """
    return array.dtype == np.float32 and kernels.compiled() is not None


def round_bfloat16(x: Array) -> Array:
    """Round to the nearest bfloat16, ties to even.

    Parameters
    ----------
    x : float32 array of any shape

    Returns
    -------
    array like x, float32
    """
    bits = np.ascontiguousarray(x).view(np.uint32)
    odd = bits >> 16 & 1
    rounded = np.where(np.isnan(x), bits | 0x400000, bits + (0x7FFF + odd))
    return (rounded & 0xFFFF0000).astype(np.uint32).view(np.float32).reshape(x.shape)


def product(a: Array, b: Array, bias: Array | None = None, *, precision: str = "float32") -> Array:
    r"""Matrix product, :math:`A B + b`.

    Parameters
    ----------
    a : (M, K) float
    b : (K, N) float
    bias : (N,) float, optional
    precision : one of `PRECISIONS`

    Returns
    -------
    (M, N), dtype of a
    """
    if runs_compiled(a):  # few rows, too: the threads of a BLAS beside ours would spin against them
        return kernels.product(a, b, bias, precision=precision)
    if precision == "bfloat16" and a.dtype == np.float32:
        a, b = round_bfloat16(a), round_bfloat16(b)
    if len(a) in _TRANSPOSED_ROWS:
        result: Array = np.ascontiguousarray((b.T @ a.T).T)
    else:
        result = a @ b
    if bias is not None:
        result += bias
    return result
