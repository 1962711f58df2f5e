"""Every way of finding captions, as a person says it; and captioners that speak together."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_world import DIM, ENCODER, SPECIAL, write_own_encoder
from unrolled.captioner import Captioner, Captioners, Decoding
from unrolled.data import Vocabulary, tokenize
from unrolled.errors import EncoderError, InputError
from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN
from unrolled.vision import Encoder

WORDS = ("a", "photo", "of", "dog", "cat", "runs", "sleeps", "on", "the", "grass")
VOCABULARY = Vocabulary((*SPECIAL, *WORDS))


@pytest.fixture(autouse=True)
def quick_flush(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


def make_captioner(seed=0, cell="lstm", *, dim=DIM, hidden=7, encoder=ENCODER):
    """A captioner that would like best to say what must not be said."""
    model = CaptioningRNN(VOCABULARY.word_to_idx, dim, 5, hidden, cell, np.float64, seed=seed)
    for name, value in model.params.items():
        model.params[name] = value * 3 if name.startswith("W") else value
    model.params["b_vocab"][: len(SPECIAL)] += np.array([4, 4, 0, 4])
    return Captioner(model, VOCABULARY, encoder, Decoding(width=2, max_length=9))


def some_features(captioner, count, seed=0):
    places = (4,) if captioner.sees_grid else ()
    D = captioner.model.params["W_proj"].shape[0]
    return np.random.default_rng(seed).normal(size=(count, *places, D))


@pytest.mark.parametrize("way", [{"width": 3}, {"sample": True}])
def test_captions_are_said_in_the_precision_asked_for(way, monkeypatch):
    asked = []
    ready = CaptioningRNN.ready
    monkeypatch.setattr(
        CaptioningRNN, "ready", lambda model, p="float32": asked.append(p) or ready(model, p)
    )
    members = (make_captioner(0), make_captioner(1, "gru"))
    features = [some_features(member, 2) for member in members]
    for precision in ("float32", "bfloat16", "auto"):
        Captioners(members).candidates(features, decoding=Decoding(**way, precision=precision))
        assert asked == [precision] * 2
        asked.clear()


def test_ready_captioners_say_the_same_and_lay_no_weights_out_again(monkeypatch):
    asked = []
    ready = CaptioningRNN.ready
    monkeypatch.setattr(
        CaptioningRNN, "ready", lambda model, p="float32": asked.append(p) or ready(model, p)
    )
    captioners = Captioners((make_captioner(0), make_captioner(1, "gru")))
    features = [some_features(member, 3) for member in captioners.members]
    said = captioners.candidates(features)
    held = captioners.ready()
    assert held == captioners
    asked.clear()
    assert held.candidates(features) == held.candidates(features) == said
    assert not asked
    held.candidates(features, decoding=Decoding(precision="auto"))
    assert asked == ["auto"] * 2  # they were made ready in another


def test_auto_is_resolved_where_weights_are_laid_out(monkeypatch):
    monkeypatch.setattr(
        "unrolled.model.captioning.choose_precision", lambda _where, p, H: f"{p} of {H}"
    )
    with pytest.raises(InputError, match="got 'auto of 7'"):
        make_captioner().model.ready("auto")


limits = st.fixed_dictionaries(
    {
        "min_length": st.integers(0, 6),
        "max_length": st.integers(6, 9),
        "no_repeat_ngram": st.sampled_from([0, 2, 3]),
        "forbid": st.sampled_from(["", "dog", "the Grass", "zebra"]),
        "prefix": st.sampled_from(["", "A photo of", "cat"]),
    }
)
ways = st.one_of(
    st.fixed_dictionaries({"width": st.integers(1, 4), "length_norm": st.floats(0, 2)}),
    st.fixed_dictionaries({"width": st.integers(1, 4), "consensus": st.booleans()}),
    st.fixed_dictionaries(
        {"width": st.just(4), "groups": st.just(2), "diversity": st.floats(0, 9)}
    ),
    st.fixed_dictionaries(
        {
            "sample": st.just(True),
            "width": st.integers(1, 3),
            "temperature": st.floats(0.2, 5),
            "top_k": st.integers(0, 20),
            "top_p": st.floats(0.1, 1),
            "seed": st.integers(0, 2**63 - 1),
            "consensus": st.booleans(),
        }
    ),
)


@settings(max_examples=60)
@given(
    cells=st.lists(st.sampled_from(tuple(CELLS)), min_size=1, max_size=2), limits=limits, way=ways
)
def test_what_a_person_is_told_is_what_was_asked_for(cells, limits, way):
    members = tuple(make_captioner(n, cell, hidden=5 + n) for n, cell in enumerate(cells))
    features = [some_features(member, 4) for member in members]
    decoding = Decoding(**limits, **way)
    found = Captioners(members).candidates(features, decoding=decoding)
    for candidates in found:
        assert 1 <= len(candidates) <= decoding.width
        for caption in candidates:
            words = caption.text.split()
            assert not [
                mark for mark in SPECIAL if mark.strip("<>").lower() in caption.text.lower()
            ]
            assert limits["min_length"] <= len(words) <= limits["max_length"]
            assert words[: len(limits["prefix"].split())] == limits["prefix"].lower().split()
            assert not set(limits["forbid"].lower().split()) & set(words)
            n = limits["no_repeat_ngram"]
            runs = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)] if n else []
            assert len(set(runs)) == len(runs)
            assert caption.log_prob < 0
    # The same again, of some of the images: neither their places nor their neighbours matter.
    some = [2, 0]
    again = Captioners(members).candidates([rows[some] for rows in features], decoding=decoding)
    for one, other in zip(again, [found[n] for n in some], strict=True):
        assert [caption.text for caption in one] == [caption.text for caption in other]
        np.testing.assert_allclose([c.log_prob for c in one], [c.log_prob for c in other])


@pytest.mark.parametrize("way", [{"width": 4}, {"width": 4, "sample": True}])
def test_words_agree_by_their_rarity_where_it_is_known(way, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "unrolled.captioner.decoding.consensus", lambda found, **how: asked.append(how) or found
    )
    captioner, decoding = make_captioner(), Decoding(consensus=True, **way)
    captioner.candidates(some_features(captioner, 1), decoding=decoding)
    photos = [[["a", "dog"], ["a", "cat"]], [["a", "dog"]], [["grass"]]]
    weighed = dataclasses.replace(captioner, vocabulary=VOCABULARY.weigh(photos))
    weighed.candidates(some_features(captioner, 1), decoding=decoding)
    sharpness = {"sharpness": 0.0} if decoding.sample else {}
    assert asked[0] == {"worth": None} | sharpness
    worth = asked[1].pop("worth")
    assert asked[1] == sharpness
    rarity = dict(zip(VOCABULARY.words, worth, strict=True))
    assert rarity["a"] == pytest.approx(np.log(3 / 2), abs=1e-4)
    assert rarity["cat"] == rarity["grass"] == pytest.approx(np.log(3), abs=1e-4)


def test_other_seeds_draw_other_captions():
    captioner = make_captioner()
    features = some_features(captioner, 8)
    said = [
        captioner.caption_features(features, decoding=Decoding(width=1, sample=True, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert said[0] == said[1]
    assert said[0] != said[2]
    assert len({caption.text for caption in said[0]}) > 1


def test_a_way_of_decoding_is_saved_with_the_captioner(tmp_path):
    decoding = Decoding(sample=True, width=1, top_p=0.9, seed=3, forbid="dog", prefix="a photo")
    before = dataclasses.replace(make_captioner(), decoding=decoding)
    before.save(tmp_path / "model")
    after = Captioner.load(tmp_path / "model")
    assert after.decoding == decoding
    features = some_features(before, 3)
    assert after.caption_features(features) == before.caption_features(features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": 9, "max_length": 8}, "min_length 9 is above max_length 8"),
        ({"min_length": -1}, "min_length must be a whole number from 0 to 1000, got -1"),
        ({"width": True}, "width must be a whole number from 1 to 100, got True"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram must be a whole number from 0"),
        ({"groups": 2}, "2 groups cannot share a beam of 3 evenly; choose a width such as 4"),
        ({"diversity": 1.0}, "diversity is between groups; choose 2 groups or more"),
        ({"diversity": float("nan")}, "diversity must be a number of at least 0, got nan"),
        ({"sample": True, "groups": 3}, "groups is for the search, and these captions are drawn"),
        ({"consensus": True, "length_norm": 0.5}, "both say which caption is best"),
        ({"consensus": 1}, "consensus must be true or false, got 1"),
        ({"sample": True, "length_norm": 1.0}, "length_norm is for the search"),
        ({"sample": True, "temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"sample": True, "top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
        ({"temperature": 0.5}, "temperature is for captions that are drawn; say sample too"),
        ({"top_k": 5}, "top_k is for captions that are drawn"),
        ({"seed": 5}, "seed is for captions that are drawn"),
        ({"forbid": "dog's"}, '"dog\'s" is read as "dog \'s"'),
        ({"forbid": "dog !"}, "'!' is read as 'nothing'"),
        ({"forbid": "photo", "prefix": "a photo of"}, "the prefix holds 'photo', which may not be"),
        ({"prefix": "a a b", "no_repeat_ngram": 1}, "the prefix itself repeats 1 words in a row"),
        ({"prefix": "a b c", "max_length": 2}, "the prefix has 3 words, max_length is 2"),
    ],
)
def test_options_that_cannot_be_had_together(options, message):
    with pytest.raises(InputError) as caught:
        Decoding(**options)
    assert message in str(caught.value)


def test_a_prefix_that_the_model_cannot_say_is_refused_before_photos_are_read(tmp_path):
    captions = make_captioner().caption_photos(
        [tmp_path / "gone.jpg"], decoding=Decoding(prefix="a zebra")
    )
    with pytest.raises(
        InputError, match="the prefix holds 'zebra', a word that the model does not"
    ):
        next(captions)


# Together


def test_captioners_of_other_words_do_not_speak_together():
    other = dataclasses.replace(make_captioner(), vocabulary=Vocabulary((*SPECIAL, "zebra")))
    with pytest.raises(InputError, match="captioner 2 has other words than captioner 1"):
        Captioners((make_captioner(), other))
    with pytest.raises(InputError, match="at least one captioner"):
        Captioners(())


@pytest.mark.parametrize("counts", [(3,), (3, 4)])
def test_features_that_are_not_of_the_same_images(counts):
    captioner = make_captioner()
    with pytest.raises(InputError, match="2 captioners want features of the same images each"):
        Captioners((captioner, captioner)).candidates([some_features(captioner, n) for n in counts])


def test_captioners_of_several_encoders_see_the_same_photos(photos, tmp_path, cache_of_encoders):
    own = str(write_own_encoder(tmp_path / "own.onnx"))
    encoders = [Encoder.load("lite0", size=64), Encoder.load(own)]
    members = []
    for cell, encoder in (("lstm", 0), ("attention", 0), ("attention", 1), ("gru", 1)):
        loaded = encoders[encoder]
        member = make_captioner(dim=loaded.dim, cell=cell, encoder=loaded.identity)
        single = CaptioningRNN(VOCABULARY.word_to_idx, loaded.dim, 5, 7, cell, seed=3)
        members.append(dataclasses.replace(member, model=single))
    paths = sorted(photos.iterdir())[:5]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    told = []
    together = Captioners(tuple(members))
    captions = together.photo_candidates(
        [*paths[:2], bad, *paths[2:]],
        batch_size=2,
        encoder=own,
        on_error=lambda path, _: told.append(path),
    )
    found = list(captions)
    assert [path for path, _ in found] == paths
    assert told == [bad]
    rows = [[], [], [], []]
    for n, encoder in enumerate((0, 0, 1, 1)):
        for photo in encoders[encoder].features(paths, grid=True):
            grid = photo.grid.reshape(-1, encoders[encoder].dim)
            rows[n].append(grid if members[n].sees_grid else photo.pooled)
    expected = together.candidates([np.stack(each) for each in rows])
    for (_, one), other in zip(found, expected, strict=True):
        assert [caption.text for caption in one] == [caption.text for caption in other]
        np.testing.assert_allclose(
            [c.log_prob for c in one], [c.log_prob for c in other], rtol=1e-4
        )
    with pytest.raises(EncoderError, match="lite0@96: none of the models was trained with"):
        next(together.photo_candidates(paths, encoder="lite0@96"))


def test_one_alone_says_what_it_says_together_with_itself():
    captioner = make_captioner()
    features = some_features(captioner, 4)
    twice = Captioners((captioner, captioner)).candidates([features, features])
    for one, other in zip(captioner.candidates(features), twice, strict=True):
        assert [c.text for c in one] == [c.text for c in other]
        np.testing.assert_allclose([c.log_prob for c in one], [c.log_prob for c in other])
        assert all(tokenize(caption.text) == caption.text.split() for caption in one)
