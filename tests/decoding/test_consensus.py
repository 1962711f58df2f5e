"""The caption that the others agree with most."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.decoding import Hypothesis, consensus

hypotheses = st.lists(
    st.builds(
        Hypothesis,
        st.lists(st.integers(0, 4), min_size=1, max_size=7).map(tuple),
        st.floats(-30, -0.01),
        st.just(True),
    ),
    min_size=1,
    max_size=6,
)


def similarity(one, other, worth):
    """Of a caption to one taken for the truth, from the equation."""
    total = 0.0
    for n in range(1, 5):
        a, b = (
            {
                gram: count * sum(worth[word] for word in gram) / n
                for gram, count in Counter(
                    zip(*(words[i:] for i in range(n)), strict=False)
                ).items()
            }
            for words in (one, other)
        )
        if any(a.values()) and any(b.values()):
            dot = sum(min(told, b[gram]) * b[gram] for gram, told in a.items() if gram in b)
            total += dot / math.hypot(*a.values()) / math.hypot(*b.values())
    return total / 4 * math.exp(-((len(one) - len(other)) ** 2) / 72)


@given(
    found=hypotheses,
    sharpness=st.sampled_from([0.0, 0.2, 1.0]),
    worth=st.none() | st.lists(st.just(0.0) | st.floats(0.01, 9), min_size=5, max_size=5),
)
def test_it_ranks_by_the_weighed_similarity_to_all(found, sharpness, worth):
    weights = np.exp(sharpness * np.array([h.log_prob for h in found]))
    risk = [
        sum(
            w * similarity(h.words, other.words, worth or [1] * 5)
            for w, other in zip(weights, found, strict=True)
        )
        / weights.sum()
        for h in found
    ]
    ranked = consensus(found, sharpness, worth=None if worth is None else np.array(worth))
    assert Counter(ranked) == Counter(found)
    scores = [risk[found.index(h)] for h in ranked]
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(scores))


def test_many_alike_outvote_the_likeliest():
    lone = Hypothesis((9, 8, 7), -2.0, True)
    alike = [Hypothesis((1, 2, 3, last), -2.5, True) for last in (4, 5, 6)]
    assert consensus([lone, *alike])[-1] == lone
    assert consensus([lone, *alike], 50.0)[0] == lone, "sharp enough, only the likeliest counts"


def test_of_equals_the_first_stays_first():
    found = [Hypothesis((1, 2), -1.0, True), Hypothesis((2, 3), -1.0, True)]
    assert consensus(found) == found
    assert consensus(found[::-1]) == found[::-1]


def test_agreement_on_a_word_that_tells_more_counts_more():
    found = [
        Hypothesis(words, -1.0, True) for words in [(0, 1, 2), (0, 1, 3), (0, 4, 5), (6, 4, 7)]
    ]
    assert consensus(found)[0].words == (0, 1, 2), "two have 0 and 1"
    worth = np.array([0.1, 0.1, 1, 1, 5, 1, 1, 1])
    assert consensus(found, worth=worth)[0].words == (0, 4, 5), "two have 4, which is rare"


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_agree_with(count):
    found = [Hypothesis((1,), -1.0, False)] * count
    assert consensus(found) == found


def test_a_caption_of_no_words_agrees_with_none():
    found = [
        Hypothesis((), -0.1, True),
        Hypothesis((1, 2), -5.0, True),
        Hypothesis((1,), -6.0, True),
    ]
    assert consensus(found)[-1].words == ()
