"""``unrolled info`` and ``unrolled export``: what a folder holds, and one to give away."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from small_world import FLAGS, made_photos
from unrolled.captioner import Captioner
from unrolled.data import FeatureStore


@pytest.fixture
def damaged(captioner_folder, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(captioner_folder, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[500] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def cards_but_for_places(captioner):
    """A card without where the data lay, which an export keeps to itself."""
    run = captioner.card["run"]
    left = {key: run["data"][key] for key in run["data"].keys() - {"path", "photos", "features"}}
    return {**captioner.card, "run": {**run, "data": left}}


# info


def test_info_as_json_is_the_whole_card(cli, run_folder):
    said = cli("info", run_folder / "best", "--json")
    assert (said.code, said.err) == (0, "")
    card = json.loads(said.out)
    captioner = Captioner.load(run_folder / "best")
    parameters = sum(value.size for value in captioner.model.params.values())
    assert card["model"] == {
        **captioner.model.config,
        "parameters": parameters,
        "words": len(captioner.vocabulary),
    }
    assert card["encoder"] == captioner.encoder
    assert card["decoding"] == dataclasses.asdict(captioner.decoding)
    assert (card["decoding"]["width"], card["decoding"]["max_length"]) == (3, 30)
    assert card["command"].startswith("unrolled train --data ")
    assert " ".join(FLAGS) in card["command"]
    assert set(card["dev"]["scores"]) == {"val_loss", "CIDEr", "BLEU-4"}
    for key, value in captioner.card.items():
        assert card[key] == value


def test_info_says_every_entry_of_the_card(cli, run_folder):
    said = cli("info", run_folder / "best")
    assert (said.code, said.err) == (0, "")
    card = json.loads(cli("info", run_folder / "best", "--json").out)
    lines = [line.split() for line in said.out.splitlines()]

    def check(section):
        for key, value in section.items():
            if isinstance(value, dict):
                assert key.split() in lines
                check(value)
            else:
                said_of_it = [line for line in lines if line[: len(key.split())] == key.split()]
                assert said_of_it, key
                if not isinstance(value, float):
                    assert any(" ".join(line).endswith(str(value)) for line in said_of_it), key

    check(card)


@pytest.mark.parametrize("command", ["info", "export"])
def test_a_folder_that_is_no_model_is_refused(cli, tmp_path, damaged, command):
    for folder, reason in (
        (tmp_path / "gone", "no such folder"),
        (tmp_path, "SHA256SUMS: missing"),
        (damaged, "model.safetensors: damaged"),
    ):
        more = ["--out", tmp_path / "out"] if command == "export" else []
        said = cli(command, folder, *more)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"error: {folder}")
        assert reason in said.err
        assert not (tmp_path / "out").exists()


# export


def test_an_export_is_the_captioner_alone_in_half_the_bytes(
    cli, run_folder, captioner_folder, lite_store, tmp_path
):
    said = cli("export", captioner_folder, "--out", tmp_path / "out")
    assert (said.code, said.out) == (0, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "config.json",
        "vocab.json",
        "SHA256SUMS",
    }
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert said.err == f"wrote {tmp_path / 'out'}: {size / 1e6:.1f} MB.\n"
    before, after = Captioner.load(captioner_folder), Captioner.load(tmp_path / "out")
    assert size < 0.6 * sum(path.stat().st_size for path in captioner_folder.iterdir())
    assert (cards_but_for_places(after), after.decoding, after.encoder) == (
        cards_but_for_places(before),
        before.decoding,
        before.encoder,
    )
    features = np.array(FeatureStore.open(lite_store).pooled)
    captions = before.caption_features(features), after.caption_features(features)
    same = [one.text == other.text for one, other in zip(*captions, strict=True)]
    assert sum(same) >= len(made_photos()) - 2
    for one, other, is_same in zip(*captions, same, strict=True):
        if is_same:
            assert other.log_prob == pytest.approx(one.log_prob, abs=0.2)


def test_what_resuming_needs_is_left_behind(cli, run_folder, tmp_path):
    assert cli("export", run_folder / "last", "--out", tmp_path / "out").code == 0
    assert not (tmp_path / "out" / "optimizer.safetensors").exists()


def test_an_export_in_full_precision_has_the_same_weights(cli, run_folder, tmp_path):
    said = cli("export", run_folder / "best", "--out", tmp_path / "out", "--dtype", "float32")
    assert said.code == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        run_folder / "best" / "model.safetensors"
    ).read_bytes()


def test_an_export_may_search_otherwise(cli, run_folder, tmp_path):
    assert cli("export", run_folder / "best", "--out", tmp_path / "out", "--beam", 7).code == 0
    assert Captioner.load(tmp_path / "out").decoding.width == 7


def test_entries_are_added_to_the_card(cli, run_folder, tmp_path):
    added = {"limits": "Knows circles and squares; 日本.", "command": "another", "scores": {"x": 1}}
    (tmp_path / "card.json").write_text(json.dumps(added), encoding="utf-8")
    card = ("--card", tmp_path / "card.json")
    assert cli("export", run_folder / "best", "--out", tmp_path / "out", *card).code == 0
    before = cards_but_for_places(Captioner.load(run_folder / "best"))
    assert cards_but_for_places(Captioner.load(tmp_path / "out")) == {**before, **added}
    assert "日本" in cli("info", tmp_path / "out").out
    assert json.loads(cli("info", tmp_path / "out", "--json").out)["limits"] == added["limits"]


def test_where_things_lay_stays_at_home(cli, run_folder, tmp_path):
    captioner = Captioner.load(run_folder / "best")
    run = captioner.card["run"]
    lay = {
        "data": run["data"] | {"path": "/home/me/photos", "features": "/home/me/seen.safetensors"},
        "training": run["training"] | {"start": "/home/me/runs/first/best"},
    }
    dataclasses.replace(captioner, card={**captioner.card, "run": run | lay}).save(tmp_path / "in")
    assert cli("export", tmp_path / "in", "--out", tmp_path / "out").code == 0
    told = Captioner.load(tmp_path / "out").card["run"]
    assert (told["data"]["path"], told["data"]["features"]) == ("photos", "seen.safetensors")
    assert told["training"]["start"] == "best"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "expected a JSON object"),
        (b'{"a":', "not a JSON file"),
        (b"\xff", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b'{"a": NaN}', "cannot be written as JSON"),
        (None, "not a JSON file"),
    ],
    ids=["list", "torn", "no text", "deep", "nan", "missing"],
)
def test_a_card_that_is_none_is_refused(cli, run_folder, tmp_path, content, message):
    if content is not None:
        (tmp_path / "card.json").write_bytes(content)
    card = ("--card", tmp_path / "card.json")
    said = cli("export", run_folder / "best", "--out", tmp_path / "out", *card)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dtype", "int8"], "dtype must be one of float16, float32, got 'int8'"),
        (["--beam", "0"], "width must be a whole number"),
        (["--out", "{tmp}"], "is no checkpoint; nothing was written"),
        (["--out", "{tmp}/notes.txt"], "is no checkpoint; nothing was written"),
        (["--out", "{tmp}/notes.txt/below"], "notes.txt"),
    ],
)
def test_what_cannot_be_is_refused(cli, run_folder, tmp_path, arguments, message):
    (tmp_path / "notes.txt").write_text("mine")
    filled = [each.format(tmp=tmp_path) for each in arguments]
    said = cli("export", run_folder / "best", "--out", tmp_path / "out", *filled)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert message in said.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_export_takes_the_place_of_an_older_one(cli, run_folder, captioner_folder, tmp_path):
    for model in (captioner_folder, run_folder / "best"):
        assert cli("export", model, "--out", tmp_path / "out").code == 0
    assert Captioner.load(tmp_path / "out").encoder["name"] == "made-up"
