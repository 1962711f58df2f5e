"""Where a training run stands: with the weights, all that going on bit for bit needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unrolled.errors import CheckpointError, InputError
from unrolled.layers.arrays import Array
from unrolled.optim import init_state
from unrolled.training.config import TrainingConfig

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(
        ("batches_per_epoch", "epoch", "batch", "token_count", "epochs_since_best", "step"),
        ((int,), "a whole number"),
    ),
    "best_epoch": ((int, type(None)), "a whole number or null"),
    "loss_sum": ((float,), "a number with a decimal point"),
    "reward_sum": ((float,), "a number with a decimal point"),
    "best_score": ((float, type(None)), "a number with a decimal point or null"),
    "config": ((dict,), "an object"),
}

_TRAINED = "trained."


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Where training stands between two steps.

    Nothing else is needed beside the weights: batches and dropout masks are pure functions of the
    seed and the step.
    """

    optimizer: dict[str, Array]
    """What the update rule remembers. The loop changes these arrays: save them before going on."""
    config: Mapping[str, Any]
    """The run's configuration, to tell whether it was changed."""
    batches_per_epoch: int
    trained: dict[str, Array] | None = None
    """The weights being trained where the model's are their average; changed like `optimizer`."""
    epoch: int = 0
    """Whole epochs done."""
    batch: int = 0
    """Batches done of the epoch that is under way."""
    loss_sum: float = 0.0
    """Nats, over the tokens of that epoch so far."""
    token_count: int = 0
    """Tokens of that epoch so far."""
    reward_sum: float = 0.0
    """Mean rewards of that epoch's steps so far; 0 in a run that has none."""
    best_score: float | None = None
    best_epoch: int | None = None
    """Counted from 1."""
    epochs_since_best: int = 0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.epoch * self.batches_per_epoch + self.batch

    @classmethod
    def fresh(
        cls, params: dict[str, Array], config: TrainingConfig, batches_per_epoch: int
    ) -> TrainingState:
        """Make the state before the first step.

        Parameters
        ----------
        params : dict of arrays
        config : TrainingConfig
        batches_per_epoch : int

        Returns
        -------
        TrainingState
        """
        optimizer = init_state(params, config.make_rule())
        averaged = config.ema_decay > 0
        return cls(
            optimizer=optimizer,
            config=config.to_dict(),
            batches_per_epoch=batches_per_epoch,
            trained={name: value.copy() for name, value in params.items()} if averaged else None,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], arrays: dict[str, Array]) -> TrainingState:
        """Make one from what a checkpoint holds.

        Parameters
        ----------
        values : mapping, from `to_dict`
        arrays : dict of arrays, from `arrays`

        Returns
        -------
        TrainingState

        Raises
        ------
        CheckpointError
            If keys are missing or left over, or values cannot be right.
        """
        values = {"reward_sum": 0.0, **values}  # runs saved before there were rewards go on
        expected = set(_TYPES)
        if set(values) != expected:
            raise CheckpointError(
                f"state.json: missing {sorted(expected - set(values)) or 'nothing'}, left over "
                f"{sorted(set(values) - expected) or 'nothing'}: saved by another version? "
                "Train on with the Unrolled that saved it"
            )
        for name, (types, wanted) in _TYPES.items():
            value = values[name]
            if type(value) not in types or (type(value) is int and value < 0):
                raise CheckpointError(f"state.json: {name} must be {wanted}, got {value!r}")
        given = {name: value for name, value in values.items() if name != "step"}
        optimizer = {name: a for name, a in arrays.items() if not name.startswith(_TRAINED)}
        trained = {n.removeprefix(_TRAINED): a for n, a in arrays.items() if n not in optimizer}
        if bool(trained) != bool(given["config"].get("ema_decay")):
            raise CheckpointError(
                "state.json and optimizer.safetensors do not fit together: there are weights "
                "being trained beside an average if, and only if, config has an ema_decay"
            )
        state = cls(optimizer=optimizer, trained=trained or None, **given)
        if state.step != values["step"] or state.batch > state.batches_per_epoch:
            raise CheckpointError(
                f"state.json: epoch {state.epoch}, batch {state.batch} of "
                f"{state.batches_per_epoch} and step {values['step']!r} do not fit together"
            )
        return state

    def to_dict(self) -> dict[str, Any]:
        """Return all but the arrays, for JSON; `from_dict` undoes it, floats bit for bit."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["optimizer"], values["trained"]
        return values | {"step": self.step}

    def arrays(self) -> dict[str, Array]:
        """Return the arrays, flat, for a safetensors file; `from_dict` takes them back."""
        trained = {f"{_TRAINED}{name}": value for name, value in (self.trained or {}).items()}
        return self.optimizer | trained

    def check_arrays(self, params: dict[str, Array], config: TrainingConfig) -> None:
        """Hold the arrays to the model's weights that they were saved with.

        Parameters
        ----------
        params : dict of arrays
        config : TrainingConfig

        Raises
        ------
        CheckpointError
            If some are missing or left over, or have other shapes or dtypes.
        """
        fresh = TrainingState.fresh(params, config, self.batches_per_epoch).arrays()
        found = self.arrays()
        wrong = [f"{name} is missing" for name in fresh.keys() - found.keys()]
        wrong += [f"{name} is left over" for name in found.keys() - fresh.keys()]
        wrong += [
            f"{name} must be {want.dtype} {want.shape}, got {found[name].dtype} {found[name].shape}"
            for name, want in fresh.items()
            if name in found and (found[name].shape, found[name].dtype) != (want.shape, want.dtype)
        ]
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise CheckpointError(
                f"optimizer.safetensors does not fit the model: {'; '.join(sorted(wrong)[:3])}"
                f"{more}. Put back the whole folder as it was saved, or start a new run"
            )

    def check_resumable(self, config: TrainingConfig, batches_per_epoch: int) -> None:
        """Hold a run that goes on to the one that stopped.

        Parameters
        ----------
        config : TrainingConfig
        batches_per_epoch : int

        Raises
        ------
        InputError
            If what decides the weights was changed; the message names it.
        """
        changes = config.changed_course(self.config)
        if self.batches_per_epoch != batches_per_epoch:
            changes.append(
                f"batches in an epoch were {self.batches_per_epoch}, are {batches_per_epoch}"
            )
        if changes:
            raise InputError(
                f"training cannot go on as if it had never stopped: {'; '.join(changes)}. "
                "Undo the change, or start a new run"
            )
