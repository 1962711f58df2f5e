"""The captioner that ships with the package: it speaks, it is small, its card says what it is."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from small_world import SPECIAL
from unrolled.captioner import Captioner
from unrolled.vision import Encoder

EXAMPLES = Path(__file__).parents[2] / "examples" / "photos"
FOLDER = Path(str(resources.files("unrolled") / "captioners" / "default"))

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="captioners/default has not been trained yet"
)


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load()


def test_it_captions_the_example_photos_in_words(captioner, cache_of_encoders):
    paths = sorted(EXAMPLES.glob("*.jpg"))
    assert paths
    captions = dict(captioner.caption_photos(paths))
    assert list(captions) == paths
    for path, caption in captions.items():
        assert re.fullmatch(r"[a-z0-9' -]{8,200}", caption.text), (path.name, caption)
        assert not [word for word in SPECIAL if word in caption.text.upper()]
        assert -60 < caption.log_prob < 0
    assert len({caption.text for caption in captions.values()}) > len(paths) // 2


def test_it_is_at_most_twelve_megabytes_in_half_precision():
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(sizes.values()) <= 12_000_000, sizes
    assert set(sizes) == {"model.safetensors", "config.json", "vocab.json", "SHA256SUMS"}
    weights = (FOLDER / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F16"}


def test_its_card_says_how_it_was_made_and_where_it_fails(captioner):
    card = captioner.card
    assert card["command"].startswith("unrolled train ")
    assert "test" not in card["data"]["photos"]
    assert card["data"]["photos"]["train"] > 1000
    assert card["limits"]
    assert "/" not in card["data"]["path"]
    scores = card["dev"]["scores"]
    assert scores["CIDEr"] >= 0.42, "the floor, greedy on dev"
    assert scores["BLEU-4"] >= 0.165, "the floor, greedy on dev"
    assert card["dev"]["decoding"]["width"] == 1


def test_its_encoder_is_one_that_comes_with_the_package(captioner, cache_of_encoders):
    assert Encoder.load(captioner.encoder["name"]).identity == dict(captioner.encoder)


def test_it_is_the_one_that_commands_use_unless_told_otherwise(cli, captioner, cache_of_encoders):
    path = sorted(EXAMPLES.glob("*.jpg"))[0]
    said = cli("caption", path, "--json")
    assert (said.code, said.err) == (0, "")
    [(_, caption)] = captioner.caption_photos([path])
    [record] = json.loads(said.out)
    assert (record["path"], record["caption"]) == (str(path), caption.text)
    assert record["log_prob"] == pytest.approx(caption.log_prob, rel=1e-4)
    card = json.loads(cli("info", "--json").out)
    assert card["limits"] == captioner.card["limits"]
    assert "limits" in cli("info").out
