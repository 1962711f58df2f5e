"""A captioner keeps what it knows in a folder, and says captions whose probability is its own."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_world import DIM, ENCODER, SPECIAL
from unrolled import checkpoint
from unrolled.captioner import Caption, Captioner, Decoding
from unrolled.data import Vocabulary, tokenize
from unrolled.decoding import beam_search
from unrolled.errors import (
    CheckpointError,
    DTypeError,
    EncoderError,
    ImageError,
    InputError,
    ShapeError,
)
from unrolled.model import CaptioningRNN
from unrolled.vision import Encoder

WORDS = ["a", "dog", "cat", "runs", "sleeps", "on", "the", "grass", "'s", "red"]


@pytest.fixture(autouse=True)
def quick_flush(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


def make_captioner(seed=0, **model):
    """A captioner with sharp opinions about nothing."""
    vocabulary = Vocabulary((*SPECIAL, *WORDS))
    rnn = CaptioningRNN(
        vocabulary.word_to_idx, DIM, 5, 7, seed=seed, **{"cell_type": "lstm"} | model
    )
    for name, value in rnn.params.items():
        rnn.params[name] = value * 3 if name.startswith("W") else value
    return Captioner(rnn, vocabulary, ENCODER, Decoding(width=2, max_length=9), {"data": "none"})


def some_features(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


# Saved and loaded


@pytest.mark.parametrize(
    "model",
    [{}, {"cell_type": "rnn"}, {"dtype": np.float64, "dropout": 0.5}],
    ids=["lstm", "rnn", "float64"],
)
def test_what_is_saved_is_what_is_loaded(tmp_path, model):
    before = make_captioner(**model)
    before.save(tmp_path / "model")
    after = Captioner.load(tmp_path / "model")
    features = some_features(4).astype(before.model.dtype)
    assert after.caption_features(features) == before.caption_features(features)
    assert after.model.config == before.model.config
    assert after.vocabulary == before.vocabulary
    assert (after.encoder, after.decoding, after.card) == (ENCODER, before.decoding, before.card)
    assert {name: value.dtype for name, value in after.model.params.items()} == {
        name: value.dtype for name, value in before.model.params.items()
    }


def test_tied_weights_are_saved_once(tmp_path):
    before = make_captioner()
    tied = CaptioningRNN(before.vocabulary.word_to_idx, DIM, 7, 7, "lstm", tie_weights=True, seed=0)
    before = dataclasses.replace(before, model=tied)
    before.save(tmp_path / "model")
    after = Captioner.load(tmp_path / "model")
    assert "W_vocab" not in after.model.params
    assert after.caption_features(some_features(3)) == before.caption_features(some_features(3))


def test_half_precision_halves_the_weights_and_hardly_moves_the_captions(tmp_path):
    captioner = make_captioner()
    captioner.save(tmp_path / "half", dtype="float16")
    captioner.save(tmp_path / "full")
    weights = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert weights[0] < 0.65 * weights[1]
    half = Captioner.load(tmp_path / "half")
    assert half.model.params["Wx"].dtype == np.float32
    for name, value in half.model.params.items():
        np.testing.assert_allclose(value, captioner.model.params[name], rtol=2**-10, atol=1e-6)


def test_a_captioner_without_a_card_loads(tmp_path):
    captioner = make_captioner()
    config = {
        "model": captioner.model.config,
        "encoder": ENCODER,
        "decoding": dataclasses.asdict(captioner.decoding),
    }
    params = captioner.model.params
    checkpoint.save(
        tmp_path / "m", params=params, config=config, vocab=captioner.vocabulary.to_json()
    )
    assert Captioner.load(tmp_path / "m").card == {}


def save_changed(path, *, params=None, config=None, vocab=None):
    """Write a whole checkpoint whose parts do not belong together."""
    captioner = make_captioner()
    whole = {
        "model": captioner.model.config,
        "encoder": dict(ENCODER),
        "decoding": dataclasses.asdict(captioner.decoding),
        "card": {},
    }
    checkpoint.save(
        path,
        params=captioner.model.params if params is None else params,
        config=whole if config is None else config(whole),
        vocab=captioner.vocabulary.to_json() if vocab is None else vocab,
    )


WRONG_CONFIGS = {
    "no model": lambda c: {k: v for k, v in c.items() if k != "model"},
    "no encoder": lambda c: {k: v for k, v in c.items() if k != "encoder"},
    "no decoding": lambda c: {k: v for k, v in c.items() if k != "decoding"},
    "unknown model option": lambda c: c | {"model": c["model"] | {"layers": 2}},
    "a cell we have not": lambda c: c | {"model": c["model"] | {"cell_type": "esn"}},
    "a width that is a text": lambda c: c | {"model": c["model"] | {"hidden_dim": "7"}},
    "a dropout that is a text": lambda c: c | {"model": c["model"] | {"dropout": "half"}},
    "a dtype that is none": lambda c: c | {"model": c["model"] | {"dtype": "float99"}},
    "a dtype that is no float": lambda c: c | {"model": c["model"] | {"dtype": "int32"}},
    "unknown decoding option": lambda c: c | {"decoding": {"beam": 3}},
    "a beam of none": lambda c: c | {"decoding": {"width": 0}},
    "a length norm that is a text": lambda c: c | {"decoding": {"length_norm": "1"}},
    "an encoder that is a number": lambda c: c | {"encoder": 3},
    "an encoder whose size is a number": lambda c: c | {"encoder": {"size": 64}},
    "a card that is a number": lambda c: c | {"card": 3},
    "a model that is a list": lambda c: c | {"model": []},
}


@pytest.mark.parametrize("change", WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_a_config_that_describes_no_captioner_is_refused(tmp_path, change):
    save_changed(tmp_path / "odd", config=change)
    with pytest.raises(CheckpointError, match=r"odd: .* do not describe a captioner"):
        Captioner.load(tmp_path / "odd")


def test_a_vocabulary_that_is_none_is_refused(tmp_path):
    save_changed(tmp_path / "odd", vocab={"words": []})
    with pytest.raises(CheckpointError, match=r"odd: .* do not describe a captioner"):
        Captioner.load(tmp_path / "odd")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"feature_mean": np.zeros(6, np.float32)}, "feature_scale: expected (6,), got nothing"),
        (
            {"feature_mean": np.zeros(6, np.float32), "feature_scale": np.ones(5, np.float32)},
            "feature_scale: expected (6,), got (5,)",
        ),
    ],
)
def test_half_of_a_standardisation_is_refused(tmp_path, extra, message):
    save_changed(tmp_path / "odd", params=make_captioner().model.params | extra)
    with pytest.raises(CheckpointError) as caught:
        Captioner.load(tmp_path / "odd")
    assert message in str(caught.value)


def test_weights_that_do_not_fit_are_refused_by_name_and_shape(tmp_path):
    params = dict(make_captioner().model.params)
    params["Wh"] = np.ones((7, 27), np.float32)
    params["W_more"] = np.ones(3, np.float32)
    del params["b_vocab"]
    save_changed(tmp_path / "odd", params=params)
    with pytest.raises(CheckpointError) as caught:
        Captioner.load(tmp_path / "odd")
    message = str(caught.value)
    assert "odd: the weights do not fit config.json and vocab.json" in message
    assert "Wh: expected (7, 28), got (7, 27)" in message
    assert "W_more: expected nothing, got (3,)" in message
    assert "b_vocab: expected (14,), got nothing" in message
    assert "Wx" not in message


def test_another_vocabulary_than_the_weights_is_refused(tmp_path):
    save_changed(tmp_path / "odd", vocab=Vocabulary((*SPECIAL, *WORDS, "more")).to_json())
    with pytest.raises(CheckpointError, match=r"W_embed: expected \(15, 5\), got \(14, 5\)"):
        Captioner.load(tmp_path / "odd")


@pytest.mark.parametrize("path", ["nowhere", "file"])
def test_a_folder_that_is_none_is_refused_by_name(tmp_path, path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CheckpointError, match=path):
        Captioner.load(tmp_path / path)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    make_captioner().save(tmp_path / "model")
    damaged = tmp_path / "model" / "config.json"
    damaged.write_bytes(damaged.read_bytes().replace(b'"width": 2', b'"width": 9'))
    with pytest.raises(CheckpointError, match=r"config\.json: damaged"):
        Captioner.load(tmp_path / "model")


# Captions


def loss_of(captioner, row, caption):
    """What the model itself says of a caption that ended, in nats."""
    ids = np.array([captioner.vocabulary.encode(tokenize(caption))], np.int32)
    return float(captioner.model.loss(row[None], ids).loss)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cell=st.sampled_from(["rnn", "lstm"]),
    width=st.integers(1, 5),
    length_norm=st.sampled_from([0.0, 0.7, 1.0]),
)
def test_log_prob_is_minus_the_loss_of_that_caption(seed, cell, width, length_norm):
    captioner = make_captioner(seed, cell_type=cell, dtype=np.float64)
    search = Decoding(width=width, max_length=40, length_norm=length_norm)
    features = some_features(3, seed).astype(np.float64)
    said = {"width": width, "max_length": 40, "min_length": 1, "length_norm": length_norm}
    hypotheses = beam_search(captioner.model, features, **said)
    spoken = captioner.candidates(features, decoding=search)
    for row, found, told in zip(features, hypotheses, spoken, strict=True):
        assert [caption.log_prob for caption in told] == [each.log_prob for each in found]
        for each, caption in zip(found, told, strict=True):
            if each.finished:  # the words of "dog's" are told apart again
                assert caption.log_prob == pytest.approx(
                    -loss_of(captioner, row, caption.text), rel=1e-9
                )


def test_the_best_candidate_is_the_caption():
    captioner = make_captioner()
    candidates = captioner.candidates(some_features(4), decoding=Decoding(width=4))
    assert [len(each) for each in candidates] == [4] * 4
    for each in candidates:
        assert [c.log_prob for c in each] == sorted((c.log_prob for c in each), reverse=True)
    best = captioner.caption_features(some_features(4), decoding=Decoding(width=4))
    assert best == [each[0] for each in candidates]


def test_a_captioner_searches_as_it_was_told_unless_told_otherwise():
    captioner = make_captioner()
    features = some_features(6)
    own = captioner.candidates(features)
    assert own == captioner.candidates(features, decoding=Decoding(width=2, max_length=9))
    assert {len(each) for each in own} == {2}
    short = captioner.caption_features(features, decoding=Decoding(width=1, max_length=2))
    assert max(len(tokenize(caption.text)) for caption in short) <= 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), width=st.integers(1, 4))
def test_no_caption_has_a_special_word_however_much_the_model_wants_it(seed, width):
    captioner = make_captioner(seed)
    captioner.model.params["b_vocab"][: len(SPECIAL)] += np.array([9, 9, 0, 9], np.float32)
    features = some_features(2, seed)
    for found in captioner.candidates(features, decoding=Decoding(width=width, max_length=6)):
        for caption in found:
            assert not [
                word for word in SPECIAL if word.strip("<>").lower() in caption.text.lower()
            ]
            assert len(tokenize(caption.text)) <= 6


def test_many_images_are_captioned_in_parts_as_one(monkeypatch):
    captioner = make_captioner()
    features = some_features(11)
    together = captioner.caption_features(features)
    monkeypatch.setattr("unrolled.captioner.saying.images_together", lambda width: 4)
    parts = captioner.caption_features(features)
    assert [caption.text for caption in parts] == [caption.text for caption in together]
    assert [c.log_prob for c in parts] == pytest.approx([c.log_prob for c in together], rel=1e-5)
    assert captioner.caption_features(features[:0]) == []


def test_features_need_not_be_contiguous():
    captioner = make_captioner()
    features = some_features(6)
    assert captioner.caption_features(features[::2]) == captioner.caption_features(
        features[::2].copy()
    )


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (np.zeros((2, DIM + 1), np.float32), ShapeError, r"\(N, 6\).*\(2, 7\).*another encoder"),
        (np.zeros(DIM, np.float32), ShapeError, "features"),
        (np.zeros((2, 3, DIM), np.float32), ShapeError, "features"),
        (np.zeros((2, DIM), np.float64), DTypeError, "float64"),
        (np.zeros((2, DIM), np.int64), DTypeError, "int64"),
    ],
    ids=["width", "one axis", "three axes", "float64", "int64"],
)
def test_features_that_do_not_fit_are_refused(features, error, message):
    with pytest.raises(error, match=message):
        make_captioner().caption_features(features)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("width", 101),
        ("width", 2.0),
        ("max_length", 0),
        ("max_length", 1001),
        ("length_norm", -0.1),
        ("length_norm", 2.1),
        ("length_norm", float("nan")),
    ],
)
def test_a_search_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"Decoding: {name} must be .*got {value!r}"):
        Decoding(**{name: value})


# Photos


def test_photos_are_captioned_in_order_as_they_are_ready(captioner_folder, photos):
    captioner = Captioner.load(captioner_folder)
    paths = [photos / name for name in ("13_green.jpg", "00_red.jpg", "05_blue.jpg")]
    captions = captioner.caption_photos(map(str, paths), batch_size=1)
    first = next(captions)
    assert isinstance(first[0], Path)
    assert isinstance(first[1], Caption)
    assert [path for path, _ in (first, *captions)] == paths


def test_it_says_what_it_sees(captioner_folder, photos):
    captioner = Captioner.load(captioner_folder)
    for path, caption in captioner.caption_photos(sorted(photos.iterdir())):
        shape = ("circle", "square")[int(path.name[:2]) % 2]
        assert shape in caption.text.split(), (path.name, caption)


def test_a_photo_that_cannot_be_read_is_told_and_passed_over(captioner_folder, photos, tmp_path):
    captioner = Captioner.load(captioner_folder)
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    paths = [
        photos / "00_red.jpg",
        tmp_path / "bad.jpg",
        tmp_path / "gone.jpg",
        photos / "01_green.jpg",
    ]
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        list(captioner.caption_photos(paths))
    told = []
    done = list(
        captioner.caption_photos(paths, on_error=lambda path, why: told.append((path, why)))
    )
    assert [path for path, _ in done] == [paths[0], paths[3]]
    assert [path for path, _ in told] == paths[1:3]
    assert all(str(path) in str(why) for path, why in told)


def test_another_encoder_than_the_models_is_refused(captioner_folder, photos):
    captioner = Captioner.load(captioner_folder)
    other = dict(captioner.encoder) | {"weights_sha256": "0" * 64}
    captioner = dataclasses.replace(captioner, encoder=other)
    with pytest.raises(EncoderError, match=r"the captioner's model: .*weights_sha256.*'0{64}'"):
        list(captioner.caption_photos([photos / "00_red.jpg"]))


def test_an_encoder_we_have_not_is_refused(photos):
    with pytest.raises(EncoderError, match="made-up"):
        list(make_captioner().caption_photos([photos / "00_red.jpg"]))
    without_size = dataclasses.replace(make_captioner(), encoder={"name": "vgg16"})
    with pytest.raises(EncoderError, match="the captioner's model"):
        list(without_size.caption_photos([photos / "00_red.jpg"]))


def test_features_of_the_encoder_give_the_captions_of_the_photos(captioner_folder, photos):
    captioner = Captioner.load(captioner_folder)
    paths = sorted(photos.iterdir())[:3]
    encoder = Encoder.from_identity(captioner.encoder, where="test")
    features = np.stack([photo.pooled for photo in encoder.features(paths)])
    assert [caption for _, caption in captioner.caption_photos(paths)] == (
        captioner.caption_features(features)
    )


def test_a_saved_config_is_plain_json(captioner_folder):
    config = json.loads((captioner_folder / "config.json").read_text("utf-8"))
    assert set(config) == {"format", "version", "model", "encoder", "decoding", "card"}
    assert set(config["encoder"]) == set(Encoder.load("lite0", size=64).identity)
