"""What a training step makes smaller: cross-entropy with people's captions, or a reward's lack.

========================  =========================================================================
cross-entropy             say the words that people said; optionally with smoothed targets, and
                          sometimes fed words of the model's own (`unrolled.training.scheduled`)
self-critical             say what is rewarded (`unrolled.training.self_critical`); optionally mixed
                          with cross-entropy
========================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.training.config import TrainingConfig
from unrolled.training.scheduled import own_word_probability, scheduled_words
from unrolled.training.self_critical import Reward, self_critical_loss


class StepLoss(NamedTuple):
    """What a step learnt of its batch."""

    nats: float
    """Over all tokens; what a gradient step makes smaller, or would if it were not for rewards."""
    tokens: int
    grads: dict[str, Array]
    """Of the loss per caption."""
    reward: float | None = None
    """Mean over the captions drawn."""
    baseline: float | None = None
    """Mean of what the rewards were held against."""


class Batch(Protocol):
    """What the loop and its objectives ask of a batch."""

    @property
    def features(self) -> Array:
        """(N, D) float."""

    @property
    def captions(self) -> Array:
        """(N, T) int."""

    @property
    def index(self) -> int:
        """Which batch of its epoch it is, from 0."""

    @property
    def rows(self) -> Array:
        """(N,) int, which captions these are; asked for by rewards only."""


Objective = Callable[[Batch, np.random.Generator, int], StepLoss]
"""Takes a batch, random numbers of the step's own, and the epoch, counted from 0."""


def make_objective(
    model: Any, config: TrainingConfig, *, null: int, reward: Reward | None, max_length: int
) -> Objective:
    """Make what ``config.objective`` names.

    Parameters
    ----------
    model : CaptioningRNN, or for cross-entropy anything with its ``loss``
    config : TrainingConfig
    null : int
        Id of the padding, which is no token.
    reward : callable, optional
        See `unrolled.training.self_critical.Reward`; needed to be self-critical.
    max_length : int
        Words of a drawn caption at most.

    Returns
    -------
    callable
    """

    def cross_entropy(batch: Batch, rng: np.random.Generator, epoch: int) -> StepLoss:
        options: dict[str, Any] = {}
        if config.label_smoothing:
            options["label_smoothing"] = config.label_smoothing
        if own := own_word_probability(config.scheduled_sampling, epoch, config.epochs):
            options["words_in"] = scheduled_words(model, batch.features, batch.captions, own, rng)
        loss, grads = model.loss(batch.features, batch.captions, rng=rng, **options)
        tokens = int(np.count_nonzero(batch.captions[:, 1:] != null))
        return StepLoss(float(loss) * len(batch.captions), tokens, grads)

    def self_critical(batch: Batch, rng: np.random.Generator, epoch: int) -> StepLoss:
        drawn = self_critical_loss(
            model,
            batch.features,
            lambda captions: reward(batch.rows, captions),  # type: ignore[misc]
            rng,
            samples=config.samples,
            baseline=config.baseline,
            max_length=max_length,
        )
        share, grads = config.cross_entropy_weight, drawn.grads
        if share:
            said = cross_entropy(batch, rng, epoch).grads
            grads = {name: (1 - share) * grads[name] + share * said[name] for name in grads}
        return StepLoss(drawn.nats, drawn.tokens, grads, drawn.reward, drawn.baseline)

    return self_critical if config.objective == "self-critical" else cross_entropy
