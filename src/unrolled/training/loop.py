"""The training loop: steps, scores, checkpoints and when to stop, told as events; prints nothing.

::

    save "last"
    for each epoch:   for each batch:  loss and gradients ► update ► StepDone  (► save "last")
                      score ► EpochDone ► better than ever? save "best" ► save "last"
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unrolled.errors import InputError
from unrolled.kernels import release_buffers
from unrolled.layers.arrays import Array
from unrolled.optim import Rule, learning_rate, update
from unrolled.training.average import training_weights
from unrolled.training.config import TrainingConfig
from unrolled.training.events import EpochDone, Event, Finished, Saved, StepDone
from unrolled.training.objectives import Batch, Objective, StepLoss, make_objective
from unrolled.training.self_critical import Reward
from unrolled.training.state import TrainingState

# Keeps the random numbers of dropout apart from others that start at the same seed.
_STREAM = 0xD209


class Model(Protocol):
    """What the loop asks of a model; to be self-critical it must be an `unrolled.CaptioningRNN`."""

    params: dict[str, Array]

    def loss(
        self, features: Array, captions: Array, *, rng: np.random.Generator | None = None
    ) -> tuple[Any, dict[str, Array]]:
        """Return the loss, summed over tokens and divided by N, and its gradients."""


class Batches(Protocol):
    """What the loop asks of the data; `unrolled.data.CaptionBatches` is one."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from ``start`` on: the same ones whenever it is asked."""


def train(
    model: Model,
    batches: Batches,
    config: TrainingConfig,
    *,
    score: Callable[[], Mapping[str, float]],
    save: Callable[[str, TrainingState], None],
    state: TrainingState | None = None,
    stop: Callable[[], bool] = lambda: False,
    null: int = 0,
    reward: Reward | None = None,
    max_length: int = 30,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Train a model, in place, as far as its consumer draws events.

    The run depends on the model's first weights, the data and ``config`` alone. One that is
    stopped and goes on from what it saved ends with the same bits as one that never was. What is
    saved after an event is saved when the next event is drawn; a log that repeats some steps after
    a kill therefore lacks none.

    Parameters
    ----------
    model : Model
        Its ``params`` are changed in place; with ``config.ema_decay`` they are the average.
    batches : Batches
    config : TrainingConfig
    score : callable
        Scores the model after each epoch: names to numbers, ``config.best_by`` among them.
    save : callable
        Writes a checkpoint of the model with a `TrainingState`, as ``"last"`` (to go on from; the
        first one before the first step) or ``"best"``, before it returns.
    state : TrainingState, optional
        Where to go on; ``model`` must have the weights saved with it. From the start unless given.
    stop : callable
        Asked between steps; when true the loop saves ``"last"`` and ends as ``"interrupted"``.
    null : int
        Id of the padding, which is no token.
    reward : callable, optional
        What captions are worth, for the self-critical objective; see
        `unrolled.training.self_critical.Reward`.
    max_length : int
        Words of a caption drawn at most, ``<END>`` included.
    clock : callable
        Seconds, from any origin.

    Yields
    ------
    Event
        The last one is `Finished`.

    Raises
    ------
    InputError
        At the call: if ``state`` is of a run with other data or settings, or the objective needs a
        reward and there is none. Later: if the loss or a
        gradient is not finite (the message names epoch and step; what was saved stays as it was),
        or ``score`` gives no ``config.best_by``.
    CheckpointError
        At the call: if the arrays of ``state`` do not fit the model.
    """
    if len(batches) < 1:
        raise InputError("train: there is nothing to train on, batches is empty")
    if state is None:
        state = TrainingState.fresh(model.params, config, len(batches))
    else:
        state.check_resumable(config, len(batches))
        state.check_arrays(model.params, config)
    if config.objective == "self-critical" and reward is None:
        raise InputError("train: the self-critical objective needs a reward; pass one")
    objective = make_objective(model, config, null=null, reward=reward, max_length=max_length)
    run = _Run(model, batches, config, config.make_rule(), objective, score, save, stop, clock)
    return run.events(state)


@dataclass
class _Run:
    """The arguments of `train`, for the functions that share them."""

    model: Model
    batches: Batches
    config: TrainingConfig
    rule: Rule
    objective: Objective
    score: Callable[[], Mapping[str, float]]
    save: Callable[[str, TrainingState], None]
    stop: Callable[[], bool]
    clock: Callable[[], float]

    def events(self, state: TrainingState) -> Iterator[Event]:
        """Run to the end, whichever end that is, and give back what the steps have kept."""
        try:
            state, reason = yield from self._epochs(state)
        finally:
            release_buffers()
        yield Finished(reason, state.epoch, state.step)

    def _epochs(self, state: TrainingState) -> Generator[Event, None, tuple[TrainingState, str]]:
        if state.step == 0:  # so that a kill at any instant leaves something to go on from
            yield self._saved("last", state)
        reason = self._why_over(state)
        while reason is None:
            state, stopped = yield from self._steps(state)
            if stopped:
                yield self._saved("last", state)
                reason = "interrupted"
            else:
                state, done = self._close_epoch(state)
                yield done
                if done.is_best:  # before "last": a kill in between must not lose the best
                    yield self._saved("best", state)
                yield self._saved("last", state)
                reason = self._why_over(state)
        return state, reason

    def _why_over(self, state: TrainingState) -> str | None:
        """Say why there is no next epoch, or None if there is one."""
        if self.config.patience and state.epochs_since_best >= self.config.patience:
            return "early_stop"
        return "completed" if state.epoch >= self.config.epochs else None

    def _steps(self, state: TrainingState) -> Generator[Event, None, tuple[TrainingState, bool]]:
        """Take the steps that the epoch still has; say whether `stop` ended them."""
        saved_at = began = self.clock()
        for batch in self.batches.epoch(state.epoch, state.batch):
            if self.stop():
                return state, True
            state, done = self._step(state, batch, began)
            yield done
            began = self.clock()
            if self._save_is_due(state.step, began - saved_at):
                yield self._saved("last", state)
                saved_at = began = self.clock()
        if state.batch != len(self.batches):
            raise InputError(
                f"train: epoch {state.epoch + 1} ended after {state.batch} batches of "
                f"{len(self.batches)}; batches must give the same number in every epoch"
            )
        return state, self.stop()

    def _save_is_due(self, step: int, seconds: float) -> bool:
        every = self.config.save_every_steps
        by_steps = every > 0 and step % every == 0
        return by_steps or 0 < self.config.save_every_seconds <= seconds

    def _saved(self, kind: str, state: TrainingState) -> Saved:
        self.save(kind, state)
        return Saved(kind, state.epoch, state.step)

    def _step(
        self, state: TrainingState, batch: Batch, began: float
    ) -> tuple[TrainingState, StepDone]:
        """Take one step: loss and gradients, then the update."""
        where = f"epoch {state.epoch + 1}, step {state.step + 1}"
        if batch.index != state.batch:
            raise InputError(f"train: {where}: expected batch {state.batch}, got {batch.index}")
        sequence = np.random.SeedSequence(self.config.seed, spawn_key=(_STREAM, state.step))
        rng = np.random.default_rng(sequence)
        rate = self._learning_rate(state.step)
        decay = self.config.ema_decay
        with training_weights(self.model, state.trained, decay=decay, step=state.step + 1):
            learnt, norm = self._learn(state, batch, rng, rate, where)
        nats, tokens = learnt.nats, learnt.tokens
        state = dataclasses.replace(
            state,
            batch=state.batch + 1,
            loss_sum=state.loss_sum + nats,
            token_count=state.token_count + tokens,
            reward_sum=state.reward_sum + (learnt.reward or 0.0),
        )
        speed = tokens / max(self.clock() - began, 1e-9)
        mean = nats / max(tokens, 1)
        rewards = learnt.reward, learnt.baseline
        event = StepDone(state.epoch + 1, state.step, mean, tokens, speed, rate, norm, *rewards)
        return state, event

    def _learn(
        self, state: TrainingState, batch: Batch, rng: np.random.Generator, rate: float, where: str
    ) -> tuple[StepLoss, float]:
        """Take the gradients and follow them; gives back their norm as well."""
        with np.errstate(over="ignore", invalid="ignore"):  # said below, once, with its step
            learnt = self.objective(batch, rng, state.epoch)
        if not math.isfinite(learnt.nats):
            raise InputError(self._say_diverged(where, f"the loss is {learnt.nats}"))
        try:
            norm = update(
                self.model.params,
                learnt.grads,
                state.optimizer,
                self.rule,
                learning_rate=rate,
                weight_decay=self.config.weight_decay,
                clip_norm=self.config.clip_norm or None,
            )
        except InputError as error:
            raise InputError(f"train: {where}: {error}") from error
        return learnt, norm

    def _learning_rate(self, step: int) -> float:
        return learning_rate(
            self.config.schedule,
            self.config.learning_rate,
            step,
            total_steps=self.config.epochs * len(self.batches),
            steps_per_epoch=len(self.batches),
            warmup_steps=self.config.warmup_steps,
            decay=self.config.decay,
        )

    def _close_epoch(self, state: TrainingState) -> tuple[TrainingState, EpochDone]:
        """Score the model, and keep account of the best."""
        scores = {name: float(value) for name, value in self.score().items()}
        if self.config.best_by not in scores:
            raise InputError(
                f"train: best_by is {self.config.best_by!r}, but the scores are "
                f"{', '.join(scores) or 'none'}; choose one of them"
            )
        chosen = scores[self.config.best_by]
        is_best = self.config.is_better(chosen, state.best_score)
        train_loss = state.loss_sum / max(state.token_count, 1)
        rewarded = self.config.objective == "self-critical"
        reward = state.reward_sum / len(self.batches) if rewarded else None
        event = EpochDone(state.epoch + 1, state.step, train_loss, scores, is_best, reward)
        waited = 0 if is_best else state.epochs_since_best + 1
        state = dataclasses.replace(
            state,
            epoch=state.epoch + 1,
            batch=0,
            loss_sum=0.0,
            token_count=0,
            reward_sum=0.0,
            epochs_since_best=waited,
        )
        if is_best:
            state = dataclasses.replace(state, best_score=chosen, best_epoch=state.epoch)
        return state, event

    def _say_diverged(self, where: str, what: str) -> str:
        return (
            f"train: {where}: {what}. Training has diverged; the checkpoints saved before are as "
            f"they were. Lower learning_rate (now {self.config.learning_rate}), lengthen "
            f"warmup_steps (now {self.config.warmup_steps}), or lower clip_norm "
            f"(now {self.config.clip_norm or 'off'})"
        )
