"""Intervals and the paired test: held to scoring drawn photos, and to every swap there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from flickr8k_dev import candidates_and_references

from unrolled.errors import InputError
from unrolled.metrics import compare, intervals, score

METRICS = ("BLEU", "ROUGE", "CIDEr", "CIDEr-2015")
WORDS = ["a", "the", "dog", "cat", "runs", "sits", "on", "in", "grass", "snow", "red", "big"]


def made(photos: int, seed: int, careless: float = 0.3):
    """Captions that are their references but for words changed here and there."""
    rng = np.random.default_rng(seed)
    said, references = {}, {}
    for number in range(photos):
        texts = [rng.choice(WORDS, size=rng.integers(5, 10)) for _ in range(2)]
        changed = rng.random(len(texts[0])) < careless
        words = np.where(changed, rng.choice(WORDS, size=len(texts[0])), texts[0])
        said[str(number)] = " ".join(words)
        references[str(number)] = [" ".join(text) for text in texts]
    return said, references


@pytest.fixture(scope="module")
def scores():
    return score(*made(300, 1), metrics=METRICS)


def test_a_draw_scores_as_if_its_photos_were_scored():
    said, references = made(12, 2)
    scores = score(said, references, metrics=["BLEU", "ROUGE"])
    picks = np.random.default_rng(0).integers(12, size=12)
    drawn = score(
        {f"{n}": said[str(pick)] for n, pick in enumerate(picks)},
        {f"{n}": references[str(pick)] for n, pick in enumerate(picks)},
        metrics=["BLEU", "ROUGE"],
    )
    weights = np.bincount(picks, minlength=12)
    found = {}
    for tally in scores.tallies:
        found |= zip(tally.names, tally.formula(weights @ tally.counts), strict=True)
    assert found == pytest.approx(drawn.corpus, rel=1e-12)


def test_an_interval_holds_the_score_and_is_as_wide_as_theory_says(scores):
    found = intervals(scores, np.random.default_rng(0), resamples=4000)
    assert list(found) == list(scores.corpus)
    for name, (low, high) in found.items():
        assert low < scores.corpus[name] < high
    for name in ("ROUGE-L", "CIDEr", "CIDEr-2015"):  # means: the normal law is near
        own = scores.captions[name]
        width = 2 * 1.96 * own.std() / np.sqrt(len(own))
        low, high = found[name]
        assert high - low == pytest.approx(width, rel=0.1)


def test_a_higher_level_is_wider_and_a_seed_decides(scores):
    narrow, wide, again = (
        intervals(scores, np.random.default_rng(7), level=level) for level in (0.5, 0.99, 0.5)
    )
    assert narrow == again
    for name in scores.corpus:
        assert wide[name].low < narrow[name].low < narrow[name].high < wide[name].high


def test_draws_in_parts_are_draws(scores, monkeypatch):
    whole = intervals(scores, np.random.default_rng(3))
    monkeypatch.setattr("unrolled.metrics.bootstrap._CELLS", 1000)
    assert intervals(scores, np.random.default_rng(3)) == whole


def test_the_p_value_is_the_share_of_all_swaps():
    said, references = made(9, 3, careless=0.4)
    others, _ = made(9, 3, careless=0.9)
    one, other = (score(each, references, metrics=METRICS) for each in (said, others))
    found = compare(one, other, np.random.default_rng(0), swaps=20_000)
    swaps = np.array(list(itertools.product([0.0, 1.0], repeat=9)))[:, :, None]
    for ours, theirs in zip(one.tallies, other.tallies, strict=True):
        a = np.where(swaps, theirs.counts, ours.counts).sum(axis=1)
        b = np.where(swaps, ours.counts, theirs.counts).sum(axis=1)
        differences = ours.formula(a) - ours.formula(b)
        exact = (np.abs(differences) >= np.abs(differences[0]) - 1e-12).mean(axis=0)
        for name, p in zip(ours.names, exact, strict=True):
            assert found[name].p == pytest.approx(p, abs=0.02)


def test_a_system_beside_itself_differs_by_nothing(scores):
    for found in compare(scores, scores, np.random.default_rng(0)).values():
        assert found == (0, 0, 0, 1)


def test_a_clearly_better_system_is_found_better(scores):
    worse = score(made(300, 1, careless=0.7)[0], made(300, 1)[1], metrics=METRICS)
    one, other = (
        compare(*pair, np.random.default_rng(0), swaps=999)
        for pair in ((scores, worse), (worse, scores))
    )
    for name, found in one.items():
        assert found.difference == pytest.approx(scores.corpus[name] - worse.corpus[name])
        assert 0 < found.low < found.difference < found.high
        assert found.p == 0.001
        assert other[name].difference == -found.difference
        assert other[name].high < 0


def test_systems_that_do_not_differ_seldom_seem_to():
    rng = np.random.default_rng(0)
    said, references = made(25, 4)
    p_values = []
    for seed in range(40):
        two = [{}, {}]
        for name in said:  # captions of two kinds, dealt out blindly
            kinds = [said[name], " ".join(rng.permutation(said[name].split()))]
            first = rng.integers(2)
            two[0][name], two[1][name] = kinds[first], kinds[1 - first]
        one, other = (score(each, references, metrics=["ROUGE"]) for each in two)
        p_values.append(compare(one, other, np.random.default_rng(seed), swaps=99)["ROUGE-L"].p)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15
    assert 0.3 < np.mean(p_values) < 0.7


def test_what_does_not_compare_is_refused(scores):
    said, references = made(300, 1)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="same photos"):
        compare(scores, score(*made(20, 1), metrics=METRICS), rng)
    with pytest.raises(InputError, match="same scores"):
        compare(scores, score(said, references, metrics=["BLEU"]), rng)
    with pytest.raises(InputError, match="at least once"):
        intervals(scores, rng, resamples=0)
    with pytest.raises(InputError, match="between 0 and 1"):
        intervals(scores, rng, level=95)


def test_people_beside_people():
    candidates, references = candidates_and_references()
    scores = score(candidates, references)
    for name, (low, high) in intervals(scores, np.random.default_rng(0)).items():
        assert low < scores.corpus[name] < high
        assert (high - low) / scores.corpus[name] < 0.5
