from __future__ import annotations

import math
import random
import sys
from collections import Counter

import numpy as np
import pytest
from flickr8k_dev import candidates_and_references
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from unrolled.data.tokens import TOKENIZER, tokenize
from unrolled.errors import InputError, MissingExtraError
from unrolled.metrics import ReferenceSet, Scores, score

NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
PARTS = {  # what has to be importable for which metric
    "BLEU": "pycocoevalcap.bleu.bleu_scorer",
    "ROUGE": "pycocoevalcap.rouge.rouge",
    "CIDEr": "pycocoevalcap.cider.cider_scorer",
}


def test_agrees_with_the_scorers_run_directly() -> None:
    candidates, references = candidates_and_references()
    ours = score(candidates, references)
    gts = {k: [" ".join(tokenize(text)) for text in texts] for k, texts in references.items()}
    res = {k: [" ".join(tokenize(text))] for k, text in candidates.items()}
    bleu, bleus = Bleu(4).compute_score(gts, res, verbose=0)
    rouge, rouges = Rouge().compute_score(gts, res)
    cider, ciders = Cider().compute_score(gts, res)
    assert tuple(ours.corpus) == NAMES
    assert list(ours.corpus.values()) == pytest.approx([*bleu, rouge, cider], abs=1e-12)
    for name, each in zip(NAMES, [*bleus, rouges, ciders], strict=True):
        np.testing.assert_allclose(ours.captions[name], each, rtol=0, atol=1e-12)
    assert ours.tokenizer == TOKENIZER


def test_a_reference_set_scores_again_and_again_alike() -> None:
    candidates, references = candidates_and_references(50)
    dev = ReferenceSet(references)
    others = dict.fromkeys(candidates, "a purple zebra flies")
    first = dev.score(candidates)
    assert dev.score(others).corpus != first.corpus
    assert dev.score(candidates).corpus == first.corpus == score(candidates, references).corpus


@pytest.mark.parametrize(
    ("candidate", "references", "expected"),
    [
        # one "the" of three may count; the closest length is 2, shorter than the candidate
        ("the the the", ["the cat"], {"BLEU-1": 1 / 3, "ROUGE-L": 2.44 / 6 / (1 / 2 + 1.44 / 3)}),
        # no word is wrong, but half of them are missing: the brevity penalty is exp(1 - 4/2)
        ("a dog", ["a dog runs fast"], {"BLEU-1": math.exp(-1), "BLEU-2": math.exp(-1)}),
        # the closest reference length is 2, not 5
        ("a dog", ["a cat", "the dog runs very fast"], {"BLEU-1": 1.0}),
        # the longest common subsequence is 2 words: precision 1, recall 1/2, beta 1.2
        ("a dog", ["a big dog runs"], {"ROUGE-L": 2.44 * 0.5 / (0.5 + 1.44)}),
        # punctuation and capitals do not count
        ("A dog, runs!", ["a dog runs."], {"BLEU-3": 1.0, "ROUGE-L": 1.0}),
        ("", ["a dog"], {"BLEU-1": 0.0, "ROUGE-L": 0.0, "CIDEr": 0.0}),
    ],
)
def test_by_hand(candidate: str, references: list[str], expected: dict[str, float]) -> None:
    corpus = score({"photo": candidate}, {"photo": references}).corpus
    assert {name: corpus[name] for name in expected} == pytest.approx(expected, abs=1e-8)


def test_cider_by_hand() -> None:
    # "a" is in both photos' references and weighs log 2/2 = 0; "dog" and "a dog" weigh log 2.
    # Of 1- to 4-grams the candidate's first two agree wholly and the others do not exist.
    references = {"dog": ["a dog"], "cat": ["a cat"]}
    scores = score({"dog": "a dog", "cat": "a dog"}, references, metrics=["CIDEr"])
    assert scores.of("dog") == pytest.approx({"CIDEr": 10 * (1 + 1 + 0 + 0) / 4})
    assert scores.of("cat") == {"CIDEr": 0.0}
    assert scores.corpus == pytest.approx({"CIDEr": 2.5})


WORDS = st.lists(
    st.sampled_from(["a", "the", "dog", "cat", "runs", "in", "on", "grass", "red", "big"]),
    max_size=9,
)
CAPTIONS = WORDS.map(" ".join)
PHOTOS = st.lists(
    st.tuples(CAPTIONS, st.lists(CAPTIONS, min_size=1, max_size=3)), min_size=1, max_size=6
)


@given(PHOTOS, st.randoms())
def test_bounded_and_blind_to_order(
    photos: list[tuple[str, list[str]]], order: random.Random
) -> None:
    candidates = {str(number): text for number, (text, _) in enumerate(photos)}
    references = {str(number): texts for number, (_, texts) in enumerate(photos)}
    scores = score(candidates, references)
    for name, value in scores.corpus.items():
        top = 10 if name == "CIDEr" else 1
        assert -1e-9 <= value <= top + 1e-9
        assert ((scores.captions[name] >= -1e-9) & (scores.captions[name] <= top + 1e-9)).all()

    names = list(references)
    order.shuffle(names)
    shuffled = score(candidates, {name: references[name] for name in names})
    assert shuffled.corpus == pytest.approx(scores.corpus, abs=1e-12)
    assert all(shuffled.of(name) == pytest.approx(scores.of(name), abs=1e-12) for name in names)


@given(st.lists(WORDS.filter(lambda words: len(words) >= 4), min_size=2, max_size=5))
def test_a_perfect_candidate_gives_bleu_1(captions: list[list[str]]) -> None:
    said = {str(number): " ".join(words) for number, words in enumerate(captions)}
    references = {name: ["something else altogether", text] for name, text in said.items()}
    corpus = score(said, references, metrics=["BLEU", "ROUGE"]).corpus
    assert corpus == pytest.approx(dict.fromkeys(NAMES[:5], 1.0), abs=1e-8)


@pytest.mark.parametrize("metric", PARTS)
def test_one_metric_gives_only_its_scores(metric: str) -> None:
    scores = score({"a": "a dog"}, {"a": ["a dog"]}, metrics=[metric])
    assert all(name.startswith(metric) for name in scores.corpus)
    assert scores.corpus.keys() == scores.captions.keys()


def test_cider_d_is_what_the_field_calls_cider() -> None:
    candidates, references = candidates_and_references()
    candidates[next(iter(candidates))] = ""
    scores = score(candidates, references, metrics=["CIDEr", "CIDEr-D"]).captions
    np.testing.assert_allclose(scores["CIDEr-D"], scores["CIDEr"], rtol=0, atol=1e-9)


@given(PHOTOS)
@settings(max_examples=40)
def test_cider_2015_is_the_papers_equation(photos: list[tuple[str, list[str]]]) -> None:
    """Section 4, equations 1 to 3, times ten as its authors' code prints it; by dictionaries."""

    def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
        words = text.split()
        return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))

    def of(n: int, text: str, texts: list[str]) -> float:
        seen = Counter(g for _, said in photos for g in {g for t in said for g in grams(t, n)})

        def vector(text: str) -> dict[tuple[str, ...], float]:
            weigh = {g: math.log(len(photos) / max(1, seen[g])) for g in grams(text, n)}
            return {g: k * weigh[g] for g, k in grams(text, n).items()}

        total, ours = 0.0, vector(text)
        for theirs in map(vector, texts):
            norm = math.hypot(*ours.values()) * math.hypot(*theirs.values())
            total += sum(x * theirs.get(g, 0) for g, x in ours.items()) / norm if norm else 0
        return total / len(texts)

    expected = [10 * sum(of(n, *photo) for n in (1, 2, 3, 4)) / 4 for photo in photos]
    scores = score(
        {str(number): text for number, (text, _) in enumerate(photos)},
        {str(number): texts for number, (_, texts) in enumerate(photos)},
        metrics=["CIDEr-2015"],
    )
    np.testing.assert_allclose(scores.captions["CIDEr-2015"], expected, atol=1e-9)


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    score({"a": "a dog"}, {"a": ["a dog"]})
    assert capfd.readouterr() == ("", "")


def test_scores_of_a_photo() -> None:
    scores = Scores({"M": 0.5}, {"M": np.array([0.2, 0.8])}, ("a", "b"), "t")
    assert scores.of("b") == {"M": 0.8}
    with pytest.raises(KeyError, match="c"):
        scores.of("c")


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        ({}, {}, "no photo to score"),
        ({"a": "x"}, {"a": ["x"], "b": ["y"]}, "no candidate for 'b'"),
        ({}, {c: ["x"] for c in "abcde"}, "no candidate for 'a', 'b', 'c' and 2 more photos"),
        ({"a": "x", "b": "y"}, {"a": ["x"]}, "no references for 'b'"),
        ({"a": "x"}, {"a": []}, "no reference for 'a'"),
        ({"a": "x"}, {"a": "x"}, "references of 'a' must be a list"),
        ({"a": "x"}, {"a": [1]}, "references of 'a' must be a list"),
        ({"a": ["x"]}, {"a": ["x"]}, r"candidate for 'a' must be one caption \(str\), got list"),
    ],
)
def test_refuses(candidates: dict, references: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(candidates, references)


def test_refuses_unknown_names() -> None:
    with pytest.raises(InputError, match=r"no metric 'FID'; there is BLEU, .* and SPICE"):
        score({"a": "x"}, {"a": ["x"]}, metrics=["BLEU", "FID"])
    with pytest.raises(InputError, match="no metric asked for"):
        score({"a": "x"}, {"a": ["x"]}, metrics=[])
    with pytest.raises(InputError, match="no tokenizer 'spacy'; there is unrolled and ptb"):
        score({"a": "x"}, {"a": ["x"]}, tokenizer="spacy")


@pytest.mark.parametrize(("metric", "module"), PARTS.items())
def test_says_what_to_install(metric: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "unrolled\[train\]"'):
        score({"a": "x"}, {"a": ["x"]}, metrics=[metric])
