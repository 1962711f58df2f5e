r"""Schedules of the learning rate: pure functions of the step, so that a resumed run agrees."""

from __future__ import annotations

import math
from collections.abc import Callable

from unrolled.errors import InputError

Schedule = Callable[[float, float, float], float]
"""(share of the run done, epochs done, decay per epoch) -> share of the base rate."""


def _constant(_progress: float, _epochs: float, _decay: float) -> float:
    return 1.0


def _cosine(progress: float, _epochs: float, _decay: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _linear(progress: float, _epochs: float, _decay: float) -> float:
    return 1 - progress


def _step(_progress: float, epochs: float, decay: float) -> float:
    return float(decay ** math.floor(epochs))


def _exponential(_progress: float, epochs: float, decay: float) -> float:
    return float(decay**epochs)


SCHEDULES: dict[str, Schedule] = {
    "constant": _constant,
    "cosine": _cosine,
    "linear": _linear,
    "step": _step,
    "exponential": _exponential,
}


def learning_rate(
    schedule: str,
    base: float,
    step: int,
    *,
    total_steps: int,
    steps_per_epoch: int,
    warmup_steps: int = 0,
    decay: float = 0.95,
) -> float:
    r"""Learning rate of one step.

    With p the share of the steps after the warm-up that is done, and e the epochs done:

    ============  =====================================================================
    constant      base
    cosine        :math:`base\,(1 + \cos \pi p) / 2`
    linear        :math:`base\,(1 - p)`
    step          :math:`base \cdot decay^{\lfloor e \rfloor}`, the assignment's ``lr_decay``
    exponential   :math:`base \cdot decay^{e}`, the same without the jumps
    ============  =====================================================================

    During the first ``warmup_steps`` steps it is multiplied by ``(step + 1) / warmup_steps``.

    Parameters
    ----------
    schedule : one of `SCHEDULES`
    base : float
        The highest rate.
    step : int
        Counted from 0. A step past the end gets the last rate.
    total_steps, steps_per_epoch : int
        Steps of the whole run, and of one pass over the data.
    warmup_steps : int
    decay : float
        Factor per epoch; only ``step`` and ``exponential`` use it.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If there is no such schedule, or a number is out of range.

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR", equation 5, without restarts; Goyal et al. (2017),
    "Accurate, large minibatch SGD", section 2.2, for the warm-up.
    """
    if schedule not in SCHEDULES:
        raise InputError(f"no schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}")
    if min(step, warmup_steps) < 0 or min(total_steps, steps_per_epoch) < 1:
        raise InputError(
            "learning_rate: step and warmup_steps must be at least 0, total_steps and "
            f"steps_per_epoch at least 1; got {step}, {warmup_steps}, {total_steps}, "
            f"{steps_per_epoch}"
        )
    step = min(step, total_steps)
    progress = max(0, step - warmup_steps) / max(1, total_steps - warmup_steps)
    rate = base * SCHEDULES[schedule](progress, step / steps_per_epoch, decay)
    return rate * min(1.0, (step + 1) / warmup_steps) if warmup_steps else rate
