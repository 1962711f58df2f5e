"""A training run tells what happens and leaves a captioner whose card says how it was made."""

import json
from pathlib import Path

import numpy as np
import pytest
from training_runs import KEPT, of_kind, run_until

import unrolled.jobs.scoring as module
from commands import files
from small_world import ENCODER, made_photos, read_events, write_flickr8k, write_folder
from unrolled.captioner import Captioner, Decoding
from unrolled.data import FeatureStore, tokenize
from unrolled.jobs.config import RunConfig
from unrolled.jobs.data import TrainingData, prepare
from unrolled.jobs.events import Note
from unrolled.jobs.run_folder import saved_config
from unrolled.jobs.scoring import validation_loss
from unrolled.jobs.train import Started, train_run
from unrolled.metrics import score
from unrolled.training import EpochDone, Finished, Saved, StepDone


def test_a_run_tells_what_happens_and_leaves_a_captioner(config, tmp_path):
    events = list(train_run(config(), tmp_path / "run", command="unrolled train"))
    started = of_kind(Started, events)
    best = Captioner.load(tmp_path / "run" / "best")
    size = sum(value.size for value in best.model.params.values())
    assert started == [Started(3, 4, 0, size, len(best.vocabulary), "float32")]
    assert [event.step for event in of_kind(StepDone, events)] == list(range(1, 13))
    assert [event.epoch for event in of_kind(EpochDone, events)] == [1, 2, 3]
    assert events[-1] == Finished("completed", 3, 12)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"best", "last", "log.jsonl"}
    assert best.encoder == ENCODER
    assert best.decoding == Decoding()
    assert set(best.vocabulary.words[4:]) == {
        word for made in made_photos()[:8] for text in made.captions for word in tokenize(text)
    }
    said = [[tokenize(text) for text in made.captions] for made in made_photos()[:8]]
    assert best.vocabulary == best.vocabulary.weigh(said), "it knows how rare its words are"


def test_the_log_holds_every_event_in_its_order(config, tmp_path):
    events = list(train_run(config(), tmp_path / "run"))
    logged = read_events(tmp_path / "run")
    told = of_kind((Started, StepDone, EpochDone, Saved, Finished), events)
    names = {
        Started: "started",
        StepDone: "step",
        EpochDone: "epoch",
        Saved: "saved",
        Finished: "finished",
    }
    assert [each["event"] for each in logged] == [names[type(event)] for event in told]
    for record, event in zip(logged, told, strict=True):
        assert record["step"] == event.step
        if isinstance(event, EpochDone):
            assert record["scores"] == event.scores
            assert set(event.scores) == {"val_loss", "CIDEr", "BLEU-4"}


def test_two_runs_of_a_seed_are_one_and_another_seed_is_another(config, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        list(train_run(config(seed=seed), tmp_path / name))
    a, b, c = (files(tmp_path / name / "last") for name in "abc")
    assert all(a[name] == b[name] for name in KEPT)
    assert a["model.safetensors"] != c["model.safetensors"]


def test_the_best_is_the_epoch_with_the_highest_cider(config, tmp_path):
    weights = {}
    for event in train_run(config(epochs=6, patience=0), tmp_path / "run"):
        if isinstance(event, Saved):
            folder = tmp_path / "run" / event.kind
            weights[event.kind, event.epoch] = (folder / "model.safetensors").read_bytes()
    epochs = [each for each in read_events(tmp_path / "run") if each["event"] == "epoch"]
    scores = [each["scores"]["CIDEr"] for each in epochs]
    chosen = scores.index(max(scores)) + 1
    assert len(set(scores)) > 1, "a test that cannot fail is none"
    assert [each["is_best"] for each in epochs] == [
        value > max(scores[:i], default=-1) for i, value in enumerate(scores)
    ]
    best = tmp_path / "run" / "best" / "model.safetensors"
    assert best.read_bytes() == weights["last", chosen] == weights["best", chosen]
    assert Captioner.load(tmp_path / "run" / "best").card["epoch"] == chosen


def test_the_best_may_be_chosen_by_loss(config, tmp_path):
    list(train_run(config(best_by="val_loss"), tmp_path / "run"))
    epochs = [each for each in read_events(tmp_path / "run") if each["event"] == "epoch"]
    losses = [each["scores"]["val_loss"] for each in epochs]
    card = Captioner.load(tmp_path / "run" / "best").card
    assert card["epoch"] == losses.index(min(losses)) + 1


def test_training_stops_when_the_score_no_longer_rises(config, tmp_path, monkeypatch):
    ciders = iter([0.1, 0.3, 0.2, 0.3, 0.9])
    monkeypatch.setattr(
        module.ScoredRun,
        "score",
        lambda self: {"CIDEr": next(ciders), "val_loss": 1.0, "BLEU-4": 0.0},
    )
    events = list(train_run(config(epochs=9, patience=2), tmp_path / "run"))
    assert events[-1] == Finished("early_stop", 4, 16)
    assert Captioner.load(tmp_path / "run" / "best").card["epoch"] == 2
    assert Captioner.load(tmp_path / "run" / "last").card["epoch"] == 4


def test_scores_are_of_the_greedy_captions_of_dev(config, store, tmp_path):
    list(train_run(config(decoding={"width": 4}), tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    features = FeatureStore.open(store)
    dev = [made for made in made_photos() if made.split == "dev"]
    rows = np.array(features.pooled[features.rows(made.name for made in dev)])
    captions = captioner.caption_features(rows, decoding=Decoding(width=1))
    texts = {made.name: caption.text for made, caption in zip(dev, captions, strict=True)}
    scores = score(texts, {made.name: made.captions for made in dev}).corpus
    said = captioner.card["dev"]
    assert said["decoding"]["width"] == 1
    assert said["scores"]["CIDEr"] == pytest.approx(scores["CIDEr"], abs=1e-12)
    assert said["scores"]["BLEU-4"] == pytest.approx(scores["BLEU-4"], abs=1e-12)
    assert captioner.decoding.width == 4


def test_validation_loss_is_in_nats_per_token(config, tmp_path, monkeypatch):
    list(train_run(config(model={"dropout": 0.5}), tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    *_, data = prepare(config().data, tmp_path, captioner.vocabulary)
    nats = tokens = 0
    for photo, row in zip(data.dev.references, data.dev.photo_rows, strict=True):
        for text in data.dev.references[photo]:
            ids = np.array([captioner.vocabulary.encode(tokenize(text))], np.int32)
            nats += float(captioner.model.loss(data.dev.features[row][None], ids).loss)
            tokens += ids.shape[1] - 1
    expected = nats / tokens
    assert captioner.card["dev"]["scores"]["val_loss"] == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(module, "SCORING_BATCH", 4)
    assert validation_loss(captioner.model, data.dev) == pytest.approx(expected, rel=1e-5)


def test_the_card_says_how_the_model_came_to_be(config, tmp_path):
    settings = config(decoding={"width": 2})
    list(train_run(settings, tmp_path / "run", command="unrolled train --data 'my photos'"))
    card = Captioner.load(tmp_path / "run" / "last").card
    assert card["command"] == "unrolled train --data 'my photos'"
    digests = card["data"].pop("sha256")
    assert {name: len(digest) for name, digest in digests.items()} == {"train": 64, "dev": 64}
    assert card["data"] == {
        "path": "flickr8k",
        "photos": {"train": 8, "dev": 3},
        "captions": {"train": 16, "dev": 6},
        "words": 15,
    }
    assert RunConfig.from_sections(card["run"], "card") == settings
    assert RunConfig.from_sections(saved_config(tmp_path / "run"), "card") == settings
    assert set(card["made with"]) == {"unrolled", "numpy", "python"}
    assert (card["epoch"], card["step"]) == (3, 12)


def test_a_run_that_was_stopped_in_mid_epoch_has_no_scores_in_its_card(config, tmp_path):
    run_until(6, config(), tmp_path / "run")
    card = Captioner.load(tmp_path / "run" / "last").card
    assert (card["epoch"], card["step"]) == (1, 6)
    assert "dev" not in card
    assert "dev" in Captioner.load(tmp_path / "run" / "best").card


def test_notes_on_the_data_are_told(config, tmp_path, flickr8k, store):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flicker8k_Dataset" / "00_red.jpg").unlink()
    events = list(train_run(config(data={"path": str(data)}, epochs=1), tmp_path / "run"))
    notes = [event.text for event in of_kind(Note, events)]
    assert any("2 captions of 1 photo left out" in note for note in notes), notes


def test_features_are_made_where_none_are_given_and_kept(tmp_path, config, cache_of_encoders):
    data = write_folder(tmp_path / "album")
    settings = config(data={"path": str(data), "features": None}, epochs=1)
    list(train_run(settings, tmp_path / "run"))
    store = FeatureStore.open(tmp_path / "run" / "features.safetensors")
    assert store.encoder["name"] == "lite0"
    before = (tmp_path / "run" / "features.safetensors").stat().st_mtime_ns
    list(train_run(settings, tmp_path / "run", resume=True))
    assert (tmp_path / "run" / "features.safetensors").stat().st_mtime_ns == before
    captioner = Captioner.load(tmp_path / "run" / "best")
    assert len(list(captioner.caption_photos(sorted(data.glob("*.jpg"))[:2]))) == 2


def test_the_assignments_own_data_train(tmp_path, config):
    h5py = pytest.importorskip("h5py", reason='h5py comes with the extra "train"')
    words = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "runs", "cat"]
    vocabulary = {"idx_to_word": words, "word_to_idx": {word: i for i, word in enumerate(words)}}
    captions = np.array([[1, 4, 5, 6, 2, 0], [1, 4, 3, 2, 0, 0], [1, 4, 7, 6, 2, 0]], np.int32)
    data = tmp_path / "coco"
    data.mkdir()
    (data / "coco2014_vocab.json").write_text(json.dumps(vocabulary))
    with h5py.File(data / "coco2014_captions.h5", "w") as file:
        for split in ("train", "val"):
            file[f"{split}_captions"] = captions
            file[f"{split}_image_idxs"] = np.array([1, 0, 1], np.int32)
    for split in ("train", "val"):
        for name in (f"{split}2014_vgg16_fc7.h5", f"{split}2014_vgg16_fc7_pca.h5"):
            with h5py.File(data / name, "w") as file:
                file["features"] = np.eye(2, 5, dtype=np.float32)
    settings = config(data={"path": str(data), "features": None}, batch_size=2, epochs=2)
    list(train_run(settings, tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    assert captioner.vocabulary.words == tuple(words)
    assert captioner.encoder["name"].startswith("coco2014_vgg16")
    [caption] = captioner.caption_features(np.eye(1, 5, dtype=np.float32))
    assert set(caption.text.split()) <= set(words[4:])


def test_preparing_gives_arrays_that_belong_together(config, store, tmp_path):
    [data] = prepare(config().data, tmp_path)
    assert isinstance(data, TrainingData)
    features = FeatureStore.open(store)
    for split, name in ((data.train, "train"), (data.dev, "dev")):
        wanted = [made for made in made_photos() if made.split == name]
        assert list(split.references) == [made.name for made in wanted]
        assert [features.names[row] for row in split.photo_rows] == list(split.references)
        spoken = [
            (features.names[row], data.vocabulary.decode(ids[1:]))
            for row, ids in zip(split.caption_rows, split.captions, strict=True)
        ]
        assert spoken == [
            (made.name, " ".join(tokenize(text))) for made in wanted for text in made.captions
        ]
        assert split.lengths.tolist() == [
            len(tokenize(text)) + 2 for made in wanted for text in made.captions
        ]
    assert Path(config().data.path).name == "flickr8k"
