"""What the training loop says while it runs: one frozen record per thing that happened."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class StepDone:
    """One training step was taken."""

    epoch: int
    """Counted from 1."""
    step: int
    """Of the whole run, counted from 1."""
    loss: float
    """Of this batch before the step, nats per token; self-critical, of the captions drawn: the
    model's entropy a word, estimated."""
    tokens: int
    """Words of this batch that the model had to say."""
    tokens_per_second: float
    """Of this step, the wait for its batch included."""
    learning_rate: float
    grad_norm: float
    """Before clipping; of the loss per caption."""
    reward: float | None = None
    """Self-critical: mean over the captions drawn."""
    baseline: float | None = None
    """Self-critical: mean of what those rewards were held against."""


@dataclass(frozen=True, slots=True)
class EpochDone:
    """One pass over the data was made, and the model scored."""

    epoch: int
    """Counted from 1."""
    step: int
    """Of the whole run, counted from 1."""
    train_loss: float
    """Mean over the epoch's tokens, each with the weights of its step; nats per token."""
    scores: Mapping[str, float]
    """What the scoring function gave."""
    is_best: bool
    """Whether it is the best epoch so far."""
    train_reward: float | None = None
    """Self-critical: mean over the epoch's steps, each with the weights it had."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint was written."""

    kind: str
    """``"last"`` or ``"best"``."""
    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The loop is over."""

    reason: str
    """``"completed"``, ``"early_stop"`` or ``"interrupted"``."""
    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done."""


Event: TypeAlias = StepDone | EpochDone | Saved | Finished

_NAMES = {StepDone: "step", EpochDone: "epoch", Saved: "saved", Finished: "finished"}


def event_record(event: Event) -> dict[str, Any]:
    """Turn an event into a record for a JSONL log.

    Parameters
    ----------
    event : Event

    Returns
    -------
    dict
        ``{"event": "step" | "epoch" | "saved" | "finished", ...}`` with the event's fields; a
        number that is not finite, which JSON cannot hold, is None, and what the run has not, such
        as rewards, is left out.
    """
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    fields = {name: value for name, value in fields.items() if value is not None}
    if isinstance(event, EpochDone):
        fields["scores"] = {name: _finite(value) for name, value in event.scores.items()}
    return {"event": _NAMES[type(event)]} | {name: _finite(value) for name, value in fields.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
