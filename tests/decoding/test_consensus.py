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


def similarity(one, other):
    """Of a caption to one taken for the truth, from the equation."""
    total = 0.0
    for n in range(1, 5):
        a, b = (
            Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in (one, other)
        )
        if a and b:
            dot = sum(min(count, b[gram]) * b[gram] for gram, count in a.items())
            total += dot / math.hypot(*a.values()) / math.hypot(*b.values())
    return total / 4 * math.exp(-((len(one) - len(other)) ** 2) / 72)


@given(found=hypotheses, sharpness=st.sampled_from([0.0, 0.2, 1.0]))
def test_it_ranks_by_the_weighed_similarity_to_all(found, sharpness):
    weights = np.exp(sharpness * np.array([h.log_prob for h in found]))
    risk = [
        sum(w * similarity(h.words, other.words) for w, other in zip(weights, found, strict=True))
        / weights.sum()
        for h in found
    ]
    ranked = consensus(found, sharpness)
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
