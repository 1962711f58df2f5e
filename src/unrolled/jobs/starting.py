"""A run that begins with the weights of a captioner, not with new ones."""

from __future__ import annotations

import dataclasses
from typing import Any

from unrolled.captioner import Captioner
from unrolled.errors import InputError
from unrolled.jobs.config import ModelConfig, RunConfig
from unrolled.jobs.data import TrainingData
from unrolled.model import CaptioningRNN

_MAY_CHANGE = ("dropout", "feature_dropout", "attention_penalty", "precision", "forget_bias")
"""Settings of a model that do not say what its weights are."""


def model_section(start: Captioner) -> dict[str, Any]:
    """Say how a captioner's model was configured, for a run that begins with it.

    Parameters
    ----------
    start : Captioner

    Returns
    -------
    dict
        As the section ``[model]`` of a TOML file, but for the precision: that is for the machine
        at hand.
    """
    names = {field.name for field in dataclasses.fields(ModelConfig)} - {"precision"}
    return {name: value for name, value in start.model.config.items() if name in names}


def load_start(config: RunConfig) -> Captioner:
    """Load the captioner to begin with, and hold the run's model to it.

    Parameters
    ----------
    config : RunConfig

    Returns
    -------
    Captioner

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    InputError
        If its model is of another make than the run's, or does not standardise where the run shall.
    """
    start = Captioner.load(config.training.start)
    if config.data.standardise and start.model.scaling is None:
        raise InputError(
            f"the run cannot begin with {config.training.start}: its weights are for features as "
            "they are; leave out standardise, or begin with another captioner"
        )
    theirs = ModelConfig(**model_section(start))
    changes = [
        f"{field.name} is {getattr(theirs, field.name)!r} there and "
        f"{getattr(config.model, field.name)!r} here"
        for field in dataclasses.fields(ModelConfig)
        if field.name not in _MAY_CHANGE
        and getattr(theirs, field.name) != getattr(config.model, field.name)
    ]
    if changes:
        raise InputError(
            f"the run cannot begin with {config.training.start}: {'; '.join(changes)}. "
            "Leave these out of [model], or begin with another captioner"
        )
    return start


def begin_with(model: CaptioningRNN, start: Captioner, data: TrainingData, path: str) -> None:
    """Give a new model the weights of a captioner that was trained on features like these.

    Parameters
    ----------
    model : CaptioningRNN
        Its parameters are replaced, and what it standardises features by.
    start : Captioner
    data : TrainingData
    path : str
        Where the captioner lies, for messages.

    Raises
    ------
    InputError
        If the run's features or words are others.
    """
    if dict(start.encoder) != dict(data.encoder):
        raise InputError(
            f"the run cannot begin with {path}: its features were made by {dict(start.encoder)}, "
            f"these by {dict(data.encoder)}"
        )
    if start.vocabulary.words != data.vocabulary.words:
        raise InputError(f"the run cannot begin with {path}: the data bring another vocabulary")
    model.scaling = start.model.scaling
    model.params = {name: value.astype(model.dtype) for name, value in start.model.params.items()}
