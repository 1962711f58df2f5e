"""A run that begins with a captioner and is rewarded: what it learns, and what it refuses."""

import numpy as np
import pytest
from training_runs import assert_same_run, of_kind, run_until

from small_world import read_events, write_store
from unrolled.captioner import Captioner
from unrolled.data import Vocabulary, tokenize
from unrolled.data.vocabulary import SPECIALS
from unrolled.errors import CheckpointError, InputError
from unrolled.jobs.data import prepare
from unrolled.jobs.rewards import CiderReward
from unrolled.jobs.starting import load_start
from unrolled.jobs.train import train_run
from unrolled.model import CaptioningRNN
from unrolled.training import EpochDone

REWARDED = {"objective": "self-critical", "learning_rate": 0.01, "schedule": "constant"}


@pytest.fixture
def taught(config, tmp_path):
    """A captioner that people's captions have taught something."""
    list(train_run(config(epochs=6, patience=0), tmp_path / "taught"))
    return str(tmp_path / "taught" / "last")


def test_the_reward_rises_from_where_the_captioner_stood(config, taught, tmp_path):
    settings = config(**REWARDED, start=taught, epochs=12, patience=0)
    events = list(train_run(settings, tmp_path / "run"))
    rewards = [event.train_reward for event in of_kind(EpochDone, events)]
    assert rewards[-1] > 1.3 * rewards[0]
    steps = [each for each in read_events(tmp_path / "run") if each["event"] == "step"]
    assert all(0 <= step["reward"] <= 10 for step in steps)
    before, after = Captioner.load(taught), Captioner.load(tmp_path / "run" / "last")
    assert after.vocabulary == before.vocabulary
    assert after.card["run"]["training"]["start"] == taught


def test_it_begins_with_the_captioners_very_weights(config, taught, tmp_path):
    run_until(0, config(**REWARDED, start=taught), tmp_path / "run")
    before, after = (Captioner.load(path).model.params for path in (taught, tmp_path / "run/last"))
    assert all((before[name] == after[name]).all() for name in before)


def test_it_goes_on_bit_for_bit_even_where_the_first_captioner_is_gone(config, taught, tmp_path):
    settings = config(**REWARDED, start=taught, cross_entropy_weight=0.1)
    list(train_run(settings, tmp_path / "whole"))
    run_until(6, settings, tmp_path / "run")
    moved = config(**REWARDED, start=str(tmp_path / "gone"), cross_entropy_weight=0.1)
    list(train_run(moved, tmp_path / "run", resume=True))
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_rewards_are_of_the_captions_own_photos(config, tmp_path):
    [data] = prepare(config().data, tmp_path)
    reward = CiderReward(data.train, data.vocabulary)
    captions = np.where(data.train.captions == data.vocabulary.null, -1, data.train.captions)
    own = reward(np.arange(len(captions)), captions[:, None, 1:])[:, 0]
    others = reward(np.roll(np.arange(len(captions)), 2), captions[:, None, 1:])[:, 0]
    assert own.min() > 4  # half of a photo's two references is the caption itself
    assert others.max() < own.min()
    texts = [text for texts in data.train.references.values() for text in texts]
    assert len(texts) == len(captions)
    assert len(tokenize(texts[0])) + 2 == data.train.lengths[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"hidden_dim": 9}}, "hidden_dim is 8 there and 9 here. Leave these out"),
        ({"model": {"cell_type": "rnn"}}, "cell_type is 'lstm' there and 'rnn' here"),
    ],
)
def test_a_captioner_of_another_make_is_refused(config, taught, tmp_path, changes, words):
    with pytest.raises(InputError, match=f"the run cannot begin with .*: {words}"):
        list(train_run(config(start=taught, **changes), tmp_path / "run"))
    drops = config(start=taught, model={"dropout": 0.1, "feature_dropout": 0.1}, epochs=1)
    list(train_run(drops, tmp_path / "run"))


def test_features_are_standardised_as_they_were(config, taught, tmp_path):
    standardised = config(epochs=1, data={"standardise": True})
    with pytest.raises(InputError, match="for features as they are; leave out standardise"):
        list(train_run(config(start=taught, data={"standardise": True}), tmp_path / "run"))
    list(train_run(standardised, tmp_path / "other"))
    start = str(tmp_path / "other" / "last")
    for name, data in (("said", {"standardise": True}), ("unsaid", {})):
        run_until(0, config(start=start, data=data), tmp_path / name)
        ours, theirs = (Captioner.load(p).model.scaling for p in (tmp_path / name / "last", start))
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_phase_may_penalise_attention_otherwise(config, tmp_path):
    words = Vocabulary(SPECIALS)
    first = CaptioningRNN(words.word_to_idx, 3, 8, 8, "attention", attention_penalty=1.0)
    Captioner(first, words, {"name": "made-up"}).save(tmp_path / "first")
    model = {"cell_type": "attention", "dropout": 0.0, "attention_penalty": 0.0}
    start = load_start(config(start=str(tmp_path / "first"), model=model))
    assert start.model.attention_penalty == 1.0


def test_features_of_another_encoder_are_refused(config, taught, tmp_path):
    other = write_store(tmp_path / "other.safetensors", {"name": "other"})
    settings = config(start=taught, data={"features": str(other)})
    with pytest.raises(InputError, match=r"features were made by .*made-up.*, these by .*other"):
        list(train_run(settings, tmp_path / "run"))


def test_no_captioner_to_begin_with(config, tmp_path):
    with pytest.raises(CheckpointError, match="nothing"):
        list(train_run(config(start=str(tmp_path / "nothing")), tmp_path / "run"))


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"objective": "reinforce"}, "objective must be one of cross-entropy, self-critical"),
        ({"baseline": "mean", **REWARDED}, "baseline must be one of samples, greedy, got 'mean'"),
        ({"samples": 1, **REWARDED}, "samples must be at least 2 to hold a sample against"),
        ({"samples": 0, "baseline": "greedy", **REWARDED}, "samples must be at least 1, got 0"),
        ({"cross_entropy_weight": 1.0, **REWARDED}, "cross_entropy_weight must be at least 0 and"),
        ({"cross_entropy_weight": 0.5}, "mixes cross-entropy into self-critical training"),
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1, got 1.0"),
        ({"label_smoothing": 0.1, **REWARDED}, "self-critical training has none of it"),
    ],
)
def test_settings_that_do_not_go_together(config, training, words):
    with pytest.raises(InputError, match=f"training: .*{words}"):
        config(**training)
