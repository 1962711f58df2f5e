"""What a training run is told: one flat record, validated, that TOML and flags can fill."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unrolled.errors import InputError
from unrolled.optim import RULES, SCHEDULES, Rule, make_rule

OBJECTIVES = ("cross-entropy", "self-critical")
BASELINES = ("samples", "greedy")

_RULE_CONSTANTS = ("beta1", "beta2", "momentum", "alpha", "eps")
_TAKES_TOTAL = ("cosine", "linear")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train. In whatever can be switched off, 0 switches it off.

    Raises
    ------
    InputError
        If a value is of another type or out of range; the message names the key.
    """

    objective: str = "cross-entropy"
    """cross-entropy (with people's captions), or self-critical (the reward of captions drawn)."""
    start: str = ""
    """Folder of a captioner whose weights and vocabulary to begin with; without, from new ones."""
    epochs: int = 20
    """Passes over the data, at most."""
    batch_size: int = 128
    """Captions per step."""
    rule: str = "adamw"
    """Update rule: adam, adamw, sgd, rmsprop."""
    learning_rate: float = 1e-3
    """Its highest value."""
    schedule: str = "cosine"
    """Of the learning rate: constant, cosine, linear, step, exponential."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from next to nothing."""
    decay: float = 0.95
    """Of the learning rate per epoch, for step and exponential."""
    clip_norm: float = 5.0
    """Longest gradient (of the loss per caption) taken as it is."""
    weight_decay: float = 0.0
    """On matrices, never on biases."""
    beta1: float | None = None
    """Adam and AdamW; None is the rule's own default, here and in the next four."""
    beta2: float | None = None
    """Adam and AdamW."""
    momentum: float | None = None
    """SGD."""
    alpha: float | None = None
    """RMSProp."""
    eps: float | None = None
    """Adam, AdamW and RMSProp."""
    label_smoothing: float = 0.0
    """Share of a word's target that is spread over all words; training losses are then told of
    such targets, and validation losses of the words alone."""
    scheduled_sampling: float = 0.0
    """Probability that a word in is the model's own: 0 in the first epoch, this in the last."""
    ema_decay: float = 0.0
    """Of the weights' exponential moving average, which is then what is scored and saved."""
    samples: int = 5
    """Self-critical: captions drawn for each caption's photo in a step."""
    baseline: str = "samples"
    """Self-critical: hold a caption's reward against the mean of the other samples, or greedy."""
    cross_entropy_weight: float = 0.0
    """Self-critical: share of the gradient that is cross-entropy's."""
    best_by: str = "CIDEr"
    """Score that chooses the best epoch: lower is better if its name ends in loss, else higher."""
    patience: int = 5
    """Epochs without a better score after which training stops."""
    save_every_steps: int = 0
    """Save in mid-epoch after so many steps."""
    save_every_seconds: float = 300.0
    """Save in mid-epoch after so many seconds."""
    seed: int = 0
    """Of everything random in the loop."""

    def __post_init__(self) -> None:
        """Hold every value to its type and range."""
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), str(field.type))
        for name in ("epochs", "batch_size"):
            _check(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in _AT_LEAST_ZERO:
            _check(name, getattr(self, name) >= 0, "at least 0", getattr(self, name))
        for name in ("label_smoothing", "cross_entropy_weight", "ema_decay"):
            value = getattr(self, name)
            _check(name, 0 <= value < 1, "at least 0 and below 1", value)
        value = self.scheduled_sampling
        _check("scheduled_sampling", 0 <= value <= 1, "at least 0 and at most 1", value)
        self._check_objective()
        _check("learning_rate", self.learning_rate > 0, "above 0", self.learning_rate)
        _check("decay", 0 < self.decay <= 1, "above 0 and at most 1", self.decay)
        _check("rule", self.rule in RULES, f"one of {', '.join(RULES)}", self.rule)
        wanted = f"one of {', '.join(SCHEDULES)}"
        _check("schedule", self.schedule in SCHEDULES, wanted, self.schedule)
        _check("best_by", self.best_by != "", "the name of a score", self.best_by)
        self.make_rule()

    def _check_objective(self) -> None:
        """Refuse options that the objective would not heed."""
        for name, known in (("objective", OBJECTIVES), ("baseline", BASELINES)):
            value = getattr(self, name)
            _check(name, value in known, f"one of {', '.join(known)}", value)
        if self.objective == "cross-entropy":
            if self.cross_entropy_weight:
                raise InputError(
                    "training: cross_entropy_weight mixes cross-entropy into self-critical "
                    "training; leave it out, or set objective to self-critical"
                )
            return
        least = 2 if self.baseline == "samples" else 1
        why = " to hold a sample against the others" if least > 1 else ""
        _check("samples", self.samples >= least, f"at least {least}{why}", self.samples)
        for name in ("label_smoothing", "scheduled_sampling"):
            if getattr(self, name) and not self.cross_entropy_weight:
                raise InputError(
                    f"training: {name} is of cross-entropy, and self-critical training has none "
                    "of it; leave it out, or give cross_entropy_weight"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Make one from keys and values, as a TOML table has them.

        Parameters
        ----------
        values : mapping
            Keys left out keep their defaults.

        Returns
        -------
        TrainingConfig

        Raises
        ------
        InputError
            If a key is unknown (the message names the nearest), or a value cannot be right.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0)[0]
                raise InputError(
                    f"training: no setting {key!r}; the nearest is {nearest!r}. "
                    f"There are {', '.join(known)}"
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return keys and values, for JSON; `from_dict` undoes it."""
        return dataclasses.asdict(self)

    def make_rule(self) -> Rule:
        """Make the update rule with its constants."""
        given = {name: getattr(self, name) for name in _RULE_CONSTANTS}
        return make_rule(self.rule, **{k: v for k, v in given.items() if v is not None})

    def is_better(self, score: float, than: float | None) -> bool:
        """Whether a score beats the best so far; one that is not finite never does.

        Parameters
        ----------
        score : float
        than : float or None
            The best so far, if there is one.

        Returns
        -------
        bool
        """
        if not math.isfinite(score):
            return False
        if than is None:
            return True
        return score < than if self.best_by.endswith("loss") else score > than

    def changed_course(self, saved: Mapping[str, Any]) -> list[str]:
        """Say what differs from a saved configuration in what decides the weights.

        When to save and how long to be patient may change in mid-run. So may the number of epochs,
        unless a schedule is stretched over all of them. Settings that the run was saved without
        had their defaults.

        Parameters
        ----------
        saved : mapping, from `to_dict`

        Returns
        -------
        list of str
            Such as ``"learning_rate was 0.001, is 0.002"``; empty if the run can go on.
        """
        free = {"save_every_steps", "save_every_seconds", "patience", "start"}
        if self.schedule not in _TAKES_TOTAL and not self.scheduled_sampling:
            free.add("epochs")
        now = self.to_dict()
        saved = {field.name: field.default for field in dataclasses.fields(self)} | dict(saved)
        return [
            f"{key} was {saved.get(key)!r}, is {now.get(key)!r}"
            for key in sorted({*now, *saved} - free)
            if key not in now or saved[key] != now[key]
        ]


_AT_LEAST_ZERO = (
    "warmup_steps",
    "clip_norm",
    "weight_decay",
    "patience",
    "save_every_steps",
    "save_every_seconds",
    "seed",
)


def _check_type(name: str, value: object, annotation: str) -> None:
    """Hold a value to its annotation: whole numbers pass for numbers, True for neither."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    finite = number and math.isfinite(value)  # type: ignore[arg-type]
    fits, wanted = {
        "int": (finite and isinstance(value, int), "a whole number"),
        "float": (finite, "a finite number"),
        "float | None": (finite or value is None, "a finite number"),
        "str": (isinstance(value, str), "a string"),
    }[annotation]
    _check(name, fits, wanted, value)


def _check(name: str, fits: bool, wanted: str, value: object) -> None:
    if not fits:
        raise InputError(f"training: {name} must be {wanted}, got {value!r}")
