"""The precision of a training where it is left to the machine."""

from __future__ import annotations

from unrolled import kernels
from unrolled.errors import InputError
from unrolled.layers.product import PRECISIONS

AUTO = "auto"

# A training step in bfloat16 was 1.3 to 2.9 times as fast through AMX at every width from 64 on,
# and 1.2 to 1.8 times by the dot product of an AMD core, in batches of 4 to 128, RNN and LSTM. An
# Intel core's multiplies no more numbers a cycle than float32 does; there the step was up to a
# quarter slower.
_WIDE = 64


def choose_precision(where: str, precision: str, hidden_dim: int) -> str:
    """Resolve ``"auto"``: bfloat16 where the CPU has units for it that this model gains by.

    Parameters
    ----------
    where : str
        The function that asks, for the message.
    precision : str
        ``"auto"``, or one that is taken as it is.
    hidden_dim : int
        H, the width of the recurrence.

    Returns
    -------
    str
        ``"float32"`` or ``"bfloat16"``.

    Raises
    ------
    InputError
        If there is no such precision.
    """
    if precision in PRECISIONS:
        return precision
    if precision != AUTO:
        raise InputError(
            f"{where}: precision must be one of {', '.join((AUTO, *PRECISIONS))}, got {precision!r}"
        )
    path = kernels.compiled()
    gains = path is not None and path.gains_by_bfloat16 and hidden_dim >= _WIDE
    return "bfloat16" if gains else "float32"
