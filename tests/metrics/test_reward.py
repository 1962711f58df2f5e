"""CIDEr-D of many captions at once, held to the scorer that papers use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.metrics.reward import CiderD

WORDS = ("a", "b", "c", "<UNK>", "<END>")
"""What captions can say; references also say d."""

text = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9).map(lambda t: [*t, "<END>"])
photos = st.lists(st.lists(text, min_size=1, max_size=4), min_size=1, max_size=6)


def by_the_book(references, photo_of, captions):
    scorers = pytest.importorskip(
        "pycocoevalcap.cider.cider_scorer", reason='the scorers come with the extra "train"'
    )
    counting = scorers.CiderScorer()
    for texts in references:
        counting += (None, [" ".join(text) for text in texts])
    counting.compute_doc_freq()
    found = []
    for photo, caption in zip(photo_of, captions, strict=True):
        # All photos take part, for their number; but one of them says nothing.
        counting.ctest = [scorers.cook_test("")] * len(references)
        counting.ctest[photo] = scorers.cook_test(" ".join(WORDS[w] for w in caption if w >= 0))
        found.append(counting.compute_cider()[photo])
    return np.array(found)


@given(references=photos, seed=st.integers(0, 2**32), longest=st.integers(1, 10))
def test_it_is_the_field_scorers_own(references, seed, longest):
    rng = np.random.default_rng(seed)
    photo_of = rng.integers(0, len(references), size=7)
    captions = rng.integers(0, len(WORDS), size=(7, longest))
    captions[np.arange(longest) >= rng.integers(0, longest + 1, size=7)[:, None]] = -1
    scores = CiderD(references, WORDS).score(photo_of, captions)
    np.testing.assert_allclose(scores, by_the_book(references, photo_of, captions), atol=1e-9)


def test_captions_that_people_wrote_score_high_and_broken_ones_lower():
    references = [[["a", "b", "c", "<END>"]], [["b", "a", "<END>"]], [["c", "c", "a", "<END>"]]]
    said = np.array([[0, 1, 2, 4], [0, 1, 2, -1], [0, 1, 2, 0], [0, 1, 2, 3], [2, 2, 0, 4]])
    whole, cut, lost, unknown, other = CiderD(references, WORDS).score(np.zeros(5, int), said)
    assert whole == pytest.approx(10)
    assert whole > cut > other
    assert whole > lost > other
    assert whole > unknown > other


def test_any_order_and_number_of_captions():
    references = [[["a", "b", "<END>"], ["c", "<END>"]], [["d", "a", "<END>"]]]
    scorer = CiderD(references, WORDS)
    captions = np.array([[0, 1, 4], [2, 4, -1], [3, 0, 4], [0, 0, 0]])
    every = [
        [scorer.score(np.array([photo]), caption[None])[0] for caption in captions]
        for photo in (0, 1)
    ]
    order = np.array([3, 1, 0, 2, 2, 1])
    for photo in (0, 1):
        scores = scorer.score(np.full(6, photo), captions[order])
        np.testing.assert_allclose(scores, np.array(every[photo])[order], rtol=1e-12)
    assert scorer.score(np.zeros(0, int), np.zeros((0, 3), int)).shape == (0,)


def test_a_photo_needs_a_reference():
    for references in ([], [[]], [[["a"]], []]):
        with pytest.raises(InputError, match="every photo needs at least one reference"):
            CiderD(references, WORDS)
