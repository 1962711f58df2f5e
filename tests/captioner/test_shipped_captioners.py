"""The captioners that ship: they speak, they are small, their cards say what they are."""

import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pytest

from small_world import SPECIAL
from unrolled.captioner import Captioner, shipped
from unrolled.vision import Encoder

EXAMPLES = Path(__file__).parents[2] / "examples" / "photos"
PLACE = Path(str(resources.files("unrolled") / "captioners"))


class Held(NamedTuple):
    """What a captioner is held to."""

    bytes: int
    greedy: dict[str, float]  # the least that its card may say of dev, greedy
    own: dict[str, float]  # and as it decodes by itself
    encoders: tuple[str, ...]


HELD = {
    "default": Held(
        12_000_000, {"CIDEr": 0.44, "BLEU-4": 0.180}, {"CIDEr": 0.48, "BLEU-4": 0.200}, ("lite2",)
    ),
    "strong": Held(
        16_000_000,
        {"CIDEr": 0.47, "BLEU-4": 0.175},
        {"CIDEr": 0.57, "BLEU-4": 0.225},
        ("lite0", "lite2"),
    ),
}
each = pytest.mark.parametrize("name", HELD)


def test_these_ship():
    assert set(shipped()) == set(HELD)


@each
def test_it_captions_the_example_photos_in_words(name, cache_of_encoders):
    paths = sorted(EXAMPLES.glob("*.jpg"))
    assert paths
    captions = dict(Captioner.load(name).caption_photos(paths))
    assert list(captions) == paths
    for path, caption in captions.items():
        assert re.fullmatch(r"[a-z0-9' -]{8,200}", caption.text), (path.name, caption)
        assert not [word for word in SPECIAL if word in caption.text.upper()]
        assert -60 < caption.log_prob < 0
    assert len({caption.text for caption in captions.values()}) > len(paths) // 2


@each
def test_it_is_small_and_in_half_precision(name):
    sizes = {path.name: path.stat().st_size for path in (PLACE / name).iterdir()}
    assert sum(sizes.values()) <= HELD[name].bytes, sizes
    assert set(sizes) == {"model.safetensors", "config.json", "vocab.json", "SHA256SUMS"}
    weights = (PLACE / name / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    header.pop("__metadata__", None)
    wide = {key for key, entry in header.items() if entry["dtype"] != "F16"}
    assert wide == {"feature_mean", "feature_scale"}, "a number for each feature, at full precision"


@each
def test_its_card_says_how_it_was_made_and_where_it_fails(name):
    card = Captioner.load(name).card
    assert card["command"].startswith(f"unrolled train --config recipes/{name}.toml ")
    assert "test" not in card["data"]["photos"]
    assert card["data"]["photos"]["train"] > 1000
    assert card["limits"]
    assert card["biases"]
    assert "/" not in card["data"]["path"]
    scores = card["dev"]["scores"]
    assert {
        key: scores[key] for key, least in HELD[name].greedy.items() if scores[key] < least
    } == {}
    assert card["dev"]["decoding"]["width"] == 1


@each
def test_its_card_is_the_recipe_s_and_the_readmes_tell_its_scores(name):
    root = Path(__file__).parents[2]
    kept = json.loads((root / "recipes" / f"{name}.card.json").read_text(encoding="utf-8"))
    card = Captioner.load(name).card
    assert {key: card.get(key) for key in kept} == kept
    scores = kept["scores on dev, x 100, with 95 % intervals"]
    own = {key: scores["as it ships"][key][0] / 100 for key in HELD[name].own}
    assert {key: own[key] for key, least in HELD[name].own.items() if own[key] < least} == {}
    for readme in ("README.md", "README.zh-CN.md"):
        text = (root / readme).read_text(encoding="utf-8")
        rows = re.findall(rf"^\| [^|]*{name}[^|]*\|((?: [\d.]+ \|){{6}})$", text, re.MULTILINE)
        told = [[float(cell) for cell in row.split("|")[:-1]] for row in rows]
        assert told == [[mean for mean, _, _ in way.values()] for way in scores.values()], readme


@each
def test_it_knows_how_rare_its_words_are(name):
    captioner = Captioner.load(name)
    rarity = dict(zip(captioner.vocabulary.words, captioner.vocabulary.rarity, strict=True))
    assert captioner.decoding.consensus
    assert rarity["a"] < 0.1 < rarity["dog"] < rarity["surfboard"]
    assert max(rarity.values()) == pytest.approx(math.log(6000), abs=1e-4), "in no photo's captions"


@each
def test_its_encoders_come_with_the_package(name, cache_of_encoders):
    identity = Captioner.load(name).encoder
    assert Encoder.from_identity(identity, where="the test").identity == dict(identity)
    assert all(encoder in identity["name"] for encoder in HELD[name].encoders)


def test_default_is_the_one_that_commands_use_unless_told_otherwise(cli, cache_of_encoders):
    captioner = Captioner.load()
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
    assert json.loads(cli("info", "default", "--json").out) == card
