"""A training configuration refuses what cannot be right, and says what would be."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled import optim
from unrolled.errors import InputError
from unrolled.training import TrainingConfig

KEYS = [field.name for field in dataclasses.fields(TrainingConfig)]


def test_round_trip_through_json():
    config = TrainingConfig(epochs=3, rule="sgd", momentum=0.8, clip_norm=0, best_by="val_loss")
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert TrainingConfig.from_dict({}) == TrainingConfig()


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("learning_rat", "learning_rate"),
        ("batchsize", "batch_size"),
        ("Epochs", "epochs"),
        ("warmup", "warmup_steps"),
    ],
)
def test_an_unknown_key_names_the_nearest(key, nearest):
    with pytest.raises(InputError, match=f"no setting {key!r}; the nearest is {nearest!r}"):
        TrainingConfig.from_dict({key: 1})


@given(st.text())
def test_any_unknown_key_is_an_error(key):
    if key not in KEYS:
        with pytest.raises(InputError, match="the nearest is"):
            TrainingConfig.from_dict({key: 1})


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("epochs", 0, "at least 1, got 0"),
        ("epochs", 2.0, "a whole number, got 2.0"),
        ("epochs", True, "a whole number, got True"),
        ("epochs", "3", "a whole number, got '3'"),
        ("batch_size", -1, "at least 1"),
        ("seed", -1, "at least 0"),
        ("seed", None, "a whole number"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", math.nan, "a finite number"),
        ("learning_rate", math.inf, "a finite number"),
        ("learning_rate", "1e-3", "a finite number, got '1e-3'"),
        ("clip_norm", -1.0, "at least 0"),
        ("decay", 1.5, "above 0 and at most 1"),
        ("rule", "adan", "one of adam, adamw, sgd, rmsprop, got 'adan'"),
        ("rule", 3, "a string"),
        ("schedule", "cosin", "one of constant, cosine"),
        ("best_by", "", "the name of a score"),
    ],
)
def test_values_that_cannot_be_right(key, value, wanted):
    with pytest.raises(InputError, match=f"training: {key} must be {wanted}"):
        TrainingConfig(**{key: value})


def test_the_rules_constants():
    assert TrainingConfig().make_rule() == optim.AdamW()
    assert TrainingConfig(rule="adam", beta1=0.5, eps=1e-6).make_rule() == optim.Adam(
        beta1=0.5, eps=1e-6
    )
    assert TrainingConfig(rule="rmsprop", alpha=0.9).make_rule() == optim.RMSProp(alpha=0.9)
    with pytest.raises(InputError, match="sgd has no constant 'beta1'; it has momentum"):
        TrainingConfig(rule="sgd", beta1=0.9)
    with pytest.raises(InputError, match=r"adamw: beta1 must be in \[0, 1\), got 1"):
        TrainingConfig(beta1=1)


def test_whole_numbers_pass_for_numbers():
    """TOML writes ``clip_norm = 5`` as readily as ``5.0``."""
    assert TrainingConfig(clip_norm=5, learning_rate=1) == TrainingConfig(
        clip_norm=5.0, learning_rate=1.0
    )
