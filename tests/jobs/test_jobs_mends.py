"""Jobs hold where a file is half written, damaged, missing or of another day."""

from pathlib import Path

import pytest
from training_runs import of_kind, run_until

from unrolled.captioner import Captioner
from unrolled.errors import CheckpointError, DataError, InputError
from unrolled.jobs.events import Note
from unrolled.jobs.run_folder import saved_config
from unrolled.jobs.train import train_run
from unrolled.training import EpochDone, Finished


def test_a_first_save_that_was_killed_is_no_run(config, tmp_path):
    run = tmp_path / "run"
    list(train_run(config(epochs=1), run))
    weights = (run / "last" / "model.safetensors").read_bytes()
    other = tmp_path / "other"
    (other / ".last.saving").mkdir(parents=True)
    (other / ".last.saving" / "model.safetensors").write_bytes(weights[:100])
    with pytest.raises(CheckpointError, match="no run to go on with; start one without"):
        saved_config(other)
    list(train_run(config(epochs=1), other))
    assert (other / "last" / "model.safetensors").read_bytes() == weights
    assert not (other / ".last.saving").exists()


def test_a_damaged_run_is_a_run_all_the_same(config, tmp_path):
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "last" / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match="holds a training run already"):
        list(train_run(config(epochs=1), tmp_path / "run"))


def test_a_broken_line_of_the_log_is_said_before_the_first_step(config, tmp_path):
    run_until(5, config(), tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_text("no record\n" + log.read_text())
    before = (tmp_path / "run" / "last" / "state.json").read_bytes()
    with pytest.raises(DataError, match=r"log\.jsonl: line 1: expected .*Remove the line"):
        next(train_run(config(), tmp_path / "run", resume=True))
    assert (tmp_path / "run" / "last" / "state.json").read_bytes() == before


def test_curves_that_cannot_be_drawn_are_a_note_and_cost_nothing(config, tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise RuntimeError("no font")

    monkeypatch.setattr("unrolled.plots.plot_run", fail)
    events = list(train_run(config(), tmp_path / "run"))
    assert [note.text for note in of_kind(Note, events)] == [
        "the curves were not drawn (no font); training goes on without them"
    ]
    assert events[-1] == Finished("completed", 3, 12)
    assert Captioner.load(tmp_path / "run" / "last").card["epoch"] == 3


def test_curves_are_drawn_of_each_epoch_once_after_it_is_saved(config, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "unrolled.plots.plot_run", lambda records, *_args, **_options: drawn.append(records)
    )
    # A kill after the second epoch was told and before it was saved.
    dropped = train_run(config(), tmp_path / "run")
    for event in dropped:
        if isinstance(event, EpochDone) and event.epoch == 2:
            break
    dropped.close()
    list(train_run(config(), tmp_path / "run", resume=True))
    epochs = [[each["epoch"] for each in records if each["event"] == "epoch"] for records in drawn]
    assert epochs == [[1], [1, 2], [1, 2, 3]]
    steps = [each["step"] for each in drawn[-1] if each["event"] == "step"]
    assert steps == list(range(1, 13))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_that_takes_no_more_lines_is_a_note(config, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "unrolled.jobs.run_log.open_log",
        lambda _path: open("/dev/full", "a", buffering=1),  # noqa: SIM115, PTH123
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").touch()
    events = list(train_run(config(), tmp_path / "run"))
    [note] = of_kind(Note, events)
    assert "log.jsonl: cannot be written (No space left on device)" in note.text
    assert events[-1] == Finished("completed", 3, 12)
