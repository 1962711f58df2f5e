"""An ONNX file of one's own, from training to captions."""

import json

import pytest

from small_world import FLAGS, write_own_encoder


@pytest.fixture
def own(tmp_path):
    return write_own_encoder(tmp_path / "colours.onnx")


def test_it_is_trained_on_captions_with_it_and_is_scored(cli, own, flickr8k, photos, tmp_path):
    run = tmp_path / "run"
    said = cli("train", "--data", flickr8k, "--encoder", own, "--out", run, *FLAGS)
    assert said.code == 0, said.err
    config = json.loads((run / "best" / "config.json").read_text("utf-8"))
    assert config["encoder"]["name"] == "onnx"
    photo = photos / "00_red.jpg"
    model = ("--model", run / "best")

    said = cli("caption", photo, *model)
    assert (said.code, said.out) == (2, "")
    assert "made with an ONNX file; say where it is by the encoder's name" in said.err
    assert "--encoder" in said.err
    said = cli("caption", photo, *model, "--encoder", own)
    assert said.code == 0, said.err
    assert said.out
    said = cli("evaluate", run / "best", "--data", flickr8k, "--encoder", own, "--json")
    assert said.code == 0, said.err
    stored = cli(
        *("evaluate", run / "best", "--data", flickr8k, "--json"),
        *("--features", run / "features.safetensors"),
    )
    assert json.loads(stored.out) == json.loads(said.out)


def test_another_one_is_refused(cli, own, flickr8k, photos, tmp_path):
    run = tmp_path / "run"
    assert cli("train", "--data", flickr8k, "--encoder", own, "--out", run, *FLAGS).code == 0
    settings = own.with_suffix(".json")
    settings.write_text(settings.read_text().replace("127", "0"))
    caption = ("caption", photos / "00_red.jpg", "--model", run / "best", "--encoder")
    for other in (own, "lite0@64"):
        said = cli(*caption, other)
        assert (said.code, said.out) == (2, "")
        assert "the captioner's model: made by another encoder than is wanted" in said.err
