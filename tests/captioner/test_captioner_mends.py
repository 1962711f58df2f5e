"""A model folder that a stranger wrote costs no memory and no traceback."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from unrolled import checkpoint
from unrolled.captioner import Captioner, Decoding
from unrolled.data import Vocabulary
from unrolled.errors import CheckpointError
from unrolled.jobs.run_folder import saved_config
from unrolled.model import CaptioningRNN

VOCABULARY = Vocabulary(("<NULL>", "<START>", "<END>", "<UNK>", "a", "dog"))


def save(path, *, card=None, params=None, training=False, **changed):
    """Write a captioner of four numbers a photo, its model's configuration changed."""
    model = CaptioningRNN(VOCABULARY.word_to_idx, 4, 5, 6, "lstm", seed=1)
    config = {
        "model": model.config | changed,
        "encoder": {"name": "made-up"},
        "decoding": dataclasses.asdict(Decoding()),
        "card": {} if card is None else card,
    }
    checkpoint.save(
        path,
        params=model.params if params is None else params,
        config=config,
        vocab=VOCABULARY.to_json(),
        optimizer={"m": np.zeros(1, np.float32)} if training else None,
        state={} if training else None,
    )


@pytest.mark.parametrize("name", ["input_dim", "wordvec_dim", "hidden_dim"])
@pytest.mark.parametrize("size", [30_000, 10**15])
def test_sizes_that_the_weights_have_not_are_refused_before_anything_is_allocated(
    tmp_path, name, size
):
    save(tmp_path / "odd", **{name: size})
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="the weights do not fit") as caught:
            Captioner.load(tmp_path / "odd")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert f"{size}" in str(caught.value)


def test_nor_do_empty_weights_let_sizes_through(tmp_path):
    params = {"W_proj": np.zeros((10**6, 0), np.float32), "Wh": np.zeros((10**6, 0), np.float32)}
    save(tmp_path / "odd", params=params, hidden_dim=10**6, input_dim=10**6)
    with pytest.raises(CheckpointError, match="the weights do not fit"):
        Captioner.load(tmp_path / "odd")


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "float16"},
        {"dtype": "longdouble"},
        {"dtype": ["float32"]},
        {"hidden_dim": True},
        {"hidden_dim": 0},
        {"hidden_dim": 6.0},
        {"wordvec_dim": None},
        {"cell_type": ["lstm"]},
        {"dropout": 1.0},
        {"forget_bias": "much"},
    ],
    ids=str,
)
def test_a_model_that_cannot_be_is_refused(tmp_path, changed):
    save(tmp_path / "odd", **changed)
    with pytest.raises(CheckpointError, match=r"odd: .* do not describe a captioner"):
        Captioner.load(tmp_path / "odd")


@pytest.mark.parametrize("card", ["x", "", 3, [], [["a", 1]]], ids=repr)
def test_a_card_that_is_no_object_is_refused(tmp_path, card):
    save(tmp_path / "odd", card=card)
    with pytest.raises(CheckpointError, match="card must be an object"):
        Captioner.load(tmp_path / "odd")


@pytest.mark.parametrize("card", ["x", {}, {"run": 3}, {"run": None}], ids=repr)
def test_a_card_that_does_not_say_the_run_is_refused_when_training_shall_go_on(tmp_path, card):
    save(tmp_path / "run" / "last", card=card, training=True)
    with pytest.raises(CheckpointError, match="does not say the run's settings"):
        saved_config(tmp_path / "run")
