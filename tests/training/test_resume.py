"""A run that is stopped, or killed, and goes on ends with the bytes of one that never was."""

import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_run import BATCHES_PER_EPOCH, SETTINGS, STEPS, all_bytes, go_on, make_model, start

from unrolled import checkpoint
from unrolled.errors import CheckpointError, InputError
from unrolled.training import EpochDone, Finished, StepDone, TrainingConfig, TrainingState


@pytest.fixture(autouse=True)
def quick_flush(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


class StopAfter:
    """What Ctrl-C does: become true once the loop has asked often enough."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self):
        self.left -= 1
        return self.left < 0


def told(events):
    """What a run tells, but for the clock."""
    return [
        dataclasses.replace(event, tokens_per_second=0) if isinstance(event, StepDone) else event
        for event in events
        if isinstance(event, (StepDone, EpochDone))
    ]


@settings(max_examples=20, deadline=None)
@given(
    stops=st.lists(st.integers(0, STEPS + 2), min_size=1, max_size=3),
    rule=st.sampled_from(["adam", "adamw", "sgd", "rmsprop"]),
    schedule=st.sampled_from(["constant", "cosine", "exponential"]),
    save_every_steps=st.integers(0, 3),
)
def test_stopped_and_gone_on_with(stops, rule, schedule, save_every_steps):
    config = TrainingConfig(
        **SETTINGS, rule=rule, schedule=schedule, warmup_steps=3, weight_decay=0.01
    )
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole", Path(folder) / "parts"
        expected = list(start(whole, config))
        config = dataclasses.replace(config, save_every_steps=save_every_steps)
        events = list(start(parts, config, stop=StopAfter(stops[0])))
        for steps in stops[1:]:
            events += go_on(parts, config, stop=StopAfter(steps))
        events += go_on(parts, config)
        assert told(events) == told(expected)
        assert events[-1] == expected[-1] == Finished("completed", 2, STEPS)
        left, right = all_bytes(whole), all_bytes(parts)
        # How often it is saved is in the state, and differs; all else must not.
        for files in (left, right):
            for name in ("last", "best"):
                del files[f"{name}/SHA256SUMS"]
                state = json.loads(files.pop(f"{name}/state.json"))
                del state["config"]["save_every_steps"]
                files[f"{name}/state"] = state
        assert left == right


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_every_step_at_which_it_may_be_stopped(tmp_path, steps):
    config = TrainingConfig(**SETTINGS)
    expected = list(start(tmp_path / "whole", config))
    first = list(start(tmp_path / "parts", config, stop=StopAfter(steps)))
    asked_at_epoch_ends = steps // (BATCHES_PER_EPOCH + 1)
    done = steps - asked_at_epoch_ends
    assert first[-1] == Finished("interrupted", min(steps // 5, 1), done)
    second = list(go_on(tmp_path / "parts", config))
    assert told(first + second) == told(expected)
    assert all_bytes(tmp_path / "whole") == all_bytes(tmp_path / "parts")


@pytest.mark.parametrize("steps", [0, 1, 4, 6])
@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing": 0.2},
        {"scheduled_sampling": 0.5},
        {"ema_decay": 0.9},
        {"label_smoothing": 0.1, "scheduled_sampling": 1.0, "ema_decay": 0.5},
    ],
    ids=str,
)
def test_every_option_goes_on_bit_for_bit(tmp_path, options, steps):
    config = TrainingConfig(**SETTINGS, **options)
    expected = list(start(tmp_path / "whole", config))
    first = list(start(tmp_path / "parts", config, stop=StopAfter(steps)))
    second = list(go_on(tmp_path / "parts", config))
    assert told(first + second) == told(expected)
    assert all_bytes(tmp_path / "whole") == all_bytes(tmp_path / "parts")


def test_the_tiny_run_can_tell_a_difference(tmp_path):
    """The tests above compare bytes that do depend on the step, the mask, and the state."""
    runs = {
        "plain": TrainingConfig(**SETTINGS),
        "seed": TrainingConfig(**SETTINGS, seed=1),
        "rule": TrainingConfig(**SETTINGS, beta2=0.9),
        "one more": TrainingConfig(**{**SETTINGS, "epochs": 3}),
        "smoothed": TrainingConfig(**SETTINGS, label_smoothing=0.2),
        "own words": TrainingConfig(**SETTINGS, scheduled_sampling=0.5),
        "average": TrainingConfig(**SETTINGS, ema_decay=0.9),
    }
    for name, config in runs.items():
        list(start(tmp_path / name, config))
    weights = {(tmp_path / name / "last" / "model.safetensors").read_bytes() for name in runs}
    assert len(weights) == len(runs)
    again = list(start(tmp_path / "again", runs["plain"]))
    assert all_bytes(tmp_path / "again") == all_bytes(tmp_path / "plain")
    assert len([event for event in again if isinstance(event, StepDone)]) == STEPS


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform has no kill -9")
def test_kill_minus_nine_in_mid_training(tmp_path):
    epochs = 6  # so that the end is far when the kill comes
    config = TrainingConfig(**{**SETTINGS, "epochs": epochs}, save_every_steps=1)
    list(start(tmp_path / "whole", config))
    command = [sys.executable, tiny_run.__file__, str(tmp_path / "killed"), str(epochs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == BATCHES_PER_EPOCH + 1:
                break
        process.kill()  # while it saves that step, or a little later
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.load(tmp_path / "killed" / "last", resume=True).state["epoch"] >= 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert all_bytes(tmp_path / "whole") == all_bytes(tmp_path / "killed")


def test_a_finished_run_that_goes_on_only_says_so(tmp_path):
    config = TrainingConfig(**SETTINGS)
    list(start(tmp_path, config))
    before = all_bytes(tmp_path)
    assert list(go_on(tmp_path, config)) == [Finished("completed", 2, STEPS)]
    assert all_bytes(tmp_path) == before


def test_more_epochs_go_on_as_if_they_had_been_asked_for_at_once(tmp_path):
    short = TrainingConfig(**SETTINGS, schedule="step", decay=0.5)
    long = dataclasses.replace(short, epochs=3)
    expected = list(start(tmp_path / "whole", long))
    events = [*start(tmp_path / "parts", short), *go_on(tmp_path / "parts", long)]
    assert told(events) == told(expected)
    weights = [tmp_path / run / "last" / "model.safetensors" for run in ("whole", "parts")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.5}, "learning_rate was 0.02, is 0.5"),
        ({"rule": "sgd"}, "rule was 'adamw', is 'sgd'"),
        ({"beta1": 0.5}, "beta1 was None, is 0.5"),
        ({"seed": 3, "clip_norm": 0}, "clip_norm was 5.0, is 0; seed was 0, is 3"),
        ({"epochs": 3}, "epochs was 2, is 3"),
        ({"ema_decay": 0.9}, "ema_decay was 0.0, is 0.9"),
        ({"label_smoothing": 0.1}, "label_smoothing was 0.0, is 0.1"),
    ],
)
def test_what_decides_the_weights_cannot_change_in_mid_run(tmp_path, changes, words):
    config = TrainingConfig(**SETTINGS)
    list(start(tmp_path, config, stop=StopAfter(2)))
    with pytest.raises(InputError, match=f"as if it had never stopped: {words}. Undo"):
        go_on(tmp_path, dataclasses.replace(config, **changes))
    free = {"patience": 9, "save_every_steps": 1, "save_every_seconds": 1.0}
    list(go_on(tmp_path, dataclasses.replace(config, **free)))


def test_epochs_decide_how_often_words_are_the_models_own():
    config = TrainingConfig(**SETTINGS, schedule="constant", scheduled_sampling=0.5)
    longer = dataclasses.replace(config, epochs=9)
    assert longer.changed_course(config.to_dict()) == ["epochs was 2, is 9"]


def test_a_run_saved_before_an_option_was_there_goes_on(tmp_path):
    config = TrainingConfig(**SETTINGS)
    list(start(tmp_path / "whole", config))
    list(start(tmp_path / "old", config, stop=StopAfter(3)))
    found = checkpoint.load(tmp_path / "old" / "last", resume=True)
    for name in ("objective", "start", "ema_decay", "label_smoothing", "samples"):
        del found.state["config"][name]
    del found.state["reward_sum"]
    state = TrainingState.from_dict(found.state, found.optimizer)
    state.check_resumable(config, BATCHES_PER_EPOCH)
    with pytest.raises(InputError, match=r"ema_decay was 0.0, is 0.5"):
        state.check_resumable(dataclasses.replace(config, ema_decay=0.5), BATCHES_PER_EPOCH)


def test_other_data_is_noticed(tmp_path, monkeypatch):
    config = TrainingConfig(**SETTINGS)
    list(start(tmp_path, config, stop=StopAfter(2)))
    make_batches = tiny_run.make_batches

    def fewer():
        batches = make_batches()
        batches.batch_size = 5
        return batches

    monkeypatch.setattr(tiny_run, "make_batches", fewer)
    with pytest.raises(InputError, match="batches in an epoch were 4, are 3"):
        go_on(tmp_path, config)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda a: a.pop("trained.Wx"), r"trained\.Wx is missing\. Put back"),
        (
            lambda a: a.update({"trained.b": np.zeros(3, np.float32)}),
            r"trained\.b must be .*\(3,\)",
        ),
        (lambda a: a.update({"trained.Wh": a["trained.Wh"].astype(float)}), "got float64"),
        (lambda a: a.update({"trained.W9": np.zeros(3)}), r"trained\.W9 is left over"),
        (lambda a: a.pop("adamw.m.Wx"), r"adamw\.m\.Wx is missing"),
    ],
)
def test_arrays_that_are_not_the_models(tmp_path, damage, words):
    config = TrainingConfig(**SETTINGS, ema_decay=0.9)
    list(start(tmp_path, config, stop=StopAfter(2)))
    found = checkpoint.load(tmp_path / "last", resume=True)
    damage(found.optimizer)
    checkpoint.save(tmp_path / "last", **found._asdict())
    with pytest.raises(CheckpointError, match=rf"optimizer\.safetensors does not fit.*{words}"):
        go_on(tmp_path, config)


def make_state():
    model = make_model()
    return TrainingState.fresh(model.params, TrainingConfig(**SETTINGS), BATCHES_PER_EPOCH)


@settings(deadline=None)
@given(
    loss_sum=st.floats(allow_nan=False, allow_infinity=False),
    best_score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    epoch=st.integers(0, 10**9),
    batch=st.integers(0, BATCHES_PER_EPOCH),
)
def test_the_state_survives_json_bit_for_bit(loss_sum, best_score, epoch, batch):
    state = dataclasses.replace(
        make_state(), loss_sum=loss_sum, best_score=best_score, epoch=epoch, batch=batch
    )
    read = json.loads(json.dumps(state.to_dict(), allow_nan=False))
    again = TrainingState.from_dict(read, state.optimizer)
    assert again == state
    assert np.float64(again.loss_sum).tobytes() == np.float64(loss_sum).tobytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": -1}, "epoch must be a whole number, got -1"),
        ({"epoch": 1.0}, "epoch must be a whole number, got 1.0"),
        ({"epoch": True}, "epoch must be a whole number, got True"),
        ({"loss_sum": "3"}, "loss_sum must be a number with a decimal point, got '3'"),
        ({"best_score": 1}, "best_score must be a number with a decimal point or null, got 1"),
        ({"config": []}, r"config must be an object, got \[\]"),
        ({"step": 3}, "epoch 0, batch 0 of 4 and step 3 do not fit together"),
        ({"batch": 5, "step": 5}, "epoch 0, batch 5 of 4 and step 5 do not fit together"),
        ({"extra": 1}, r"left over \['extra'\]"),
    ],
)
def test_a_state_that_cannot_be_right(changes, words):
    values = make_state().to_dict()
    with pytest.raises(CheckpointError, match=words):
        TrainingState.from_dict(values | changes, {})
    with pytest.raises(CheckpointError, match="weights being trained beside an average if, and"):
        TrainingState.from_dict(values | {"config": {"ema_decay": 0.5}}, {})
    with pytest.raises(CheckpointError, match="weights being trained beside an average if, and"):
        TrainingState.from_dict(values, {"trained.b": np.zeros(1)})
    del values["best_score"]
    with pytest.raises(CheckpointError, match=r"missing \['best_score'\], left over nothing"):
        TrainingState.from_dict(values, {})
