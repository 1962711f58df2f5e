"""Captions as rows of ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import (
    SPECIALS,
    Photo,
    Vocabulary,
    caption_lengths,
    encode_captions,
    tokenize,
)
from unrolled.errors import InputError

VOCABULARY = Vocabulary(("<UNK>", "a", "<END>", "dog", "<START>", "cat", "<NULL>"))
texts = st.lists(st.sampled_from(["a", "dog", "cat", "cow", ".", ","]), min_size=1).map(" ".join)
photos = st.lists(st.lists(texts, min_size=1, max_size=3), max_size=5).map(
    lambda captions: [Photo(str(i), None, tuple(c)) for i, c in enumerate(captions)]
)


@settings(deadline=None)
@given(photos=photos, max_length=st.integers(1, 8))
def test_against_one_caption_at_a_time(photos: list[Photo], max_length: int) -> None:
    encoded = encode_captions(photos, VOCABULARY, max_length)
    rows = [
        (index, VOCABULARY.encode(tokenize(caption)[:max_length]))
        for index, photo in enumerate(photos)
        for caption in photo.captions
        if tokenize(caption)
    ]
    longest = max((len(ids) for _, ids in rows), default=0)
    want = [ids + [VOCABULARY.null] * (longest - len(ids)) for _, ids in rows]
    assert encoded.captions.tolist() == want
    assert encoded.captions.shape == (len(rows), longest)
    assert encoded.lengths.tolist() == [len(ids) for _, ids in rows]
    assert encoded.photo_index.tolist() == [index for index, _ in rows]
    dtypes = [array.dtype for array in encoded]
    assert dtypes == [np.int32, np.int32, np.int64]
    if rows:
        np.testing.assert_array_equal(
            caption_lengths(encoded.captions, VOCABULARY.null), encoded.lengths
        )


def test_lengths_when_padding_stands_inside_or_everywhere() -> None:
    captions = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [1, 2, 3, 4]])
    assert caption_lengths(captions, 0).tolist() == [3, 0, 4]


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="max_length must be at least 1, got 0"):
        encode_captions([], VOCABULARY, 0)
    other = Vocabulary(SPECIALS, tokenizer="spaces")
    with pytest.raises(InputError, match="tokeniser 'spaces', this version has"):
        encode_captions([], other)
