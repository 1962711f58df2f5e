"""Rules, groups and ensembles: against every caption there is, and the models' own losses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import (
    END,
    KINDS,
    NULL,
    START,
    UNK,
    VOCABULARY,
    every_caption,
    features_for,
    kept,
    log_prob,
    tiny_model,
)

from unrolled.decoding import NEVER_SAID, Ensemble, Rules, beam_search, sample_captions
from unrolled.errors import InputError
from unrolled.model import CaptioningRNN

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 10_000)


@st.composite
def rules(draw, max_length):
    """Rules that leave a caption."""
    said = {
        "min_length": draw(st.integers(0, max_length - 1)),
        "no_repeat_ngram": draw(st.integers(0, 3)),
        "prefix": draw(st.lists(st.sampled_from(["a", "dog", "runs"]), max_size=2)),
        "never": draw(st.lists(st.sampled_from(["a", "dog", "runs"]), max_size=2, unique=True)),
    }
    if not any(kept(caption, **said) for caption in every_caption(max_length)):
        said["min_length"] = said["no_repeat_ngram"] = 0
        said["prefix"] = []
    return said


def options(said, max_length):
    return {**said, "never": [*NEVER_SAID, *said["never"]], "max_length": max_length}


def said_of(hypothesis):
    return (*hypothesis.words, END) if hypothesis.finished else hypothesis.words


def speaker_of(models, rows):
    """The models as one speaker, and what it takes of the images."""
    if len(models) == 1:
        return models[0], rows[0]
    return Ensemble(models), rows


@settings(max_examples=25)
@given(seed=seeds, kind=kinds, other=st.none() | kinds, data=st.data())
def test_a_wide_beam_finds_every_caption_that_keeps_the_rules(seed, kind, other, data):
    longest = 2 if other else 4
    said = data.draw(rules(longest))
    models = [tiny_model(seed, *kind)]
    if other:
        models.append(tiny_model(seed + 1, *other, D=2, H=3))
    rows = [features_for(model, 1, seed) for model in models]
    expected = sorted(
        (
            (log_prob(models, [row[0] for row in rows], caption), caption)
            for caption in every_caption(longest)
            if kept(caption, **said)
        ),
        reverse=True,
    )
    [found] = beam_search(*speaker_of(models, rows), width=150, **options(said, longest))
    assert [said_of(each) for each in found] == [caption for _, caption in expected]
    np.testing.assert_allclose(
        [each.log_prob for each in found], [value for value, _ in expected], atol=1e-9
    )


ways = st.one_of(
    st.fixed_dictionaries({"width": st.integers(1, 4), "length_norm": st.sampled_from([0.0, 0.9])}),
    st.fixed_dictionaries(
        {
            "width": st.sampled_from([2, 4]),
            "groups": st.just(2),
            "diversity": st.sampled_from([0.0, 2.0]),
        }
    ),
    st.fixed_dictionaries(
        {
            "samples": st.integers(1, 3),
            "temperature": st.sampled_from([0.3, 1.0, 4.0]),
            "top_k": st.integers(0, 3),
            "top_p": st.sampled_from([0.4, 1.0]),
        }
    ),
)


def decode(speaker, rows, way, said, seeds_of_images):
    """Captions by a search or a draw, as hypotheses."""
    if "samples" not in way:
        return beam_search(speaker, rows, **way, **said)
    rngs = [np.random.default_rng(seed) for seed in seeds_of_images]
    return sample_captions(speaker, rows, rngs, **way, **said).hypotheses(END)


@settings(max_examples=40)
@given(seed=seeds, kind=kinds, other=st.none() | kinds, way=ways, said=rules(6), wish=seeds)
def test_whatever_is_asked_for_the_rules_are_kept_and_the_log_prob_is_the_loss(
    seed, kind, other, way, said, wish
):
    models = [tiny_model(seed, *kind)]
    if other:
        models.append(tiny_model(seed + 1, *other, D=2, H=3))
    for model in models:  # which would like to say nothing but what must not be said
        model.params["b_vocab"][[NULL, START, UNK]] += 5
    rows = [features_for(model, 3, seed) for model in models]
    speaker, taken = speaker_of(models, rows)
    try:
        found = decode(speaker, taken, way, options(said, 6), range(wish, wish + 3))
    except InputError as error:  # a narrow search, or a draw, may end where no word is left
        if said["no_repeat_ngram"] and "rules leave none" in str(error):
            return
        raise
    assert len(found) == 3
    for n, hypotheses in enumerate(found):
        assert 1 <= len(hypotheses) <= way.get("width", way.get("samples"))
        for each in hypotheses:
            assert kept(said_of(each), **said)
            assert not {NULL, START, UNK, END} & set(each.words)
            assert each.finished or len(each.words) == 6
            expected = log_prob(models, [row[n] for row in rows], said_of(each))
            assert each.log_prob == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(seed=seeds, kind=kinds, other=st.none() | kinds, way=ways)
def test_the_captions_of_an_image_do_not_depend_on_its_neighbours(seed, kind, other, way):
    models = [tiny_model(seed, *kind)]
    if other:
        models.append(tiny_model(seed + 1, *other, D=2, H=3))
    rows = [features_for(model, 5, seed) for model in models]
    said = {"max_length": 8, "no_repeat_ngram": 3}
    together = decode(*speaker_of(models, rows), way, said, range(5))
    some = [3, 1]
    apart = decode(*speaker_of(models, [row[some] for row in rows]), way, said, some)
    for n, hypotheses in zip(some, apart, strict=True):
        assert [each.words for each in hypotheses] == [each.words for each in together[n]]
        np.testing.assert_allclose(
            [each.log_prob for each in hypotheses], [each.log_prob for each in together[n]]
        )


# Groups


def diverse(model, features, width, groups, strength, max_length):
    """Algorithm 1 of Vijayakumar et al. for one image, word for word."""
    size = width // groups

    def scores(words):
        state = model.start(features)
        for word in (START, *words):
            logits, state = model.step(np.array([word]), state)
        return logits[0] - np.log(np.exp(logits[0]).sum())

    beams = [[((), 0.0, 0.0)] for _ in range(groups)]  # words, log p, log p with penalties
    for _ in range(max_length):
        chosen_before = np.zeros(len(VOCABULARY))
        for g in range(groups):
            extended = []
            for words, log_p, ranked in beams[g]:
                if END in words:
                    extended.append((words, log_p, ranked, None))
                    continue
                for word, value in enumerate(scores(words)):
                    if word not in (NULL, START, UNK):
                        less = strength * chosen_before[word]
                        extended.append(
                            ((*words, word), log_p + value, ranked + value - less, word)
                        )
            extended.sort(key=lambda each: -each[2])
            beams[g] = [each[:3] for each in extended[:size]]
            for *_, word in extended[:size]:
                if word is not None:
                    chosen_before[word] += 1
    return {words: log_p for group in beams for words, log_p, _ in group}


@settings(max_examples=40)
@given(
    seed=seeds,
    groups=st.integers(1, 4),
    size=st.integers(1, 3),
    strength=st.sampled_from([0.0, 0.2, 1.0, 5.0]),
)
def test_groups_are_the_papers(seed, groups, size, strength):
    model = tiny_model(seed)
    features = features_for(model, 2, seed)
    found = beam_search(
        model, features, width=groups * size, groups=groups, diversity=strength, max_length=5
    )
    for row, hypotheses in zip(features, found, strict=True):
        expected = diverse(model, row[None], groups * size, groups, strength, 5)
        assert {said_of(each) for each in hypotheses} == set(expected)
        for each in hypotheses:
            assert each.log_prob == pytest.approx(expected[said_of(each)], abs=1e-9)


def test_groups_that_do_not_mind_each_other_find_what_one_finds():
    model = tiny_model(4)
    features = features_for(model, 6)
    assert beam_search(model, features, width=9, groups=3) == beam_search(model, features, width=3)


def test_groups_that_mind_each_other_begin_differently():
    model = tiny_model(4)
    for found in beam_search(model, features_for(model, 6), width=3, groups=3, diversity=1e6):
        assert len({each.words[:1] for each in found}) == 3


# Ensembles


def test_an_ensemble_of_one_model_twice_says_what_it_says():
    model = tiny_model(7, "attention")
    features = features_for(model, 4)
    alone = beam_search(model, features, width=3)
    twice = beam_search(Ensemble([model, model]), [features, features], width=3)
    for one, two in zip(alone, twice, strict=True):
        assert [each.words for each in one] == [each.words for each in two]
        np.testing.assert_allclose([e.log_prob for e in one], [e.log_prob for e in two])


def test_an_ensemble_averages_probabilities():
    models = [tiny_model(1), tiny_model(2, "gru")]
    features = [features_for(model, 2) for model in models]
    together = Ensemble(models)
    scores, _ = together.step(np.full(2, START), together.start(features))
    probabilities = []
    for model, row in zip(models, features, strict=True):
        logits, _ = model.step(np.full(2, START), model.start(row))
        probabilities.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.exp(scores), np.mean(probabilities, axis=0))


@pytest.mark.parametrize("members", [0, 2])
def test_a_word_that_is_none_is_not_forbidden(members):
    model = tiny_model(0)
    rows = features_for(model, 1)
    speaker = Ensemble([model] * members) if members else model
    state, words = speaker.start([rows] * members if members else rows), np.array([1])
    for never in ([len(model.word_to_idx)], [-1]):
        for each in (speaker, speaker.ready()):
            with pytest.raises(InputError, match=r"best_words: never holds the id"):
                each.best_words(words, state, 1, never=never)


def test_a_word_that_one_model_cannot_imagine_is_not_lost():
    models = [tiny_model(1), tiny_model(2)]
    for model in models:
        model.params["b_vocab"][NULL] = -np.inf
    models[0].params["b_vocab"][VOCABULARY["dog"]] = -np.inf
    together = Ensemble(models)
    scores, _ = together.step(np.full(1, START), together.start([np.zeros((1, 3))] * 2))
    assert np.isfinite(scores[0, VOCABULARY["dog"]])
    assert np.isneginf(scores[0, NULL])
    assert np.exp(scores).sum() == pytest.approx(1)


def test_models_that_cannot_speak_together():
    other = CaptioningRNN({**VOCABULARY, "cat": 7}, 3, 4, 5)
    with pytest.raises(InputError, match="vocabulary of model 2 is not that of model 1"):
        Ensemble([tiny_model(0), other])
    with pytest.raises(InputError, match="at least one model"):
        Ensemble([])
    two = Ensemble([tiny_model(0), tiny_model(1)])
    with pytest.raises(InputError, match="2 models, and features for 1"):
        beam_search(two, [np.zeros((1, 3))])
    with pytest.raises(InputError, match=r"features are of \[1, 2\] images"):
        beam_search(two, [np.zeros((1, 3)), np.zeros((2, 3))])


# What cannot be


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"min_length": -1}, "min_length must be at least 0, got -1"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram must be at least 0, got -1"),
        ({"min_length": 5, "max_length": 4}, "min_length 5 is above max_length 4"),
        ({"prefix": "a dog"}, "prefix must be words, got one text"),
        ({"never": "dog"}, "never must be words, got one text"),
        ({"prefix": ["a", "dog"], "max_length": 1}, "the prefix has 2 words, max_length is 1"),
        ({"prefix": ["dog"], "never": ["dog"]}, "the prefix holds 'dog', which may not be said"),
        ({"prefix": ["<UNK>"]}, "the prefix holds '<UNK>', which may not be said"),
        ({"prefix": ["<END>"], "never": []}, "the prefix holds '<END>', which may not be said"),
        ({"prefix": ["a", "a"], "no_repeat_ngram": 1}, "the prefix itself repeats 1 words"),
    ],
)
def test_rules_that_contradict_each_other(wrong, words):
    with pytest.raises(InputError, match=words):
        Rules(**wrong)


def test_a_prefix_of_words_that_the_model_does_not_know():
    with pytest.raises(InputError, match="prefix holds 'cat', a word that the model does not"):
        beam_search(tiny_model(0), np.zeros((1, 3)), prefix=["a", "cat"])


@pytest.mark.parametrize("way", [{"width": 2}, {"samples": 2}])
def test_rules_that_leave_no_caption(way):
    impossible = {"no_repeat_ngram": 1, "min_length": 6, "max_length": 9}
    with pytest.raises(InputError, match=r"after 3 words the rules leave none.*min_length is 6"):
        decode(tiny_model(0), np.zeros((1, 3)), way, impossible, [0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 3, "groups": 2}, "groups must divide the width of 3 evenly, got 2"),
        ({"groups": 0}, "groups must divide"),
        ({"diversity": -1.0}, "diversity must be at least 0"),
        ({"diversity": np.inf}, "diversity must be at least 0"),
    ],
)
def test_groups_that_cannot_be(wrong, words):
    with pytest.raises(InputError, match=words):
        beam_search(tiny_model(0), np.zeros((1, 3)), **wrong)


def test_an_image_without_neighbours_or_without_itself():
    model = tiny_model(0)
    assert beam_search(model, np.zeros((0, 3))) == []
    for rng in ([], np.random.default_rng(0)):
        assert sample_captions(model, np.zeros((0, 3)), rng).words.shape == (0, 1, 30)
    with pytest.raises(InputError, match="1 generators for 2 images"):
        sample_captions(model, np.zeros((2, 3)), [np.random.default_rng(0)])


def test_captions_drawn_come_likeliest_first():
    model = tiny_model(3)
    drawn = sample_captions(model, features_for(model, 2), np.random.default_rng(0), samples=4)
    for n, hypotheses in enumerate(drawn.hypotheses(END)):
        values = [each.log_prob for each in hypotheses]
        assert values == sorted(drawn.log_probs[n].tolist(), reverse=True)
        said = {
            tuple(w[:k]) for w, k in zip(drawn.words[n].tolist(), drawn.lengths[n], strict=True)
        }
        assert {said_of(each) for each in hypotheses} == said


def test_every_caption_lists_each_once():
    captions = list(every_caption(3))
    assert len(captions) == len(set(captions)) == 1 + 3 + 9 + 27
    assert all(END not in caption[:-1] for caption in captions)
    assert set(itertools.chain(*captions)) == {END, *(VOCABULARY[w] for w in ("a", "dog", "runs"))}
