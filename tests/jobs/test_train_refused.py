"""What a training run refuses, before it begins or in its midst, and what it leaves then."""

import math
import os
import shutil
import sys

import pytest

import unrolled.jobs.scoring as module
from commands import files
from small_world import made_photos, write_flickr8k
from unrolled.captioner import Captioner
from unrolled.errors import CheckpointError, DataError, InputError, MissingExtraError
from unrolled.jobs.run_folder import saved_config
from unrolled.jobs.train import train_run
from unrolled.training import Saved


def test_a_run_is_not_overwritten(config, tmp_path):
    list(train_run(config(epochs=1), tmp_path / "run"))
    before = files(tmp_path / "run")
    with pytest.raises(InputError, match=r"run holds a training run already.*--resume"):
        list(train_run(config(epochs=1), tmp_path / "run"))
    assert files(tmp_path / "run") == before


@pytest.mark.parametrize("left", [".last.saving", ".last.replaced", "best"])
def test_nor_is_what_a_kill_left_of_one(config, tmp_path, left):
    list(train_run(config(epochs=1), tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "best")
    (tmp_path / "run" / "last").rename(tmp_path / "run" / left)
    with pytest.raises(InputError, match="holds a training run already"):
        list(train_run(config(epochs=1), tmp_path / "run"))


def test_two_trainings_in_one_folder_at_once_are_refused(config, tmp_path):
    out = tmp_path / "run"
    first = train_run(config(epochs=1), out)
    events = [next(first)]
    for resume in (False, True):
        with pytest.raises(InputError, match=rf"run: another training \(process {os.getpid()}\)"):
            list(train_run(config(epochs=1), out, resume=resume))
    events += first
    assert events[-1].reason == "completed"
    assert not (out / ".lock").exists()


def test_what_a_dead_training_left_locks_nobody_out(config, tmp_path):
    out = tmp_path / "run"
    dropped = train_run(config(epochs=1), out)
    next(event for event in dropped if isinstance(event, Saved))
    dropped.close()
    (out / ".lock").write_text("123456789\n")
    list(train_run(config(epochs=1), out, resume=True))
    assert not (out / ".lock").exists()


def test_other_files_in_the_folder_are_left_alone(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    list(train_run(config(epochs=1), tmp_path / "run"))
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_there_must_be_a_run_to_go_on_with(config, tmp_path):
    for _ in ("no folder", "an empty folder"):
        with pytest.raises(CheckpointError, match=r"run: there is no run to go on with"):
            list(train_run(config(), tmp_path / "run", resume=True))
        with pytest.raises(CheckpointError, match=r"run: there is no run to go on with"):
            saved_config(tmp_path / "run")
        (tmp_path / "run").mkdir(exist_ok=True)


def test_a_damaged_run_is_not_gone_on_with(config, tmp_path):
    list(train_run(config(epochs=1), tmp_path / "run"))
    state = tmp_path / "run" / "last" / "optimizer.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors: damaged"):
        list(train_run(config(), tmp_path / "run", resume=True))


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_without_words_is_refused(config, tmp_path, split):
    data = write_flickr8k(tmp_path / "f8k")
    names = {made.name for made in made_photos() if made.split == split}
    token = data / "Flickr8k.token.txt"
    lines = [
        line.partition("\t")[0] + "\t.\n" if line.partition("#")[0] in names else line
        for line in token.read_text().splitlines(keepends=True)
    ]
    token.write_text("".join(lines))
    with pytest.raises(InputError, match=f"no caption .* {split!r} has a word"):
        list(train_run(config(data={"path": str(data)}), tmp_path / "run"))


def test_a_split_without_photos_is_refused(config, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flickr_8k.devImages.txt").write_text("")
    with pytest.raises(InputError, match="no photos in split 'dev'"):
        list(train_run(config(data={"path": str(data)}), tmp_path / "run"))


def test_photos_that_are_not_there_are_refused_with_what_to_do(config, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flicker8k_Dataset").rename(tmp_path / "away")
    settings = config(data={"path": str(data), "features": None})
    with pytest.raises(InputError, match=r"11 photos are not there.*--photos.*--features"):
        list(train_run(settings, tmp_path / "run"))


@pytest.mark.parametrize("package", ["matplotlib.backends.backend_agg", "pycocoevalcap.bleu"])
def test_what_is_not_installed_is_missed_before_the_first_step(
    config, tmp_path, monkeypatch, package
):
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r'pip install "unrolled\[train\]"'):
        list(train_run(config(), tmp_path / "run"))
    assert not (tmp_path / "run" / "last").exists()


def test_a_score_to_choose_by_is_known_before_the_first_step(config, tmp_path):
    with pytest.raises(InputError, match=r"best_by must be one of val_loss, CIDEr, BLEU-4"):
        next(train_run(config(best_by="METEOR"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverges_says_so_and_keeps_what_was_saved(config, tmp_path):
    settings = config(learning_rate=1e30, rule="sgd", clip_norm=0)
    with pytest.raises(InputError, match=r"epoch 1, step 2: the loss is nan.*diverged"):
        list(train_run(settings, tmp_path / "run"))
    assert Captioner.load(tmp_path / "run" / "last").card["step"] == 0


def test_a_score_that_is_not_finite_does_not_stop_a_run(config, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "validation_loss", lambda *_arguments: math.inf)
    list(train_run(config(), tmp_path / "run"))
    card = Captioner.load(tmp_path / "run" / "best").card
    assert card["dev"]["scores"]["val_loss"] is None


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused_by_name(config, tmp_path, name):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=rf"{name}: the run's folder cannot be made"):
        list(train_run(config(), tmp_path / name))


def test_a_log_that_cannot_be_written_is_an_error_that_names_it(config, tmp_path):
    (tmp_path / "run" / "log.jsonl").mkdir(parents=True)
    with pytest.raises(DataError, match=r"log\.jsonl"):
        list(train_run(config(), tmp_path / "run"))
