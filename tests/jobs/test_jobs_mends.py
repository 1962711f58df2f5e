"""Jobs hold where a file is half written, damaged, missing or of another day."""

import json
from pathlib import Path

import numpy as np
import pytest
from training_runs import assert_same_run, of_kind, run_until

from small_world import made_photos, write_flickr8k, write_folder, write_store
from unrolled.captioner import Captioner
from unrolled.data import FeatureStore, FeatureWriter
from unrolled.errors import CheckpointError, DataError, FeatureStoreError, InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.evaluate import Evaluation, evaluate
from unrolled.jobs.events import Note
from unrolled.jobs.features import FeatureProgress
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


def test_a_damaged_feature_store_is_noticed(config, flickr8k, run_folder, tmp_path):
    store = write_store(tmp_path / "f.st")
    content = bytearray(store.read_bytes())
    content[-1] ^= 1
    store.write_bytes(content)
    with pytest.raises(FeatureStoreError, match=r"f\.st: the file is damaged"):
        list(train_run(config(data={"features": str(store)}), tmp_path / "run"))
    data = DataConfig(path=str(flickr8k), features=str(store))
    with pytest.raises(FeatureStoreError, match=r"f\.st: the file is damaged"):
        list(evaluate(Captioner.load(run_folder / "best"), data, "dev"))


def store_without(path, *left_out):
    """A store of the small world but for some of its photos."""
    whole = FeatureStore.open(write_store(path.with_name("whole.st")))
    names = [name for name in whole.names if name not in left_out]
    with FeatureWriter(path, names, whole.encoder, dim=whole.dim) as writer:
        for name in names:
            writer.add(name, whole.pooled[whole.index(name)])
    return path


def test_photos_that_a_store_lacks_are_left_out_of_a_training(config, tmp_path):
    store = store_without(tmp_path / "f.st", "00_red.jpg", "01_green.jpg", "09_red.jpg")
    settings = config(data={"features": str(store)}, epochs=1)
    events = list(train_run(settings, tmp_path / "run"))
    notes = [note.text for note in of_kind(Note, events)]
    assert [note.split(" are left out")[0] for note in notes] == [
        "2 of 8 photos of train",
        "1 of 3 photos of dev",
    ]
    card = Captioner.load(tmp_path / "run" / "last").card
    assert card["data"]["photos"] == {"train": 6, "dev": 2}


def test_a_store_without_any_photo_of_a_split_is_refused(config, tmp_path):
    dev = [made.name for made in made_photos() if made.split == "dev"]
    store = store_without(tmp_path / "f.st", *dev)
    with pytest.raises(FeatureStoreError, match="no features of 3 of 3 photos"):
        list(train_run(config(data={"features": str(store)}), tmp_path / "run"))


def test_a_photo_that_cannot_be_read_is_left_out_also_when_the_run_goes_on(
    config, tmp_path, cache_of_encoders
):
    album = write_folder(tmp_path / "album")
    (album / "03_red.jpg").write_bytes(b"cut off")
    settings = config(data={"path": str(album), "features": None}, epochs=1)
    for resume in (False, True):
        events = list(train_run(settings, tmp_path / "run", resume=resume))
        bad = [str(each.bad) for each in of_kind(FeatureProgress, events) if each.bad]
        assert len(bad) == 1
        assert "03_red.jpg" in bad[0]
        assert any("1 of " in note.text for note in of_kind(Note, events))
    assert len(of_kind(FeatureProgress, events)) == 1, "no photo is encoded twice"
    captioner = Captioner.load(tmp_path / "run" / "best")
    split = next(
        name
        for name in ("train", "dev", "test")
        if any(photo == "03_red.jpg" for photo in names_of(album, name))
    )
    *_, result = evaluate(captioner, DataConfig(path=str(album)), split)
    assert isinstance(result, Evaluation)
    assert "03_red.jpg" not in result.captions


def names_of(album, split):
    from unrolled.data import read_captions

    return [photo.name for photo in read_captions(album).split(split)]


def test_changed_captions_are_noticed_when_a_run_goes_on(config, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    settings = config(data={"path": str(data)})
    run_until(6, settings, tmp_path / "run")
    token = data / "Flickr8k.token.txt"
    plain = token.read_text()
    token.write_text(plain.replace("A red circle on", "A blue circle on", 1))
    with pytest.raises(InputError, match="captions or photos of train have changed"):
        list(train_run(settings, tmp_path / "run", resume=True))
    token.write_text(plain)
    names = [made.name for made in made_photos()]
    whole = FeatureStore.open(write_store(tmp_path / "whole.st"))
    with FeatureWriter(tmp_path / "f.st", names[::-1], whole.encoder, dim=whole.dim) as writer:
        for name in names[::-1]:
            writer.add(name, whole.pooled[whole.index(name)])
    turned = config(data={"path": str(data), "features": str(tmp_path / "f.st")})
    list(train_run(turned, tmp_path / "run", resume=True))
    list(train_run(settings, tmp_path / "at once"))
    assert_same_run(tmp_path / "run", tmp_path / "at once")


@pytest.fixture
def assignment(tmp_path):
    """The assignment's data in the small: two photos a split, five numbers each."""
    h5py = pytest.importorskip("h5py", reason='h5py comes with the extra "train"')
    words = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "runs", "cat"]
    captions = np.array([[1, 4, 5, 6, 2, 0], [1, 4, 3, 2, 0, 0], [1, 4, 7, 6, 2, 0]], np.int32)
    data = tmp_path / "coco"
    data.mkdir()
    vocabulary = {"idx_to_word": words, "word_to_idx": {word: i for i, word in enumerate(words)}}
    (data / "coco2014_vocab.json").write_text(json.dumps(vocabulary))
    with h5py.File(data / "coco2014_captions.h5", "w") as file:
        for split in ("train", "val"):
            file[f"{split}_captions"] = captions
            file[f"{split}_image_idxs"] = np.array([1, 0, 1], np.int32)
    for split in ("train", "val"):
        with h5py.File(data / f"{split}2014_vgg16_fc7_pca.h5", "w") as file:
            file["features"] = np.eye(2, 5, dtype=np.float32)
    return data


def test_a_captioner_of_the_assignments_data_is_scored_on_them(
    assignment, config, run_folder, tmp_path
):
    given = {"path": str(assignment), "features": "not used", "min_count": 2}
    settings = config(data=given, batch_size=2, epochs=2)
    events = list(train_run(settings, tmp_path / "run"))
    assert any("features, min_count not used" in note.text for note in of_kind(Note, events))
    captioner = Captioner.load(tmp_path / "run" / "best")
    [result] = evaluate(captioner, DataConfig(path=str(assignment)), "val")
    captions = captioner.caption_features(np.eye(2, 5, dtype=np.float32))
    assert list(result.captions.values()) == captions
    assert list(result.captions) == ["val2014/000000", "val2014/000001"]
    with pytest.raises(InputError, match="made by coco2014_vgg16_fc7_pca, and the captioner"):
        list(evaluate(Captioner.load(run_folder / "best"), DataConfig(path=str(assignment)), "dev"))


def test_what_scoring_needs_is_missed_before_the_captions_are_read(run_folder, monkeypatch):
    captioner = Captioner.load(run_folder / "best")
    with pytest.raises(InputError, match="no metric 'CIDER'"):
        list(evaluate(captioner, DataConfig(path="gone"), "dev", metrics=["CIDER"]))
    with pytest.raises(InputError, match="no tokenizer 'moses'"):
        list(evaluate(captioner, DataConfig(path="gone"), "dev", tokenizer="moses"))
