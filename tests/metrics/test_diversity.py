from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.metrics import diversity, known_captions

CAPTIONS = st.lists(
    st.lists(st.sampled_from(["a", "the", "dog", "cat", "runs"]), max_size=6).map(" ".join),
    min_size=1,
    max_size=8,
)


def test_by_hand():
    said = diversity(
        ["A dog runs.", "a dog runs", "A dog", "the man's dog"], known_captions(["a dog!"])
    )
    assert (said.captions, said.different) == (4, 3 / 4)
    # a dog runs, a dog runs, a dog, the man 's dog
    assert said.distinct == (6 / 12, 5 / 8, 3 / 4, 1 / 1)
    assert said.vocabulary == 6
    assert (said.mean_length, said.shortest, said.longest) == (3, 2, 4)
    assert said.novel == 3 / 4


def test_nothing_said_is_counted_too():
    said = diversity(["", ""])
    assert (said.different, said.distinct, said.vocabulary) == (0.5, (0, 0, 0, 0), 0)
    assert (said.mean_length, said.novel) == (0, None)


@given(CAPTIONS, CAPTIONS)
def test_shares_are_shares(captions, training):
    known = known_captions(training)
    said = diversity(captions, known)
    for share in (said.different, said.novel, *said.distinct):
        assert 0 <= share <= 1
    assert diversity(captions + captions, known).vocabulary == said.vocabulary
    assert diversity(captions + captions, known).novel == pytest.approx(said.novel)
    assert diversity(captions, known_captions(captions)).novel == 0
    assert diversity(captions, known_captions([])).novel == 1


def test_no_caption_is_refused():
    with pytest.raises(InputError, match="no caption"):
        diversity([])
