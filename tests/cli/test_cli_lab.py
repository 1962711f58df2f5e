"""`unrolled lab`: each study from a photo, a data set or runs to a picture or to numbers."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from small_world import FLAGS
from unrolled.captioner import Captioner
from unrolled.jobs import lab
from unrolled.jobs.lab.scenes import example_photo
from unrolled.model import CaptioningRNN

COMMANDS = ("gradients", "gates", "words", "beam", "attention", "curves", "vectors")


@pytest.fixture(scope="session")
def attending(captioner_folder, tmp_path_factory):
    """A captioner that looks at places, of no training."""
    seeing = Captioner.load(captioner_folder)
    model = CaptioningRNN(seeing.model.word_to_idx, 1280, 4, 8, "attention", seed=1)
    folder = tmp_path_factory.mktemp("attending") / "model"
    dataclasses.replace(seeing, model=model).save(folder)
    return folder


@pytest.fixture
def photo(photos):
    return next(iter(sorted(photos.iterdir())))


def test_words_are_numbers_and_a_picture(cli, captioner_folder, photo, tmp_path):
    model = ("--model", captioner_folder)
    said = cli("lab", "words", photo, *model, "--top", 3, "--out", tmp_path / "words.json")
    assert said.code == 0, said.err
    assert "wrote" in said.err
    found = json.loads((tmp_path / "words.json").read_text("utf-8"))
    assert found["said"][-1] == "<END>"
    assert np.shape(found["p"]) == (len(found["said"]), 3)
    said = cli("caption", photo, *model, "--json")
    (caption,) = json.loads(said.out)
    assert " ".join(found["said"][:-1]) == caption["caption"]
    assert found["log_prob"] == pytest.approx(caption["log_prob"], abs=1e-4)
    said = cli("lab", "words", photo, *model, "--caption", "a dog", "--out", tmp_path / "w.png")
    assert said.code == 0, said.err
    assert (tmp_path / "w.png").read_bytes()[:4] == b"\x89PNG"


def test_gates(cli, captioner_folder, photo, tmp_path):
    out = tmp_path / "gates.npz"
    said = cli("lab", "gates", photo, "--model", captioner_folder, "--out", out)
    assert said.code == 0, said.err
    assert "forget gate f" in said.out
    with np.load(out, allow_pickle=False) as found:
        T = len(found["words"])
        assert found["gates"].shape == (4, T, 32)
        assert found["c"].shape == found["h"].shape == (T, 32)
    said = cli("lab", "gates", photo, "--model", captioner_folder, "--unit", 32, "--out", out)
    assert (said.code, "from 0 to 31, got [32]" in said.err) == (2, True)


def test_beam(cli, captioner_folder, photo, tmp_path):
    out = tmp_path / "beam.svg"
    said = cli("lab", "beam", photo, "--model", captioner_folder, "--beam", 4, "--out", out)
    assert said.code == 0, said.err
    assert out.read_bytes()[:5] == b"<?xml"
    lines = said.out.strip().splitlines()[2:]
    best = cli("caption", photo, "--model", captioner_folder, "--beam", 4, "--n-best", 4, "--json")
    (found,) = json.loads(best.out)
    assert len(lines) == len(found["captions"])
    for line, caption in zip(lines, found["captions"], strict=True):
        assert f"{caption['caption']} <END>" in line
        assert f"{caption['log_prob']:.2f}" in line


def test_gradients_of_peoples_captions(cli, captioner_folder, flickr8k, lite_store, tmp_path):
    model = ("--model", captioner_folder)
    data = ("--data", flickr8k, "--features", lite_store, "--captions", 2)
    out = tmp_path / "g.json"
    said = cli("lab", "gradients", *model, *data, "--cell", "gru", "--out", out)
    assert said.code == 0, said.err
    trained, untrained = json.loads(out.read_text("utf-8"))
    assert (trained["cell"], untrained["cell"]) == ("lstm", "gru")
    assert np.shape(trained["h"])[1] == 2
    assert [row[0] for row in trained["relative"]] == [1, 1]
    said = cli("lab", "gradients", *model, *data, "--loss", "all", "--out", out)
    assert said.code == 0, said.err
    assert [each["loss"] for each in json.loads(out.read_text("utf-8"))] == ["all"] * 3


def test_gradients_by_radius(cli, captioner_folder, photo, tmp_path):
    out = tmp_path / "radius.json"
    options = ("--model", captioner_folder, "--cell", "none", "--radius", 2, "--radius", 0.5)
    said = cli("lab", "gradients", photo, *options, "--out", out)
    assert said.code == 0, said.err
    (found,) = json.loads(out.read_text("utf-8"))
    assert found["radii"] == [0.5, 2]
    assert "radius 0.5" in said.out


def test_attention(cli, attending, captioner_folder, photo, tmp_path):
    out = tmp_path / "attention.npz"
    caption = ("--caption", "a red circle")
    said = cli("lab", "attention", photo, "--model", attending, *caption, "--out", out)
    assert said.code == 0, said.err
    with np.load(out, allow_pickle=False) as found:
        assert found["maps.words"].tolist() == ["a", "red", "circle", "<END>"]
        assert found["maps.alphas"].shape == (4, 2, 2)
        np.testing.assert_allclose(found["maps.alphas"].sum(axis=(1, 2)), 1)
        assert found["photo"].dtype == np.uint8
    said = cli("lab", "attention", photo, "--model", captioner_folder, "--out", out)
    assert said.code == 2
    assert "the cell lstm looks at no places" in said.err


def test_curves(cli, run_folder, tmp_path):
    out = tmp_path / "curves.json"
    said = cli("lab", "curves", run_folder, run_folder / "log.jsonl", "--out", out)
    assert said.code == 0, said.err
    one, other = json.loads(out.read_text("utf-8"))
    assert one["loss"] == other["loss"]
    assert len(one["val_loss"]) == int(FLAGS[FLAGS.index("--epochs") + 1])


def test_vectors(cli, captioner_folder, tmp_path):
    out = tmp_path / "vectors.json"
    options = ("--model", captioner_folder, "--neighbours", 2, "--out", out)
    said = cli("lab", "vectors", "red", "circle", *options)
    assert said.code == 0, said.err
    found = json.loads(out.read_text("utf-8"))
    assert found["neighbours"]["words"] == ["red", "circle"]
    assert np.shape(found["plane"]["xy"]) == (len(found["plane"]["words"]), 2)
    assert cli("lab", "vectors", *options).code == 0  # some words there are in every vocabulary
    said = cli("lab", "vectors", "elephant", *options)
    assert (said.code, "does not know 'elephant'" in said.err) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(cli, command):
    said = cli("lab", command, "--help")
    assert said.code == 0
    assert f"unrolled lab {command}" in said.out.replace("\n", " ")


def test_what_cannot_be_is_said_before_the_work(cli, monkeypatch, photo, tmp_path):
    monkeypatch.setattr("unrolled.captioner.Captioner.load", lambda *_: pytest.fail("was loaded"))
    said = cli("lab", "words", photo, "--out", tmp_path / "words.gif")
    assert said.code == 2
    assert "expected a picture, .png or .svg, or numbers, .json or .npz" in said.err
    said = cli("lab", "gates", photo, "--out", tmp_path / "nowhere" / "gates.png")
    assert (said.code, "in a folder that is there" in said.err) == (2, True)
    said = cli("lab", "gradients", "--features", "store", "--out", tmp_path / "g.json")
    assert (said.code, "give both" in said.err) == (2, True)
    options = ("--radius", 1, "--loss", "all", "--out", tmp_path / "g.json")
    assert cli("lab", "gradients", *options).code == 2
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    said = cli("lab", "words", photo, "--out", tmp_path / "words.png")
    assert (said.code, 'pip install "unrolled[train]"' in said.err) == (2, True)


def test_without_matplotlib_there_are_numbers(cli, monkeypatch, captioner_folder, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    out = tmp_path / "v.json"
    assert cli("lab", "vectors", "--model", captioner_folder, "--out", out).code == 0


def test_the_example_that_ships_is_the_one_in_examples():
    example = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.jpg"
    assert example_photo().read_bytes() == example.read_bytes()


def test_one_call_from_a_notebook(captioner_folder, photo):
    captioner = Captioner.load(captioner_folder)
    choices = lab.words(photo, model=captioner, caption="a dog runs")
    assert choices.read == ("<START>", "a", "<UNK>", "<UNK>")
    assert lab.beam(photo, model=captioner, width=2).rank.max() == 1
