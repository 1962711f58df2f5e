"""What several jobs tell while they run."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    """Something worth telling the person, such as captions without a photo."""

    text: str


class Started(NamedTuple):
    """A run's data are ready and its first step is next."""

    epochs: int
    batches_per_epoch: int
    step: int
    """Steps done before, where the run goes on."""
    parameters: int
    words: int
    precision: str
    """Of the numbers that the run multiplies, as `unrolled.CaptioningRNN` has it."""
